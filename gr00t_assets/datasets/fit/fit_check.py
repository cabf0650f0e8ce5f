"""What keeps a dataset from fitting a data config, as findings.

The checks read ``modality.json``, the features, the camera list and one episode's vector lengths,
never the videos themselves.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.finding import Finding
from gr00t_assets.core.names import did_you_mean
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.features import Feature
from gr00t_assets.datasets.lerobot.folder import FAULTS
from gr00t_assets.datasets.record import Camera
from gr00t_assets.modality.data_config import (
    EMBODIMENT_IDS,
    ActionKeyConfig,
    DataConfig,
    VectorKeyConfig,
    data_configs,
)
from gr00t_assets.modality.key_config import POSE_ROTATIONS
from gr00t_assets.modality.modality_json import (
    FILE,
    Modality,
    ModalityFile,
    VectorSlice,
    parse_modality,
)
from gr00t_assets.modality.rotations import ROTATION_DIMS
from gr00t_assets.modality.transforms import transformed_dim


class DatasetFacts:
    """What the checks ask of a dataset, read once.

    Args:
        widths: Numbers in a row by column, where they were counted.

    Attributes:
        modality: Its parsed ``modality.json``.
        cameras: Those that have video files, by feature, as the videos are where that was
            measured, else as ``meta/info.json`` declares them.

    Raises:
        DatasetError: ``modality.json`` is missing or wrong.
    """

    def __init__(
        self,
        dataset: LeRobotDataset,
        measured: Sequence[Camera] = (),
        widths: Mapping[str, int] | None = None,
    ) -> None:
        self.dataset = dataset
        self.modality: ModalityFile = parse_modality(dataset.modality, dataset.name)
        self.declared = {
            feature: declared_camera(dataset.features[feature], dataset.fps)
            for feature in dataset.cameras
        }
        self.cameras = self.declared | {camera.original_key: camera for camera in measured}
        self._lengths: dict[str, int | None] = dict(widths or {})

    def vector_length(self, column: str) -> int | None:
        """Numbers in a column's vectors, in the first episode's rows; ``None`` where unreadable."""
        if column not in self.dataset.features:
            return None
        if column not in self._lengths:
            try:
                first = self.dataset.episodes[0].index
                self._lengths[column] = self.dataset.vector(first, column).shape[-1]
            except DatasetError:
                self._lengths[column] = None
        return self._lengths[column]


def declared_camera(feature: Feature, fps: float) -> Camera:
    """A camera as ``meta/info.json`` declares it.

    Args:
        fps: The dataset's, where the declaration has none.
    """
    height, width = feature.size or (0, 0)
    return Camera(
        original_key=feature.name,
        height=height,
        width=width,
        fps=feature.video_fps or fps,
        codec=feature.video_codec or "unknown",
    )


def fitting_data_configs(facts: DatasetFacts) -> list[str]:
    """Names of the data configs whose keys the dataset has, in the order of the data configs."""
    return [name for name, config in data_configs().items() if not fit_findings(facts, config)]


def name_findings(data_config: str | None, embodiment_tag: str) -> list[Finding]:
    """A data config that there is not, and an embodiment tag that N1.5 does not have."""
    findings = []
    configs = data_configs()
    problem = None if data_config is None else configs.problem(data_config)
    if data_config is not None and problem is not None:
        broken = data_config in configs.errors
        fault = "data-config-broken" if broken else "data-config-unknown"
        found = problem if broken else f"there is no data config '{data_config}'"
        texts = {"names": ", ".join(configs), "hint": did_you_mean(data_config, configs)}
        findings.append(FAULTS.finding(fault, None, found, **texts))
    if embodiment_tag not in EMBODIMENT_IDS:
        found, names = f"embodiment tag '{embodiment_tag}' is not one of N1.5's", EMBODIMENT_IDS
        findings.append(
            FAULTS.finding("embodiment-tag-unknown", None, found, names=", ".join(names))
        )
    return findings


def fit_findings(facts: DatasetFacts, config: DataConfig) -> list[Finding]:
    """Everything that keeps the dataset from fitting the data config; empty where it fits."""
    return [
        *_missing_keys(facts, config),
        *_cameras(facts, config),
        *_vectors(facts, config, "state"),
        *_vectors(facts, config, "action"),
        *_language(facts, config),
    ]


def fit_finding(fault: str, found: str, **texts: str) -> Finding:
    """One reason why a dataset does not fit a data config."""
    return FAULTS.finding(fault, FILE, found, **texts)


def present_keys(
    facts: DatasetFacts, config: DataConfig, modality: Modality
) -> list[tuple[VectorKeyConfig, VectorSlice]]:
    """The data config's keys of a modality that ``modality.json`` has, with their slices."""
    slices = facts.modality.slices(modality)
    return [(key, slices[key.key]) for key in config.vector_keys(modality) if key.key in slices]


def rotation_of(key: VectorKeyConfig, entry: VectorSlice) -> str | None:
    """The representation of a key's rotation in the data, by either file."""
    return entry.rotation_type or key.rotation_type


def total_dim(facts: DatasetFacts, config: DataConfig, modality: Modality) -> int:
    """Numbers that the present keys of a modality have together after their transforms."""
    return sum(
        transformed_dim(
            entry.end - entry.start, key.sin_cos, rotation_of(key, entry), key.target_rotation
        )
        for key, entry in present_keys(facts, config, modality)
    )


