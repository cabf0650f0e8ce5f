"""``metrics.jsonl``: one line per logged step, appended while training, read as columns."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import overload

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

METRICS = "metrics.jsonl"


class Metric(BaseModel):
    """What is logged every ``logging_steps`` steps; losses are per step, none is left out."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    step: int = Field(description="Optimizer steps done")
    samples_seen: int
    epoch: float
    loss: float = Field(description="Mean over the steps since the last line")
    losses: tuple[float, ...] = Field(description="Loss of each step since the last line")
    grad_norm: float = Field(description="Before clipping, at this step")
    learning_rate: float = Field(description="That this step was taken with")
    wall_seconds: float = Field(description="Training time so far, over every attempt")


def append_metric(metric: Metric, run_directory: Path) -> None:
    """Add one line; a line cut off by a kill or a full disk is passed over when reading.

    Raises:
        OSError: The disk is full.
    """
    with (run_directory / METRICS).open("ab+") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(end - 1, 0))
        torn = file.read(1) not in (b"", b"\n")
        file.write((b"\n" if torn else b"") + metric.model_dump_json().encode() + b"\n")


def read_metrics(run_directory: Path) -> list[Metric]:
    """Every logged line in order of steps.

    A step that was logged twice, since a run died after its last checkpoint and did the steps
    again, is taken from its last line. A line cut off by a kill is passed over.
    """
    path = run_directory / METRICS
    if not path.is_file():
        return []
    metrics: list[Metric] = []
    with path.open() as file:
        for metric in filter(None, map(_parsed, file)):
            while metrics and metrics[-1].step >= metric.step:
                metrics.pop()
            metrics.append(metric)
    return metrics


class MetricTail:
    """The lines that another process adds, one time each.

    Args:
        run_directory: Where metrics.jsonl is.
        offset: Bytes of it that are passed over; those that it has now, where left out.

    Attributes:
        offset: Bytes of it that were read or passed over.
    """

    def __init__(self, run_directory: Path, offset: int | None = None) -> None:
        self._path = run_directory / METRICS
        size = self._path.stat().st_size if self._path.is_file() else 0
        self.offset = size if offset is None else offset

    def new(self) -> list[Metric]:
        """Lines completed since the last time."""
        if not self._path.is_file():
            return []
        with self._path.open("rb") as file:
            file.seek(self.offset)
            whole, end, _ = file.read().rpartition(b"\n")
        self.offset += len(whole) + len(end)
        return list(filter(None, map(_parsed, whole.split(b"\n"))))


def _parsed(line: str | bytes) -> Metric | None:
    try:
        return Metric.model_validate_json(line)
    except ValueError:
        return None


_NUMBERS = {
    name: "int64" if field.annotation is int else "double"
    for name, field in Metric.model_fields.items()
    if name != "losses"
}


@dataclass(frozen=True, eq=False)
class MetricTable(Sequence[Metric]):
    """Logged lines in order of steps; one line as a ``Metric`` by its place.

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
        columns = {
            name: np.array([getattr(metric, name) for metric in metrics]) for name in _NUMBERS
        }
        losses = [loss for metric in metrics for loss in metric.losses]
        counts = [len(metric.losses) for metric in metrics]
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
    """What ``read_metrics`` reads, several times as fast.

    The file is parsed by pyarrow, whole. One with a line that is not a ``Metric`` of plain
    numbers, such as one cut off by a kill or a loss that is not finite, is read line by line.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not text.
    """
    path = run_directory / METRICS
    if not path.is_file():
        return MetricTable.of([])
    return _as_table(path.read_bytes()) or MetricTable.of(read_metrics(run_directory))


def _as_table(content: bytes) -> MetricTable | None:
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
