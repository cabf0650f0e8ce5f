"""What a catalog entry leaves out of its source, cuts off, renames or keeps from training."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.files import FrozenModel
from gr00t_assets.datasets.lerobot.folder import episode_names
from gr00t_assets.modality.observation import without_special_tokens

if TYPE_CHECKING:
    from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset

_SPAN = re.compile(r"(\d{1,9})\s*-\s*(\d{1,9})")
_FORM = "expected episode numbers and ranges like [3, 10-19]"
_HELD_OUT_FORM = "expected episode indices like [3, 7], or a share of the last episodes like 0.1"


def _checked_spans(value: Any) -> tuple[int | str, ...] | None:
    if value is None:
        return None
    if value in ([], ()):
        raise ValueError(_FORM)
    return tuple(map(_checked_span, value if isinstance(value, list | tuple) else [value]))


def _checked_span(item: Any) -> int | str:
    if type(item) is int and item >= 0:
        return item
    match = _SPAN.fullmatch(item.strip()) if isinstance(item, str) else None
    if match is None:
        raise ValueError(_FORM)
    first, last = int(match[1]), int(match[2])
    if last < first:
        raise ValueError(f"the range {first}-{last} ends before it begins; {_FORM}")
    return f"{first}-{last}"


Spans = Annotated[tuple[int | str, ...] | None, BeforeValidator(_checked_spans)]
"""Episode numbers, and ranges of them with both ends: 3, 10-19."""


class EpisodeChoice(FrozenModel):
    """Which episodes of the source are taken, by their numbers there."""

    include: Spans = Field(default=None, description="Those that are taken; all by default")
    exclude: Spans = Field(default=None, description="Those that are left out: [3, 10-19]")

    @property
    def is_empty(self) -> bool:
        """Whether all episodes are taken."""
        return self.include is None and self.exclude is None

    def leaves_out(self, episode: int) -> bool:
        """Whether an episode is not taken.

        Examples:
            >>> choice = EpisodeChoice(include=["0-9"], exclude=[3])
            >>> [choice.leaves_out(episode) for episode in (3, 4, 10)]
            [True, False, True]
        """
        if self.include is not None and not _contains(self.include, episode):
            return True
        return _contains(self.exclude or (), episode)


class IdleTrim(FrozenModel):
    """How much is cut off where the robot rests at the ends of an episode.

    A joint is a number of the state or of the action. Its range is what lies between its smallest
    and its largest value in all episodes that are taken. Row ``i`` is at rest where no joint moves
    by more than ``threshold`` times its range within the second that ends at it; at the end, within
    the second that begins at it. The rows at rest before the first that is not are cut off but for
    the last of them, at most ``start`` seconds; likewise at the end. An episode that rests in all
    its rows is left as it is.
    """

    start: float = Field(default=0, ge=0, le=3600, description="Seconds at most, at the start")
    end: float = Field(default=0, ge=0, le=3600, description="Seconds at most, at the end")
    threshold: float = Field(
        gt=0, lt=1, description="Share of its range that a joint moves in a second: 0.01"
    )


class TaskNames(FrozenModel):
    """Instructions that are written otherwise."""

    rename: dict[str, str] = Field(
        default={}, description="New text by the text in the source, to the letter"
    )
    special_tokens: Literal["refuse", "escape"] = Field(
        default="refuse",
        description="escape: put a space into what the tokenizer takes for more than words",
    )

    @model_validator(mode="after")
    def _asks_for_something(self) -> "TaskNames":
        if not self.rename and self.special_tokens == "refuse":
            raise ValueError("expected rename with a text, or special_tokens: escape")
        return self


class Curation(FrozenModel):
    """The three together; a dataset without any is taken as it is."""

    episodes: EpisodeChoice = EpisodeChoice()
    trim_idle: IdleTrim | None = None
    rename: dict[str, str] = Field(default={})
    escape_tokens: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked for."""
        return self == Curation()

    @property
    def identity(self) -> str:
        """JSON of what is asked for, the same where nothing is asked of special tokens."""
        return self.model_dump_json(exclude=set() if self.escape_tokens else {"escape_tokens"})

    def task(self, text: str) -> str:
        """The instruction that is trained on, by that of the source.

        Examples:
            >>> Curation(rename={"Pick": "pick it"}, escape_tokens=True).task("go<image-1>")
            'go< image-1>'
        """
        text = self.rename.get(text, text)
        return without_special_tokens(text) if self.escape_tokens else text


