"""What keeps a dataset from fitting a data config, as findings.

A column, a slice, a camera or an annotation that the files of the dataset do not have is found by
the checks of the files, whatever the data config.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gr00t_assets.core.finding import Finding
from gr00t_assets.core.text import did_you_mean
from gr00t_assets.datasets.lerobot.features import Camera
from gr00t_assets.datasets.lerobot.folder import FAULTS
from gr00t_assets.datasets.lerobot.info import Info
from gr00t_assets.modality.data_config import DataConfig, data_configs, is_built_in
from gr00t_assets.modality.generations import GENERATIONS
from gr00t_assets.modality.key_config import POSE_ROTATIONS, ActionTransforms, KeyTransforms
from gr00t_assets.modality.modality_json import MODALITY, Modality, ModalityFile, VectorSlice
from gr00t_assets.modality.rotations import ROTATION_DIMS

Cameras = Mapping[str, Camera]
"""Those that have frames, by feature."""


def known_cameras(info: Info, names: Iterable[str], measured: Sequence[Camera] = ()) -> Cameras:
    """Cameras as their frames are where that was measured, else as ``meta/info.json`` has them."""
    declared = {name: Camera.declared(info.features[name], info.fps or 0) for name in names}
    return declared | {camera.original_key: camera for camera in measured}


def fitting_data_configs(modality: ModalityFile, cameras: Cameras) -> list[str]:
    """Names of the data configs that a dataset fits, in the order of the data configs."""
    configs = data_configs().items()
    return [name for name, config in configs if not fit_findings(modality, cameras, config)]


def name_findings(data_config: str | None, embodiment_tag: str) -> list[Finding]:
    """A data config that there is not, and an embodiment tag that its generation does not have."""
    findings, configs = [], data_configs()
    if data_config is not None and (problem := configs.problem(data_config)):
        broken = data_config in configs.errors
        fault = "data-config-broken" if broken else "data-config-unknown"
        found = problem if broken else f"there is no data config '{data_config}'"
        texts = {"names": ", ".join(configs), "hint": did_you_mean(data_config, configs)}
        findings.append(FAULTS.finding(fault, None, found, **texts))
    config = configs.get(data_config or "")
    generation = GENERATIONS[config.generation if config else "n1.5"]
    tags = generation.embodiment_ids
    if embodiment_tag not in tags and (config is None or config.embodiment_id is None):
        found = f"embodiment tag '{embodiment_tag}' is not one of {generation.title}'s"
        fault = "embodiment-tag-unknown"
        findings.append(FAULTS.finding(fault, None, found, names=", ".join(tags)))
    return findings


def fit_findings(modality: ModalityFile, cameras: Cameras, config: DataConfig) -> list[Finding]:
    """Everything that keeps a dataset from fitting a data config; empty where it fits."""
    faults = [
        *_missing_keys(modality, config),
        *_camera_sizes(modality, cameras, config),
        *_vectors(modality, config, "state"),
        *_vectors(modality, config, "action"),
    ]
    return [FAULTS.finding(fault, MODALITY, found, **texts) for fault, found, texts in faults]


_Found = tuple[str, str, dict[str, Any]]
"""A fault, what was found, and what its texts are filled in with."""


def present_keys(
    file: ModalityFile, config: DataConfig, modality: Modality
) -> dict[str, tuple[KeyTransforms, VectorSlice]]:
    """The data config's keys of a modality that ``modality.json`` has, with their slices."""
    slices = file.slices(modality)
    keys = config.state if modality == "state" else config.action
    return {name: (key, slices[name]) for name, key in keys.items() if name in slices}


def rotation_of(key: KeyTransforms, entry: VectorSlice) -> str | None:
    """The representation of a key's rotation in the data, by either file."""
    return entry.rotation_type or key.rotation_type


def total_dim(file: ModalityFile, config: DataConfig, modality: Modality) -> int:
    """Numbers that the present keys of a modality have together after their transforms."""
    return sum(
        key.dim(entry.end - entry.start, rotation_of(key, entry))
        for key, entry in present_keys(file, config, modality).values()
    )


def _missing_keys(file: ModalityFile, config: DataConfig) -> Iterator[_Found]:
    for modality, noun, needed, available in (
        ("video", "camera", config.video, file.video),
        ("state", "state key", config.state, file.state),
        ("action", "action key", config.action, file.action),
        ("language", "language key", [config.language], file.annotation_keys()),
    ):
        missing = [key for key in needed if key not in available]
        if missing:
            found = f"{noun} '{missing[0]}' is not in this dataset; "
            found += f"the dataset has: {', '.join(available) or 'none'}"
            found += f"; missing: {', '.join(missing)}" if len(missing) < len(needed) else ""
            texts = {"config": config.name, "modality": modality, "keys": ", ".join(needed)}
            yield "config-key", found, texts


