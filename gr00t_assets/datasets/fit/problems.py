"""What keeps a dataset from fitting a data config: each check returns all that it finds.

The checks read ``modality.json``, the features, the camera list and one episode's vector lengths,
never the videos themselves.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.lerobot.lerobot import LeRobotDataset
from gr00t_assets.datasets.sources.record import Camera
from gr00t_assets.modality.data_configs import DataConfig, VectorKeyConfig
from gr00t_assets.modality.schema import Modality, ModalityFile, VectorSlice, parse_modality
from gr00t_assets.modality.transforms import transformed_dim


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        sentence: What is wrong.
        lines: What was expected and what was found, or what to do.
        lines_say_it: Whether the lines are clear without the sentence.
        code: Name of the kind of problem, in kebab case.
    """

    sentence: str
    lines: tuple[str, ...] = ()
    lines_say_it: bool = False
    code: str = "data-config"

    def body(self, *, after_sentence: bool) -> tuple[str, ...]:
        """The lines to print, given whether the sentence was printed already."""
        known = after_sentence or self.lines_say_it
        return self.lines if known else (self.sentence, *self.lines)


class DatasetFacts:
    """What the checks ask of a dataset, read once.

    Attributes:
        dataset: The dataset.
        modality: Its parsed ``modality.json``.
        cameras: Those that have video files, by feature, as the videos are where that was
            measured, else as ``meta/info.json`` declares them.

    Raises:
        DatasetError: ``modality.json`` is missing or wrong.
    """

    def __init__(self, dataset: LeRobotDataset, measured: Sequence[Camera] = ()) -> None:
        self.dataset = dataset
        self.modality: ModalityFile = parse_modality(dataset.modality, dataset.name)
        self.declared = {
            feature: declared_camera(feature, dataset.columns[feature], dataset.fps)
            for feature in dataset.cameras
        }
        self.cameras = self.declared | {camera.original_key: camera for camera in measured}
        self._lengths: dict[str, int | None] = {}

    def vector_length(self, column: str) -> int | None:
        """Numbers in a column's vectors, in the first episode's rows; ``None`` where unreadable."""
        if column not in self.dataset.columns:
            return None
        if column not in self._lengths:
            try:
                first = self.dataset.episodes[0].index
                self._lengths[column] = self.dataset.vector(first, column).shape[-1]
            except DatasetError:
                self._lengths[column] = None
        return self._lengths[column]


def declared_camera(feature: str, declaration: Mapping[str, Any], fps: float) -> Camera:
    """A camera as ``meta/info.json`` declares it.

    Args:
        feature: Its name: observation.images.ego_view.
        declaration: Its entry in ``features``; ``shape`` is read in the order of ``names``, or as
            height, width, channels where it has none.
        fps: The dataset's, where the entry has none.
    """
    shape = list(declaration.get("shape") or (0, 0, 0))
    names = declaration.get("names")
    if not isinstance(names, list) or not {"height", "width"} <= set(names):
        names = ["height", "width", "channels"]
    sizes = dict(zip(names, shape, strict=False))
    video = declaration.get("video_info") or declaration.get("info") or {}
    return Camera(
        original_key=feature,
        height=int(sizes["height"]),
        width=int(sizes["width"]),
        fps=float(video.get("video.fps") or fps),
        codec=str(video.get("video.codec") or "unknown"),
    )


def find_problems(facts: DatasetFacts, config: DataConfig) -> list[Problem]:
    """Everything that keeps the dataset from fitting the data config; empty where it fits."""
    return [
        *_missing_keys(facts, config),
        *_cameras(facts, config),
        *_vectors(facts, config, "state"),
        *_vectors(facts, config, "action"),
        *_language(facts, config),
    ]


def vector_dim(entry: VectorSlice, key: VectorKeyConfig) -> int:
    """Numbers that a key has after its transforms."""
    return transformed_dim(
        entry.end - entry.start,
        sin_cos=key.sin_cos,
        rotation=entry.rotation_type,
        target=key.target_rotation,
    )


