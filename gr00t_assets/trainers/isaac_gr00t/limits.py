"""What NVIDIA's scripts cannot do of an experiment, and what they would do wrongly.

What N1.5's transforms cannot do of a data config is by their source at 5e3ef5e and a86e915, which
are alike: ``gr00t/data/transform/`` has no relative actions and no borders, and ``ConcatTransform``
takes an action key in the width that it has in the data alone, a state key in that width, twice
that, or as a ``rotation_6d``. Of N1.7 it is by ``launch_finetune.py`` at 65cc4a1, which pads images
to a square, and always crops and jitters them; ``n17.processor_configs`` tells the rest.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.datasets.frames.video_backends import known_backend_fault
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.modality.data_config import is_built_in
from gr00t_assets.modality.generations import GenerationName
from gr00t_assets.modality.key_config import ActionTransforms, CameraTransforms, KeyTransforms
from gr00t_assets.modality.rotations import ROTATION_DIMS
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.runs.training_data import RunDataset
from gr00t_assets.trainers.data_config_limits import Limit, data_configs_of, entries_of
from gr00t_assets.trainers.isaac_gr00t.commits import head
from gr00t_assets.trainers.isaac_gr00t.environment import (
    GENERATIONS,
    N15,
    N17,
    IsaacEnvironment,
    IsaacGeneration,
)
from gr00t_assets.trainers.isaac_gr00t.hyperparameters import IsaacHyperparameters
from gr00t_assets.trainers.n17.processor_configs import inexpressible

_HUB_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*/[A-Za-z0-9_-][A-Za-z0-9._-]*")
_CHECKPOINT = re.compile(r"(checkpoint|step)-\d+")
_FROM_CACHE = "take frame_source: video out of the sweep file: the frame cache has "
_NATIVE = "train with native, which does"


def isaac_limits(experiment: Experiment) -> Iterator[Limit]:
    """What an experiment itself tells: base models that the script would look for on the Hub,
    settings without effect, mixtures that it has no arguments for, and data configs.
    """
    base_model, settings = experiment.base_model, IsaacHyperparameters.of(experiment)
    facts = GENERATIONS[generation_of(experiment)]
    is_folder = base_model.startswith("~/") or PurePosixPath(base_model).is_absolute()
    if "/" not in base_model and base_model in trainer_named("native").built_in_models:
        found = f"the base model '{base_model}' is built in to the native trainer"
        path = f"give isaac-gr00t base_model {facts.base_model}, or the absolute path of a folder"
        yield "base_model", found, path
    elif not is_folder and (
        not _HUB_ID.fullmatch(base_model) or _CHECKPOINT.fullmatch(base_model.split("/")[1])
    ):
        found = f"'{base_model}' is neither a Hub id (owner/name) nor an absolute path; "
        found += "Isaac-GR00T looks for a relative path on the Hub"
        yield "base_model", found, "write a folder's path in full"
    if settings.augmentation == "none":
        found = "isaac-gr00t always augments: NVIDIA's data configs crop and jitter at random"
        yield "augmentation", found, "leave it out, or train with native"
    if not settings.lora_rank and not any(settings.tuned_parts.values()):
        yield (
            "tune_projector",
            "nothing is left to train: tune_llm, tune_visual, tune_projector and "
            "tune_diffusion_model are all false, and isaac-gr00t would go on training vlln and "
            "vl_self_attention, which no setting freezes",
            "set one of the four to true",
        )
    yield from _mixture_limits(experiment, facts)
    if facts is N17:
        yield from _n17_limits(experiment)
        return
    for config in data_configs_of(experiment):
        if not is_built_in(config.name):
            for problem in _transform_problems(config.cameras, config.state, config.action):
                found = f"isaac-gr00t does not take data config {config.name}: {problem}"
                yield "dataset", found, _NATIVE


def generation_of(experiment: Experiment) -> GenerationName:
    """The generation of its data configs, by which NVIDIA's script is chosen."""
    configs = data_configs_of(experiment)
    return configs[0].generation if configs else "n1.5"