def _camera_sizes(file: ModalityFile, cameras: Cameras, config: DataConfig) -> Iterator[_Found]:
    sizes = {
        key: f"{cameras[feature].height}x{cameras[feature].width}"
        for key in config.video
        if key in file.video and (feature := file.video_feature(key)) in cameras
    }
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{key} {size}" for key, size in sizes.items())
        yield "config-camera-sizes", f"the cameras differ in height x width: {listed}", {}


def _vectors(file: ModalityFile, config: DataConfig, modality: Modality) -> Iterator[_Found]:
    for name, (key, entry) in present_keys(file, config, modality).items():
        fault = _transform_fault(config, key, entry)
        if fault is None and isinstance(key, ActionTransforms):
            problem = _relative_problem(file, config, name, key, entry)
            texts = {"file": _own_file(config) or MODALITY}
            fault = ("config-relative", problem, texts) if problem else None
        if fault:
            yield fault[0], f"{modality} key '{name}' {fault[1]}", fault[2]
    total = total_dim(file, config, modality)
    most = config.max_state_dim if modality == "state" else config.max_action_dim
    if total > most:
        found = f"{modality} has {total} numbers after the transforms of data config {config.name}"
        yield "dims-over-limit", found, {"most": most}


def _own_file(config: DataConfig) -> str | None:
    """The file of a data config of the project; none of a built-in one, which stays as it is."""
    return None if is_built_in(config.name) else f"data/data_configs/{config.name}.yaml"


def _transform_fault(config: DataConfig, key: KeyTransforms, entry: VectorSlice) -> _Found | None:
    rotation, size, target = rotation_of(key, entry), entry.end - entry.start, key.target_rotation
    own = _own_file(config)
    file = own or MODALITY
    if key.rotation_type not in (None, rotation):
        found = f"is {rotation} in modality.json and {key.rotation_type} in the data config"
        return "config-transform", found, {"field": "rotation_type", "file": file}
    if rotation is not None and size != ROTATION_DIMS[rotation]:
        found = f"has {size} numbers; {rotation} takes {ROTATION_DIMS[rotation]}"
        return "config-rotation-size", found, {"file": file}
    rotated = target is not None and target != rotation
    if rotated and rotation is None:
        found = f"is to become {target} and has no rotation_type in modality.json"
        return "config-rotation-missing", found, {}
    is_relative = isinstance(key, ActionTransforms) and key.rep == "relative"
    if key.normalization is None or is_relative:
        return None
    if rotated and not entry.absolute:
        found = f"is a relative rotation, whose {target} cannot be normalised"
        texts = {"field": "target_rotation" if own else "absolute", "file": file}
        return "config-transform", found, texts
    if rotated and key.normalization != "min_max":
        found = f"is to become {target}, which takes min_max, not {key.normalization}"
        return "config-normalization", found, {"right": "min_max", "file": file}
    if not rotated and not entry.continuous and key.normalization != "binary":
        found = f"is of type {entry.dtype}, which takes binary, not {key.normalization}"
        if own is None:
            return "config-transform", found, {"field": "dtype", "file": MODALITY}
        return "config-normalization", found, {"right": "binary", "file": own}
    return None


def _relative_problem(
    file: ModalityFile, config: DataConfig, name: str, key: ActionTransforms, entry: VectorSlice
) -> str | None:
    """Why an action key cannot be a pose, or be relative to its state key."""
    size = entry.end - entry.start
    if key.type == "eef" and size != 3 + ROTATION_DIMS[POSE_ROTATIONS[key.format]]:
        return f"has {size} numbers, which is no pose in the format {key.format}"
    if key.type == "eef" and entry.rotation_type:
        return f"is a pose by the data config and {entry.rotation_type} in modality.json"
    if key.rep == "absolute":
        return None
    if not entry.absolute:
        return "is to be made relative, and modality.json says that it is recorded so"
    name, states = key.state_key or name, present_keys(file, config, "state")
    if name not in states:
        return None  # a missing state key is found for itself
    state, part = states[name]
    if part.end - part.start != size:
        return f"has {size} numbers; state key '{name}' has {part.end - part.start}"
    if rotation_of(state, part) != rotation_of(key, entry):
        recorded = rotation_of(key, entry) or "no rotation"
        return f"is {recorded}; state key '{name}' is {rotation_of(state, part) or 'no rotation'}"
    return None
