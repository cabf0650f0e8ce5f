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

Cameras = Mapping[str, Camera]  # those that have frames, by feature


def known_cameras(info: Info, names: Iterable[str], measured: Sequence[Camera] = ()) -> Cameras:
    """Cameras as their frames are where that was measured, else as ``meta/info.json`` has them."""
    declared = {name: Camera.declared(info.features[name], info.fps or 0) for name in names}
    return declared | {camera.original_key: camera for camera in measured}


def fitting_data_configs(modality: ModalityFile, cameras: Cameras) -> list[str]:
    """Names of the data configs that a dataset fits, in their order."""
    configs = data_configs().items()
    return [name for name, config in configs if not Fit(modality, config).findings(cameras)]


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
    generation = config.generation if config else "n1.5"
    tags = GENERATIONS[generation].embodiment_ids
    if embodiment_tag not in tags and (config is None or config.embodiment_id is None):
        found = f"embodiment tag '{embodiment_tag}' is not one of {generation.upper()}'s"
        fault = "embodiment-tag-unknown"
        findings.append(FAULTS.finding(fault, None, found, names=", ".join(tags)))
    return findings


def rotation_of(key: KeyTransforms, entry: VectorSlice) -> str | None:
    """The representation of a key's rotation in the data, by either file."""
    return entry.rotation_type or key.rotation_type


_Found = tuple[str, str, dict[str, Any]]  # fault, what was found, what its texts are filled with


class Fit:
    """A dataset's ``modality.json`` held against a data config."""

    def __init__(self, file: ModalityFile, config: DataConfig) -> None:
        self.file, self.config = file, config
        self._is_own = not is_built_in(config.name)  # a built-in one stays as it is
        self._to_edit = f"data/data_configs/{config.name}.yaml" if self._is_own else MODALITY

    def findings(self, cameras: Cameras) -> list[Finding]:
        """Everything that keeps the dataset from fitting; empty where it fits."""
        faults = [
            *self._missing_keys(),
            *self._camera_sizes(cameras),
            *self._vectors("state"),
            *self._vectors("action"),
        ]
        return [FAULTS.finding(fault, MODALITY, found, **texts) for fault, found, texts in faults]

    def keys(self, modality: Modality) -> dict[str, tuple[KeyTransforms, VectorSlice]]:
        """The data config's keys of a modality that the file has, with their slices."""
        slices = self.file.slices(modality)
        keys = self.config.state if modality == "state" else self.config.action
        return {name: (key, slices[name]) for name, key in keys.items() if name in slices}

    def total_dim(self, modality: Modality) -> int:
        """Numbers that the present keys of a modality have together after their transforms."""
        return sum(
            key.dim(entry.end - entry.start, rotation_of(key, entry))
            for key, entry in self.keys(modality).values()
        )

    def uses(self, column: str, number: int) -> bool:
        """Whether the data config trains on a number of an action column."""
        return any(
            part.start <= number < part.end
            for name, (_, part) in self.keys("action").items()
            if self.file.vector_column("action", name) == column
        )

    def _missing_keys(self) -> Iterator[_Found]:
        file, config = self.file, self.config
        for modality, noun, needed, available in (
            ("video", "camera", config.video, file.video),
            ("state", "state key", config.state, file.state),
            ("action", "action key", config.action, file.action),
            ("language", "language key", [config.language], file.annotation_keys()),
        ):
            if missing := [key for key in needed if key not in available]:
                found = f"{noun} '{missing[0]}' is not in this dataset; "
                found += f"the dataset has: {', '.join(available) or 'none'}"
                found += f"; missing: {', '.join(missing)}" if len(missing) < len(needed) else ""
                texts = {"config": config.name, "modality": modality, "keys": ", ".join(needed)}
                yield "config-key", found, texts

    def _camera_sizes(self, cameras: Cameras) -> Iterator[_Found]:
        sizes = {
            key: f"{cameras[feature].height}x{cameras[feature].width}"
            for key in self.config.video
            if key in self.file.video and (feature := self.file.video_feature(key)) in cameras
        }
        if len(set(sizes.values())) > 1:
            listed = ", ".join(f"{key} {size}" for key, size in sizes.items())
            yield "config-camera-sizes", f"the cameras differ in height x width: {listed}", {}

    def _vectors(self, modality: Modality) -> Iterator[_Found]:
        for name, (key, entry) in self.keys(modality).items():
            fault = self._transform_fault(key, entry)
            if fault is None and isinstance(key, ActionTransforms):
                problem = self._relative_problem(name, key, entry)
                texts = {"file": self._to_edit}
                fault = ("config-relative", problem, texts) if problem else None
            if fault:
                yield fault[0], f"{modality} key '{name}' {fault[1]}", fault[2]
        total = self.total_dim(modality)
        most = self.config.max_state_dim if modality == "state" else self.config.max_action_dim
        if total > most:
            name = self.config.name
            found = f"{modality} has {total} numbers after the transforms of data config {name}"
            yield "dims-over-limit", found, {"most": most}

    def _transform_fault(self, key: KeyTransforms, entry: VectorSlice) -> _Found | None:
        rotation, target, file = rotation_of(key, entry), key.target_rotation, self._to_edit
        size = entry.end - entry.start
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
            texts = {"field": "target_rotation" if self._is_own else "absolute", "file": file}
            return "config-transform", found, texts
        if rotated and key.normalization != "min_max":
            found = f"is to become {target}, which takes min_max, not {key.normalization}"
            return "config-normalization", found, {"right": "min_max", "file": file}
        if not rotated and not entry.continuous and key.normalization != "binary":
            found = f"is of type {entry.dtype}, which takes binary, not {key.normalization}"
            if self._is_own:
                return "config-normalization", found, {"right": "binary", "file": file}
            return "config-transform", found, {"field": "dtype", "file": file}
        return None

    def _relative_problem(self, name: str, key: ActionTransforms, entry: VectorSlice) -> str | None:
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
        name, states = key.state_key or name, self.keys("state")
        if name not in states:
            return None  # a missing state key is found for itself
        state, part = states[name]
        if part.end - part.start != size:
            return f"has {size} numbers; state key '{name}' has {part.end - part.start}"
        ours = rotation_of(key, entry) or "no rotation"
        theirs = rotation_of(state, part) or "no rotation"
        return None if ours == theirs else f"is {ours}; state key '{name}' is {theirs}"