def _mixture_limits(experiment: Experiment, facts: IsaacGeneration) -> Iterator[Limit]:
    """The script takes a list of folders, and all else once for all of them."""
    datasets = experiment.datasets
    if facts is N15 and len({dataset.weight for dataset in datasets}) > 1:
        remedy = "give them one weight, and balance_dataset_weights false for equal shares; or "
        remedy += "train with native"
        yield "dataset", "isaac-gr00t gives every dataset of a mixture the same weight", remedy
    entries = entries_of(experiment) if len(datasets) > 1 else []
    for field in ("data_config", "embodiment_tag"):
        values = dict.fromkeys(getattr(entry, field) for entry in entries)
        if len(values) > 1:
            found = f"isaac-gr00t takes one {field} for a mixture, and these have"
            several = "train with native, which takes several"
            yield "dataset", f"{found} {' and '.join(values)}", several


def _n17_limits(experiment: Experiment) -> Iterator[Limit]:
    settings = IsaacHyperparameters.of(experiment)
    if settings.frame_source == "video":
        found = "N1.7's loader decodes whole shards of videos into memory, and by frame number"
        yield "frame_source", found, "leave it out: frames come from the frame cache"
    if settings.lora_rank:
        yield "lora_rank", "launch_finetune.py has no LoRA", f"leave it out, or {_NATIVE}"
    if len(experiment.datasets) > 1 and not settings.balance_trajectory_weights:
        found = "launch_finetune.py draws every row alike, not every episode"
        yield "balance_trajectory_weights", found, f"leave it out, or {_NATIVE}"


def refuse(spec: TrainingSpec, environment: IsaacEnvironment) -> None:
    """Refuse what only the data or the checkout could tell.

    Raises:
        DatasetError: A dataset that is to be read as videos is not there.
        TrainingError: Training would stop, or train on wrong images; the first reason with all that
            it applies to, and what to do.
    """
    is_n17, checkout = environment.generation is N17, environment.checkout
    problems = _n17_problems(spec) if is_n17 else _n15_problems(spec, checkout)
    for problem, *details in problems:
        raise TrainingError(spec.experiment.name, problem, details)


