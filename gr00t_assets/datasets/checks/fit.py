"""A dataset held against a data config, each reason why it does not fit as a finding."""

from collections.abc import Iterable, Mapping

from gr00t_assets.core.finding import Collector
from gr00t_assets.core.names import did_you_mean
from gr00t_assets.datasets.checks.folder import Folder
from gr00t_assets.datasets.checks.info import Info
from gr00t_assets.datasets.checks.lists import Listed
from gr00t_assets.datasets.checks.videos import Video
from gr00t_assets.datasets.fit.problems import DatasetFacts, Problem, find_problems, present_keys
from gr00t_assets.datasets.lerobot.lerobot import Episode, LeRobotDataset
from gr00t_assets.datasets.sources.record import Camera
from gr00t_assets.modality.data_configs import DATA_CONFIGS, EMBODIMENT_IDS, DataConfig
from gr00t_assets.modality.schema import ModalityFile

FILE = "meta/modality.json"

_SAID = {
    "config-camera": ("modality-camera", "camera-missing"),
    "config-slice": ("slice-range", "modality-column"),
    "config-language": ("modality-annotation",),
}
"""Findings of the dataset alone that say the same."""

_REMEDIES = {
    "config-key": "name the part in meta/modality.json as the data config does, or choose another",
    "config-camera": "bring the videos of the camera, or choose another data config",
    "config-camera-sizes": "encode the videos in one size",
    "config-transform": "correct rotation_type, absolute or dtype of the key in meta/modality.json",
    "dims-over-limit": "choose a data config with fewer parts",
}


def check_names(collector: Collector, data_config: str | None, embodiment_tag: str) -> None:
    """Report a data config or an embodiment tag that N1.5 does not have."""
    if data_config is not None and data_config not in DATA_CONFIGS:
        collector.error(
            "data-config-unknown",
            None,
            f"data config '{data_config}'",
            f"one of {', '.join(DATA_CONFIGS)}",
            did_you_mean(data_config, DATA_CONFIGS),
        )
    if embodiment_tag not in EMBODIMENT_IDS:
        collector.error(
            "embodiment-tag-unknown",
            None,
            f"embodiment tag '{embodiment_tag}'",
            f"one of {', '.join(EMBODIMENT_IDS)}",
            "a robot that the base model has not seen takes new_embodiment",
        )


def facts_of(
    folder: Folder,
    info: Info,
    modality: ModalityFile | None,
    readable: Iterable[Listed],
    cameras: Iterable[str],
    videos: Mapping[str, Video],
) -> DatasetFacts | None:
    """What a data config asks of the dataset; ``None`` where too little of it could be read."""
    episodes = tuple(Episode(one.index, one.length, ()) for one in readable)
    whole = len(info.features) == len(info.raw.get("features") or ())
    paths = info.data_file(0) is not None and (info.video_path is not None or not info.cameras)
    if modality is None or not episodes or not whole or not paths or info.fps is None:
        return None
    features = info.features.values()
    dataset = LeRobotDataset(
        directory=folder.directory,
        name="dataset",
        info={**info.raw, "features": {one.name: one.declared() for one in features}},
        modality=modality.model_dump(mode="json", exclude_unset=True),
        tasks={},
        episodes=episodes,
        cameras=tuple(cameras),
        warnings=(),
    )
    measured = [
        Camera(original_key=name, height=one.height, width=one.width, fps=one.fps or 0, codec="")
        for name, one in videos.items()
    ]
    return DatasetFacts(dataset, measured)


def check_fit(collector: Collector, facts: DatasetFacts, data_config: str | None) -> None:
    """Report why the dataset does not fit a data config, or that it fits none of them."""
    if data_config is None:
        if not any(not find_problems(facts, config) for config in DATA_CONFIGS.values()):
            collector.warn(
                "no-data-config-fits",
                FILE,
                "cameras and keys that no data config of N1.5 has together",
                f"those of one of {', '.join(DATA_CONFIGS)}",
                "see what one lacks with --data-config NAME, and name the keys as it does",
            )
        return
    config = DATA_CONFIGS.get(data_config)
    for problem in find_problems(facts, config) if config else ():
        if not any(collector.has(code) for code in _SAID.get(problem.code, ())):
            _report(collector, facts, problem)


def used_numbers(facts: DatasetFacts, config: DataConfig, column: str) -> frozenset[int]:
    """Numbers of an action column that a data config trains on."""
    return frozenset(
        number
        for key, part in present_keys(facts, config, "action")
        if facts.modality.vector_column("action", key.key) == column
        for number in range(part.start, part.end)
    )


def _report(collector: Collector, facts: DatasetFacts, problem: Problem) -> None:
    remedy = _REMEDIES.get(
        problem.code, "correct meta/modality.json, or choose another data config"
    )
    fitting = [name for name, config in DATA_CONFIGS.items() if not find_problems(facts, config)]
    if problem.code == "config-key" and fitting:
        remedy += f"; these fit: {', '.join(fitting)}"
    found, expected = problem.sentence.rstrip("."), "; ".join(problem.lines)
    if problem.code == "config-key":
        expected, has = problem.lines[0], problem.lines[1]
        found = f"{found}; {has}"
    collector.error(problem.code, FILE, found, expected or "what the data config takes", remedy)
