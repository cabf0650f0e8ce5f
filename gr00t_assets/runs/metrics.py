"""``metrics.jsonl``: one line per logged step, appended while training, read as columns."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

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


class MetricTail:
    """The lines that another process adds, one time each.

    ``offset`` are the bytes that were read or passed over, at first all where left out.
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
class MetricTable:
    """Logged lines in order of steps, as columns.

    Attributes:
        columns: Values by field of ``Metric``, each of shape ``(lines,)``.
        losses: Loss of each logged step, shape ``(steps,)``.
        counts: Losses of each line, shape ``(lines,)``.
    """

    columns: dict[str, np.ndarray]
    losses: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, metrics: Sequence[Metric]) -> "MetricTable":
        """The table of lines that were read one by one."""
        columns = {
            name: np.array([getattr(metric, name) for metric in metrics]) for name in _NUMBERS
        }
        losses = np.array([loss for metric in metrics for loss in metric.losses], dtype=float)
        counts = np.array([len(metric.losses) for metric in metrics], dtype=np.int64)
        return cls(columns, losses, counts)

    @cached_property
    def loss_steps(self) -> np.ndarray:
        """Optimizer step that each loss is of, shape ``(steps,)``."""
        after = np.repeat(np.cumsum(self.counts), self.counts) - 1 - np.arange(len(self.losses))
        return np.repeat(self.columns["step"], self.counts) - after

    @cached_property
    def last(self) -> Metric | None:
        """The last line; ``None`` where there is no line."""
        if not len(self):
            return None
        losses = self.losses[len(self.losses) - self.counts[-1] :]
        values = {name: column[-1].item() for name, column in self.columns.items()}
        return Metric(**values, losses=tuple(losses.tolist()))

    def __len__(self) -> int:
        return len(self.counts)


NO_METRICS = MetricTable.of([])
"""Of a run that has logged nothing yet."""


def read_metrics(run_directory: Path) -> MetricTable:
    """Every logged line in order of steps.

    A step that was logged twice, since a run died after its last checkpoint and did the steps
    again, is taken from its last line. A line cut off by a kill is passed over. A file with such a
    line, or a loss that is not finite, is read line by line, any other one whole, by pyarrow.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not text.
    """
    path = run_directory / METRICS
    content = path.read_bytes() if path.is_file() else b""
    table = _parsed_whole(content)
    if table is None:
        table = MetricTable.of(list(filter(None, map(_parsed, content.decode().split("\n")))))
    steps = table.columns["step"]
    # The least step of a line and of those after it: a line whose steps were done again is not it.
    least = np.minimum.accumulate(steps[::-1])[::-1]
    last = np.append(steps[:-1] < least[1:], np.ones(min(1, len(steps)), dtype=bool))
    return MetricTable(
        {name: values[last] for name, values in table.columns.items()},
        table.losses[np.repeat(last, table.counts)],
        table.counts[last],
    )


def _parsed_whole(content: bytes) -> MetricTable | None:
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
    return MetricTable(columns, lists.values.to_numpy(), np.diff(lists.offsets.to_numpy()))