def refuse_other_shape(spec: TrainingSpec, environment: IsaacEnvironment, base_model: Path) -> None:
    """Refuse chunks of another shape than the base model's where the script cannot train them.

    Raises:
        TrainingError: June's script would stop at the first batch; October's makes a head for them.
    """
    config = spec.modality_config
    try:
        grows = "data_action_horizon" in environment.script.read_text(encoding="utf-8")
        base = json.loads((base_model / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # told where they are needed
        return
    trained = base.get("action_head_cfg", {})
    asked = {"action_horizon": len(config.action_indices), "action_dim": config.max_action_dim}
    other = [
        f"{name} {value}, the base model's {trained[name]}"
        for name, value in asked.items()
        if trained.get(name, value) != value
    ]
    if other and not grows:
        problem = "Isaac-GR00T at this commit takes chunks of the base model's shape only."
        shapes = f"data config {config.data_config}: {', '.join(other)}"
        remedy = "check out a commit that grows the action head: a86e915"
        raise TrainingError(spec.experiment.name, problem, [shapes, remedy])


def _n15_problems(spec: TrainingSpec, checkout: Path) -> Iterator[list[str]]:
    """Sentences, and what they apply to, with what to do."""
    settings = IsaacHyperparameters.of(spec.experiment)
    if settings.frame_source == "video":
        if fault := known_backend_fault(settings.video_backend, head(checkout), checkout):
            found = f"video_backend {settings.video_backend} would train it on wrong images."
            yield [found, fault, f"{_FROM_CACHE}the right frames, and is faster"]
        if rows := [name for dataset in spec.datasets for name in _cameras_in_rows(dataset)]:
            found = "frame_source video reads videos, and these cameras are images in the rows."
            yield [found, *rows, f"{_FROM_CACHE}the images"]
    config = spec.modality_config
    if not is_built_in(config.data_config):
        cameras = {camera.key: camera.transforms for camera in config.video}
        state, action = ({key.key: key for key in keys} for keys in (config.state, config.action))
        if wrong := list(_transform_problems(cameras, state, action)):
            found = f"isaac-gr00t does not take data config {config.data_config}."
            yield [found, *wrong, _NATIVE]
    # The script crops the images of all datasets as those of the first.
    images = {
        dataset.name: {(key.key, key.width, key.height, key.fps) for key in dataset.config.video}
        for dataset in spec.datasets
    }
    first, *others = images
    if unlike := [name for name in others if images[name] != images[first]]:
        found = "isaac-gr00t cannot train on these datasets together."
        names = ", ".join(unlike)
        other = f"{names}: cameras of other pixels or another frame rate than {first}"
        yield [found, other, "train with native, which can"]


def _n17_problems(spec: TrainingSpec) -> Iterator[list[str]]:
    """The same of N1.7, which only the data tells."""
    config, configs = spec.modality_config, [dataset.config for dataset in spec.datasets]
    wrong = inexpressible(configs)
    wrong += [
        f"action.{key.key} has mean_std, which N1.7 cuts off at one standard deviation"
        for key in config.action
        if key.normalization == "mean_std"
    ]
    if wrong:
        yield [f"isaac-gr00t does not take data config {config.data_config}.", *wrong, _NATIVE]
    if config.language is None:
        problem = f"data config {config.data_config} finds no instruction, and N1.7 needs one."
        yield [problem, "add an annotation to meta/modality.json, and name it as its language"]
    oblong = [
        f"{dataset.name}: {camera.key}, {camera.width} x {camera.height}"
        for dataset in spec.datasets
        for camera in dataset.config.video
        if camera.width != camera.height and camera.transforms.resize != "letterbox"
    ]
    if oblong:
        remedy = "write cameras: {NAME: {resize: letterbox}} in the data config, which is the same"
        yield ["N1.7's script pads these images to a square.", *oblong, remedy]


def _cameras_in_rows(dataset: RunDataset) -> list[str]:
    from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset

    videos = LeRobotDataset.open(dataset.directory, dataset.name).video_cameras
    columns = [key.original_key for key in dataset.config.video]
    return [f"{dataset.name}: {name}" for name in columns if name not in videos]


def _transform_problems(
    cameras: Mapping[str, CameraTransforms],
    state: Mapping[str, KeyTransforms],
    action: Mapping[str, ActionTransforms],
) -> Iterator[str]:
    for key, camera in cameras.items():
        if camera.region is not None:
            yield f"camera {key} has a region, and N1.5 crops around the centre"
        if camera.resize != "stretch":
            yield f"camera {key} has resize {camera.resize}, and N1.5 stretches images"
    for name, key in (*state.items(), *action.items()):
        if key.target_rotation == "matrix" and key.normalization:
            yield f"{name} becomes a matrix, which N1.5 does not normalise"
    for name, key in state.items():
        if _width(key) not in (None, 6):
            yield f"state {name} becomes {key.target_rotation}; only rotation_6d has room there"
    for name, key in action.items():
        if key.rep == "relative":
            yield f"action {name} is relative, which N1.5 does not know"
        elif key.sin_cos:
            yield f"action {name} has sin_cos, which N1.5 cannot take back"
        elif _width(key) is not None:
            yield f"action {name} becomes {key.target_rotation}, of another width"


def _width(key: KeyTransforms) -> int | None:
    """Numbers of a key's rotation for the model, where they are others than the data has."""
    source, target = key.rotation_type, key.target_rotation
    if source is None or target is None or ROTATION_DIMS[source] == ROTATION_DIMS[target]:
        return None
    return ROTATION_DIMS[target]
