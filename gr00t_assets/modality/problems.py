"""What keeps a dataset from fitting a data config: each check returns all that it finds.

The checks read ``modality.json``, the features, the camera list and one episode's vector lengths,
never the videos themselves.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

from gr00t_assets.datasets.lerobot import LeRobotDataset
from gr00t_assets.datasets.record import Camera
from gr00t_assets.errors import DatasetError
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
    """

    sentence: str
    lines: tuple[str, ...] = ()
    lines_say_it: bool = False

    def body(self, *, after_sentence: bool) -> tuple[str, ...]:
        """The lines to print, given whether the sentence was printed already."""
        known = after_sentence or self.lines_say_it
        return self.lines if known else (self.sentence, *self.lines)


@dataclass
class DatasetFacts:
    """What the checks ask of a dataset, read once.

    Attributes:
        dataset: The dataset.
        modality: Its parsed ``modality.json``.
    """

    dataset: LeRobotDataset
    modality: ModalityFile = field(init=False)

    def __post_init__(self) -> None:
        self.modality = parse_modality(self.dataset.modality, self.dataset.name)
        self._lengths: dict[str, int | None] = {}

    @cached_property
    def cameras(self) -> dict[str, Camera]:
        """The cameras that have video files, by feature."""
        return {camera.original_key: camera for camera in self.dataset.cameras}

    def vector_length(self, column: str) -> int | None:
        """Numbers in a column's vectors, in the first episode's rows; ``None`` where unreadable."""
        if column not in self.dataset.columns:
            return None
        if column not in self._lengths:
            try:
                first = self.dataset.episodes[0].index
                self._lengths[column] = self.dataset.vector(first, column).shape[-1]
            except (DatasetError, IndexError):
                self._lengths[column] = None
        return self._lengths[column]


def find_problems(facts: DatasetFacts, config: DataConfig) -> list[Problem]:
    """Everything that keeps the dataset from fitting the data config; empty where it fits."""
    return [
        *_missing_keys(facts, config),
        *_cameras(facts, config),
        *_vectors(facts, config, "state"),
        *_vectors(facts, config, "action"),
        *_language(facts, config),
    ]


def find_overlaps(facts: DatasetFacts, config: DataConfig) -> list[str]:
    """Keys of one modality whose slices share numbers: usable, and rarely meant."""
    found = []
    modalities: tuple[Modality, ...] = ("state", "action")
    for modality in modalities:
        for one, other in combinations(_present(facts, config, modality), 2):
            (key, first), (other_key, second) = one, other
            same = facts.modality.vector_column(modality, key.key) == (
                facts.modality.vector_column(modality, other_key.key)
            )
            if same and max(first.start, second.start) < min(first.end, second.end):
                found.append(
                    f"{modality} keys '{key.key}' ({first.start}:{first.end}) and "
                    f"'{other_key.key}' ({second.start}:{second.end}) overlap"
                )
    return found


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
        yield Problem(f"{noun} '{missing[0]}' is not in this dataset.", tuple(lines), True)


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
                "which meta/info.json does not have."
            )
        elif camera is None:
            yield Problem(f"camera '{key}' ({feature}) is declared and has no video files.")
        else:
            sizes[key] = f"{camera.height}x{camera.width}"
    if len(set(sizes.values())) > 1:
        found = ", ".join(f"{key} {size}" for key, size in sizes.items())
        yield Problem(
            f"the cameras differ in height x width: {found}; GR00T crops them as one stack."
        )


def _present(
    facts: DatasetFacts, config: DataConfig, modality: Modality
) -> list[tuple[VectorKeyConfig, VectorSlice]]:
    slices = facts.modality.slices(modality)
    wanted = config.state if modality == "state" else config.action
    return [(key, slices[key.key]) for key in wanted if key.key in slices]


def _vectors(facts: DatasetFacts, config: DataConfig, modality: Modality) -> Iterator[Problem]:
    present = _present(facts, config, modality)
    for key, entry in present:
        column = facts.modality.vector_column(modality, key.key)
        yield from (
            Problem(f"{modality} key '{key.key}' {words}")
            for words in (*_slice(facts, column, entry), *_transform(key, entry))
        )
    total = sum(vector_dim(entry, key) for key, entry in present)
    largest = config.max_state_dim if modality == "state" else config.max_action_dim
    if total > largest:
        yield Problem(
            f"{modality} has {total} numbers after the transforms of data config "
            f"{config.name}; the model takes at most {largest}."
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
            "which meta/info.json does not have."
        )
