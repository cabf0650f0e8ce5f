"""The logged lines of a run as columns, for readers of many runs with long curves."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import overload

import numpy as np

from gr00t_assets.runs.metrics import METRICS, Metric, read_metrics

_NUMBERS = {
    "step": "int64",
    "samples_seen": "int64",
    "epoch": "double",
    "loss": "double",
    "grad_norm": "double",
    "learning_rate": "double",
    "wall_seconds": "double",
}


@dataclass(frozen=True, eq=False)
class MetricTable(Sequence[Metric]):
    """Logged lines in order of steps; one line as a :class:`Metric` by its place.

    Attributes:
        columns: Values by field of ``Metric``, each of shape ``(lines,)``.
        losses: Loss of each logged step, shape ``(steps,)``.
        ends: Where the losses of each line end in ``losses``, shape ``(lines,)``.
    """

    columns: dict[str, np.ndarray]
    losses: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, metrics: Sequence[Metric]) -> "MetricTable":
        """The table of lines that were read one by one."""
        columns = {name: np.array([getattr(one, name) for one in metrics]) for name in _NUMBERS}
        losses = [loss for one in metrics for loss in one.losses]
        counts = [len(one.losses) for one in metrics]
        return cls(columns, np.array(losses, dtype=float), np.cumsum(counts, dtype=np.int64))

    @cached_property
    def counts(self) -> np.ndarray:
        """Losses of each line, shape ``(lines,)``."""
        return np.diff(self.ends, prepend=0)

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, place: int) -> Metric: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Metric]: ...

    def __getitem__(self, place: int | slice) -> Metric | Sequence[Metric]:
        if isinstance(place, slice):
            return [self[index] for index in range(*place.indices(len(self)))]
        index = range(len(self))[place]
        losses = self.losses[self.ends[index] - self.counts[index] : self.ends[index]]
        values = {name: column[index].item() for name, column in self.columns.items()}
        return Metric(**values, losses=tuple(losses.tolist()))

    def __iter__(self) -> Iterator[Metric]:
        return (self[index] for index in range(len(self)))


def read_metric_table(run_directory: Path) -> MetricTable:
    """What :func:`~gr00t_assets.runs.metrics.read_metrics` reads, several times as fast.

    The file is parsed by pyarrow, whole. One with a line that is not a ``Metric`` of plain
    numbers, such as one cut off by a kill or a loss that is not finite, is read line by line.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not text.
    """
    path = run_directory / METRICS
    if not path.is_file():
        return MetricTable.of([])
    return _parsed(path.read_bytes()) or MetricTable.of(read_metrics(run_directory))


def _parsed(content: bytes) -> MetricTable | None:
    import pyarrow as pa
    import pyarrow.json as pj

    fields = [pa.field(name, kind) for name, kind in _NUMBERS.items()]
    schema = pa.schema([*fields, pa.field("losses", pa.list_(pa.float64()))])
    try:
        table = pj.read_json(
            pa.py_buffer(content),
            read_options=pj.ReadOptions(use_threads=False, block_size=max(1 << 16, len(content))),
            parse_options=pj.ParseOptions(
                explicit_schema=schema, unexpected_field_behavior="error"
            ),
        )
    except pa.ArrowInvalid:
        return None
    lists = table.column("losses").combine_chunks()
    if any(column.null_count for column in table.columns) or lists.values.null_count:
        return None
    columns = {name: table.column(name).to_numpy() for name in _NUMBERS}
    offsets = lists.offsets.to_numpy()
    last = _last_of_each_step(columns["step"])
    losses = lists.values.to_numpy()
    if last.all():
        return MetricTable(columns, losses, offsets[1:].astype(np.int64))
    counts = np.diff(offsets)
    return MetricTable(
        {name: values[last] for name, values in columns.items()},
        losses[np.repeat(last, counts)],
        np.cumsum(counts[last]),
    )


def _last_of_each_step(steps: np.ndarray) -> np.ndarray:
    """Whether no later line has the same step or an earlier one, shape ``(lines,)``."""
    later = np.minimum.accumulate(steps[::-1])[::-1]
    return np.append(steps[:-1] < later[1:], True) if len(steps) else np.ones(0, dtype=bool)