def _missing_keys(facts: DatasetFacts, config: DataConfig) -> Iterator[Problem]:
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
        lines = [
            f"data config {config.name} needs {modality} keys: {', '.join(needed)}",
            f"the dataset has: {', '.join(present) or 'none'}",
        ]
        if len(missing) < len(needed):
            lines.append(f"missing: {', '.join(missing)}")
        yield Problem(
            f"{noun} '{missing[0]}' is not in this dataset.", tuple(lines), True, "config-key"
        )


def _cameras(facts: DatasetFacts, config: DataConfig) -> Iterator[Problem]:
    sizes: dict[str, str] = {}
    for key in config.video:
        if key not in facts.modality.video:
            continue
        feature = facts.modality.video_feature(key)
        camera = facts.cameras.get(feature)
        if feature not in facts.dataset.columns:
            yield Problem(
                f"camera '{key}' is feature {feature} in modality.json, "
                "which meta/info.json does not have.",
                code="config-camera",
            )
        elif camera is None:
            sentence = f"camera '{key}' ({feature}) is declared and has no video files."
            yield Problem(sentence, code="config-camera")
        else:
            sizes[key] = f"{camera.height}x{camera.width}"
    if len(set(sizes.values())) > 1:
        found = ", ".join(f"{key} {size}" for key, size in sizes.items())
        yield Problem(
            f"the cameras differ in height x width: {found}; GR00T crops them as one stack.",
            code="config-camera-sizes",
        )


def present_keys(
    facts: DatasetFacts, config: DataConfig, modality: Modality
) -> list[tuple[VectorKeyConfig, VectorSlice]]:
    """The data config's keys of a modality that ``modality.json`` has, with their slices."""
    slices = facts.modality.slices(modality)
    wanted = config.state if modality == "state" else config.action
    return [(key, slices[key.key]) for key in wanted if key.key in slices]


def _vectors(facts: DatasetFacts, config: DataConfig, modality: Modality) -> Iterator[Problem]:
    present = present_keys(facts, config, modality)
    for key, entry in present:
        column = facts.modality.vector_column(modality, key.key)
        for code, found in (
            ("config-slice", _slice(facts, column, entry)),
            ("config-transform", _transform(key, entry)),
        ):
            yield from (
                Problem(f"{modality} key '{key.key}' {words}", code=code) for words in found
            )
    total = sum(vector_dim(entry, key) for key, entry in present)
    largest = config.max_state_dim if modality == "state" else config.max_action_dim
    if total > largest:
        yield Problem(
            f"{modality} has {total} numbers after the transforms of data config "
            f"{config.name}; the model takes at most {largest}.",
            code="dims-over-limit",
        )


def _slice(facts: DatasetFacts, column: str, entry: VectorSlice) -> Iterator[str]:
    if column not in facts.dataset.columns:
        yield f"is a slice of column {column}, which meta/info.json does not have."
        return
    length = facts.vector_length(column)
    if length is None:
        yield f"is a slice of column {column}, which cannot be read in the first episode."
    elif entry.end > length:
        yield f"is {entry.start}:{entry.end} of {column}, which has {length} numbers."


def _transform(key: VectorKeyConfig, entry: VectorSlice) -> Iterator[str]:
    rotated = key.target_rotation is not None and key.target_rotation != entry.rotation_type
    if rotated and entry.rotation_type is None:
        yield (
            f"is to become {key.target_rotation} and has no rotation_type in modality.json; "
            "say which representation it is in, such as quaternion."
        )
        return
    if key.normalization is None:
        return
    if rotated and not entry.absolute:
        yield f"is a relative rotation, whose {key.target_rotation} cannot be normalised."
    elif rotated and key.normalization != "min_max":
        yield f"is to become {key.target_rotation}, which takes min_max, not {key.normalization}."
    elif not rotated and not entry.continuous and key.normalization != "binary":
        yield f"is of type {entry.dtype}, which takes binary, not {key.normalization}."


def _language(facts: DatasetFacts, config: DataConfig) -> Iterator[Problem]:
    column = facts.modality.annotation_column(config.language)
    if column is not None and column not in facts.dataset.columns:
        yield Problem(
            f"language key '{config.language}' is column {column}, "
            "which meta/info.json does not have.",
            code="config-language",
        )
