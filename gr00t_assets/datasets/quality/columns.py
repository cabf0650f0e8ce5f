"""State and action as one matrix an episode, names and ranges of its numbers; the instructions."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.quality import thresholds as limits
from gr00t_assets.datasets.quality.figures import Language
from gr00t_assets.modality.modality_json import DEFAULT_COLUMNS, Modality, parse_modality

_PREFERRED = (
    "annotation.human.action.task_description",
    "annotation.human.task_description",
    "annotation.human.coarse_action",
)
_SHOWN = 50  # instructions that are listed


@dataclass(frozen=True)
class Key:
    """A key of state or action, and the numbers of a column that it names."""

    name: str
    column: str
    span: slice


def vector_keys(dataset: LeRobotDataset, modality: Modality) -> list[Key]:
    """Keys of modality.json; where it has none that fit, the default column as ``all``."""
    keys = []
    with suppress(DatasetError):  # Other checks report a file that is missing or wrong.
        file = parse_modality(dataset.modality, dataset.name)
        for name, part in file.slices(modality).items():
            column = file.vector_column(modality, name)
            if column in dataset.features and part.end <= dataset.features[column].width:
                keys.append(Key(name, column, slice(part.start, part.end)))
    default = DEFAULT_COLUMNS[modality]
    if not keys and default in dataset.features:
        keys.append(Key("all", default, slice(0, dataset.features[default].width)))
    return keys


class Columns:
    """The columns that keys of state and action are in, side by side, and their ranges.

    A DatasetError where an episode cannot be read.

    Attributes:
        spans: Where each column is in the matrix.
        labels: Of each number: its key and place in the key, the name that ``meta/info.json``
            gives it, or its place in the column.
        joints: Which numbers say where the robot is: those of the state, of the action without one.
        pairs: Of each key that is in both, in one size, its numbers in the state and in the action.
        minimum: Least value of each number.
        maximum: Largest value.
        quantiles: ``(2, numbers)``, q01 and q99.
        stored: By column: the quantiles are those of ``meta/stats.json``.
        switches: Numbers that have a few values only.
        noise: Numbers whose usual step between rows is as large as their values are spread, as of a
            sensor that is read but not used.
        extent: Maximum less minimum.
        moving: Numbers that change.
        counted: Numbers that change and are no switches.
        scale: The extent; 1 of a number that never changes.
    """

    def __init__(self, dataset: LeRobotDataset, statistics: object) -> None:
        """Read every row once; quantiles of ``meta/stats.json`` are taken where they fit."""
        states, actions = vector_keys(dataset, "state"), vector_keys(dataset, "action")
        self._dataset = dataset
        self._names = list(dict.fromkeys(key.column for key in (*states, *actions)))
        first = dataset.vectors(dataset.episodes[0].index, self._names) if self._names else {}
        self.spans: dict[str, slice] = {}
        self.labels: list[str] = []
        for column, values in first.items():
            width, declared = values.shape[1], dataset.features[column].names
            self.spans[column] = slice(len(self.labels), len(self.labels) + width)
            self.labels += declared if len(declared) == width else map(str, range(width))
        for key in (*states, *actions):
            for place, number in enumerate(self._numbers(key) if key.name != "all" else ()):
                self.labels[number] = f"{key.name} {place}"
        self.joints = np.zeros(len(self.labels), dtype=bool)
        for key in states or actions:
            self.joints[self.spans[key.column]] = True
        commands = {key.name: self._numbers(key) for key in actions}
        self.pairs = {
            key.name: (numbers, commands[key.name])
            for key, numbers in zip(states, map(self._numbers, states), strict=True)
            if len(commands.get(key.name, ())) == len(numbers)
        }
        self._measure_ranges(statistics)

    def _numbers(self, key: Key) -> np.ndarray:
        column = self.spans[key.column]
        return np.arange(column.start, column.stop)[key.span]

    def rows(self) -> Iterator[np.ndarray]:
        """Every episode, ``(rows, numbers)`` float64; what is not finite becomes NaN.

        A DatasetError where one cannot be read, or the width of a column changes.
        """
        for episode in self._dataset.episodes:
            if not self._names:
                yield np.zeros((episode.length, 0))
                continue
            parts = self._dataset.vectors(episode.index, self._names)
            for column, values in parts.items():
                width = self.spans[column].stop - self.spans[column].start
                if values.shape[1] != width:
                    problem = f"{column} has {values.shape[1]} numbers in episode {episode.index}."
                    lines = [f"the episodes before it have {width}"]
                    raise DatasetError(self._dataset.name, problem, lines)
            rows = np.concatenate(list(parts.values()), axis=1, dtype=np.float64)
            rows[~np.isfinite(rows)] = np.nan
            yield rows

    def _measure_ranges(self, statistics: object) -> None:
        """Extremes are those of all rows, the rest that of at most ``SAMPLED_ROWS`` rows."""
        every = -(-self._dataset.frame_count // limits.SAMPLED_ROWS) or 1
        low, high = np.full((2, len(self.labels)), np.nan)
        sampled, steps = [], []
        for rows in self.rows():
            low = np.fmin(low, np.fmin.reduce(rows, initial=np.nan))
            high = np.fmax(high, np.fmax.reduce(rows, initial=np.nan))
            sampled.append(rows[::every].copy())
            steps.append(np.abs(np.nan_to_num(np.diff(rows, axis=0, prepend=rows[:1])[::every])))
        if not sum(map(len, sampled)):
            sampled = steps = [np.zeros((1, len(self.labels)))]
        sample = np.nan_to_num(np.concatenate(sampled))
        lower, upper = np.quantile(sample, [0.25, 0.75], axis=0)
        self.quantiles, self.stored = np.quantile(sample, [0.01, 0.99], axis=0), {}
        for column, span in self.spans.items():
            known = _stored_quantiles(statistics, column, span.stop - span.start)
            self.stored[column] = known is not None
            if known is not None:
                self.quantiles[:, span] = known
        values = np.array([len(np.unique(number)) for number in sample.T], dtype=int)
        self.switches = values <= limits.SWITCH_VALUES
        self.noise = np.median(np.concatenate(steps), axis=0) > limits.NOISE_STEP * (upper - lower)
        self.minimum, self.maximum = np.nan_to_num(low), np.nan_to_num(high)
        self.extent = self.maximum - self.minimum
        self.moving = self.extent > 0
        self.counted = self.moving & ~self.switches
        self.scale = np.where(self.moving, self.extent, 1.0)


def _stored_quantiles(statistics: Any, column: str, width: int) -> np.ndarray | None:
    """``(2, width)``: q01 and q99 of meta/stats.json, or None where it has none that fit."""
    try:
        entry = statistics[column]
        quantiles = np.array([entry["q01"], entry["q99"]], np.float64).reshape(2, -1)
    except (KeyError, TypeError, ValueError):
        return None
    fits = quantiles.shape == (2, width) and np.isfinite(quantiles).all()
    return quantiles if fits else None


def measure_language(dataset: LeRobotDataset, column: str | None) -> Language | None:
    """Instructions by rows, of the column that modality.json names where none is given."""
    column = column or _instruction_column(dataset)
    if column is None:
        return None
    rows: Counter[str] = Counter()
    for episode in dataset.episodes:
        indices = dataset.vector(episode.index, column)[:, 0]
        for index, count in zip(*np.unique(indices, return_counts=True), strict=True):
            text = dataset.tasks.get(int(index), "") if np.isfinite(index) else ""
            rows[text] += int(count)
    total = max(rows.total(), 1)
    empty = sorted(text for text in rows if is_placeholder(text))
    return Language(
        column=column,
        shares={text: count / total for text, count in rows.most_common(_SHOWN)},
        distinct=len(rows),
        empty_share=sum(rows[text] for text in empty) / total,
        placeholders=tuple(empty[:_SHOWN]),
    )


def is_placeholder(text: str) -> bool:
    """Whether a text is empty or a placeholder.

    Examples:
        >>> [is_placeholder(text) for text in ("", "valid", "Task 1", "42", "pick the pear")]
        [True, True, True, True, False]
    """
    letters = "".join(letter if letter.isalpha() else " " for letter in text.lower()).split()
    return (len(letters) < 2 and set(letters) <= limits.PLACEHOLDERS) or text in limits.PLACEHOLDERS


def _instruction_column(dataset: LeRobotDataset) -> str | None:
    with suppress(DatasetError):  # Other checks report a file that is missing or wrong.
        file = parse_modality(dataset.modality, dataset.name)
        names = file.annotation_keys()
        preferred = [name for name in _PREFERRED if name in names]
        for name in (*preferred, *(name for name in names if "valid" not in name)):
            column = file.annotation_column(name)
            if column in dataset.features:
                return column
    return "task_index" if "task_index" in dataset.features else None