class Curated(FrozenModel):
    """How the episodes of a dataset in the store differ from those of its source."""

    episodes: tuple[int, ...] = Field(description="Number in the source, by number in the store")
    left_out: tuple[int, ...] = Field(default=(), description="Numbers in the source")
    trimmed: dict[int, tuple[float, float]] = Field(
        default={}, description="Seconds cut off at start and end, by number in the source"
    )
    renamed: dict[str, str] = Field(default={}, description="New instruction by the old one")


def spans(episodes: Iterable[int]) -> tuple[int | str, ...]:
    """Episode numbers as a catalog writes them, runs of three or more as ranges.

    Examples:
        >>> spans([7, 0, 1, 2, 9, 10])
        ('0-2', 7, 9, 10)
    """
    numbers = np.unique(list(episodes))
    runs = [run.tolist() for run in np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)]
    parts = [[f"{run[0]}-{run[-1]}"] if len(run) > 2 else run for run in runs]
    return tuple(item for part in parts for item in part)


def bounds(span: int | str) -> tuple[int, int]:
    """First and last number of a span."""
    first, _, last = str(span).partition("-")
    return int(first), int(last or first)


def _contains(items: Iterable[int | str], episode: int) -> bool:
    return any(first <= episode <= last for first, last in map(bounds, items))


def _checked_held_out(value: Any) -> tuple[int, ...] | float | None:
    if isinstance(value, float) and not 0 < value < 1:
        raise ValueError(f"a share lies between 0 and 1; {_HELD_OUT_FORM}")
    if value is None or isinstance(value, float):
        return value
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(_HELD_OUT_FORM)
    if not all(type(index) is int and index >= 0 for index in value):
        raise ValueError(f"an episode index is a whole number from 0 on; {_HELD_OUT_FORM}")
    repeated = sorted({index for index in value if value.count(index) > 1})
    if repeated:
        raise ValueError(f"named twice: {', '.join(map(str, repeated))}")
    return tuple(sorted(value))


HeldOut = Annotated[tuple[int, ...] | float | None, BeforeValidator(_checked_held_out)]
"""Indices of episodes, in order; or the share of the dataset's last episodes; or none."""


def held_out_episodes(
    held_out: tuple[int, ...] | float | None,
    dataset: "LeRobotDataset",
    numbers: tuple[int, ...] = (),
) -> tuple[int, ...]:
    """The indices of the episodes that are kept from training.

    A share of the last episodes is rounded and is at least one. ``numbers`` are those of each
    episode in the source, where they are others than the indices. A DatasetError says which of them
    the dataset lacks, or that none is left to train on.
    """
    if held_out is None:
        return ()
    indices = [episode.index for episode in dataset.episodes]
    index_of = dict(zip(numbers or indices, indices, strict=True))
    episodes = list(index_of)
    if not isinstance(held_out, tuple):
        held_out = tuple(episodes[-max(1, round(held_out * len(episodes))) :])
    found = []
    if unknown := sorted(set(held_out) - index_of.keys()):
        has = f"{len(episodes)} episodes, {episodes[0]} to {episodes[-1]}" if episodes else "none"
        names = episode_names(unknown)
        found.append(f"held_out names {names}, which it does not have; it has {has}")
    if index_of.keys() <= set(held_out):
        found.append(f"held_out takes all {len(episodes)}; none is left to train on")
    if found:
        found.append("change held_out of this dataset in data/datasets.yaml")
        problem = "its held-out episodes cannot be kept from training."
        raise DatasetError(dataset.name, problem, found)
    return tuple(index_of[number] for number in held_out)