def _missing_keys(facts: DatasetFacts, config: DataConfig) -> Iterator[Finding]:
    file = facts.modality
    groups: tuple[tuple[str, str, Sequence[str], Iterable[str]], ...] = (
        ("video", "camera", config.video, file.video),
        ("state", "state key", [key.key for key in config.state], file.state),
        ("action", "action key", [key.key for key in config.action], file.action),
        ("language", "language key", [config.language], file.annotation_keys()),
    )
    for modality, noun, needed, available in groups:
        present = tuple(available)
        missing = [key for key in needed if key not in present]
        if not missing:
            continue
        found = (
            f"{noun} '{missing[0]}' is not in this dataset; "
            f"the dataset has: {', '.join(present) or 'none'}"
        )
        if len(missing) < len(needed):
            found += f"; missing: {', '.join(missing)}"
        texts = {"config": config.name, "modality": modality, "keys": ", ".join(needed)}
        yield fit_finding("config-key", found, **texts)


def _cameras(facts: DatasetFacts, config: DataConfig) -> Iterator[Finding]:
    sizes: dict[str, str] = {}
    for key in config.video:
        if key not in facts.modality.video:
            continue
        feature = facts.modality.video_feature(key)
        camera = facts.cameras.get(feature)
        if feature not in facts.dataset.features:
            yield fit_finding(
                "config-camera",
                f"camera '{key}' is feature {feature} in modality.json, "
                "which meta/info.json does not have",
            )
        elif camera is None:
            yield fit_finding(
                "config-camera", f"camera '{key}' ({feature}) is declared and has no video files"
            )
        else:
            sizes[key] = f"{camera.height}x{camera.width}"
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{key} {size}" for key, size in sizes.items())
        yield fit_finding(
            "config-camera-sizes",
            f"the cameras differ in height x width: {listed}; GR00T crops them as one stack",
        )


def _vectors(facts: DatasetFacts, config: DataConfig, modality: Modality) -> Iterator[Finding]:
    for key, entry in present_keys(facts, config, modality):
        column = facts.modality.vector_column(modality, key.key)
        for code, problem in (
            ("config-slice", _slice_problem(facts, column, entry)),
            ("config-transform", _transform_problem(key, entry)),
            ("config-relative", _relative_problem(facts, config, key, entry)),
        ):
            if problem:
                yield fit_finding(code, f"{modality} key '{key.key}' {problem}")
    total = total_dim(facts, config, modality)
    largest = config.max_state_dim if modality == "state" else config.max_action_dim
    if total > largest:
        yield fit_finding(
            "dims-over-limit",
            f"{modality} has {total} numbers after the transforms of data config "
            f"{config.name}; the model takes at most {largest}",
        )


def _slice_problem(facts: DatasetFacts, column: str, entry: VectorSlice) -> str | None:
    if column not in facts.dataset.features:
        return f"is a slice of column {column}, which meta/info.json does not have"
    length = facts.vector_length(column)
    if length is None:
        return f"is a slice of column {column}, which cannot be read in the first episode"
    if entry.end > length:
        return f"is {entry.start}:{entry.end} of {column}, which has {length} numbers"
    return None


def _transform_problem(key: VectorKeyConfig, entry: VectorSlice) -> str | None:
    rotation, size = rotation_of(key, entry), entry.end - entry.start
    if key.rotation_type not in (None, rotation):
        return f"is {rotation} in modality.json and {key.rotation_type} in the data config"
    if rotation is not None and size != ROTATION_DIMS[rotation]:
        return f"has {size} numbers; {rotation} takes {ROTATION_DIMS[rotation]}"
    rotated = key.target_rotation is not None and key.target_rotation != rotation
    if rotated and rotation is None:
        return (
            f"is to become {key.target_rotation} and has no rotation_type in modality.json; "
            "say which representation it is in, such as quaternion"
        )
    if key.normalization is None or (isinstance(key, ActionKeyConfig) and key.rep == "relative"):
        return None
    if rotated and not entry.absolute:
        return f"is a relative rotation, whose {key.target_rotation} cannot be normalised"
    if rotated and key.normalization != "min_max":
        return f"is to become {key.target_rotation}, which takes min_max, not {key.normalization}"
    if not rotated and not entry.continuous and key.normalization != "binary":
        return f"is of type {entry.dtype}, which takes binary, not {key.normalization}"
    return None


def _relative_problem(
    facts: DatasetFacts, config: DataConfig, key: VectorKeyConfig, entry: VectorSlice
) -> str | None:
    """Why an action key cannot be a pose, or be relative to its state key."""
    if not isinstance(key, ActionKeyConfig):
        return None
    size = entry.end - entry.start
    if key.type == "eef" and size != 3 + ROTATION_DIMS[POSE_ROTATIONS[key.format]]:
        return f"has {size} numbers, which is no pose in the format {key.format}"
    if key.rep == "absolute":
        return None
    if not entry.absolute:
        return "is to be made relative, and modality.json says that it is recorded so"
    name = key.state_key or key.key
    states = {state.key: (state, part) for state, part in present_keys(facts, config, "state")}
    if name not in states:
        return None  # a missing state key is found for itself
    state, part = states[name]
    if part.end - part.start != size:
        return f"has {size} numbers; state key '{name}' has {part.end - part.start}"
    if rotation_of(state, part) != rotation_of(key, entry):
        recorded = rotation_of(key, entry) or "no rotation"
        return f"is {recorded}; state key '{name}' is {rotation_of(state, part) or 'no rotation'}"
    return None


def _language(facts: DatasetFacts, config: DataConfig) -> Iterator[Finding]:
    column = facts.modality.annotation_column(config.language)
    if column is not None and column not in facts.dataset.features:
        yield fit_finding(
            "config-language",
            f"language key '{config.language}' is column {column}, "
            "which meta/info.json does not have",
        )
