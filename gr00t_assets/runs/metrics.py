"""``metrics.jsonl``: one line per logged step, appended while training, read as columns.

Beside it ``held_out_loss.jsonl``, the losses on held-out episodes while a run trains.
"""

import json
import math
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from gr00t_assets.core.errors import CheckpointError
from gr00t_assets.core.files import (
    LARGEST_JSON,
    LARGEST_LIST,
    append_line,
    read_limited,
    read_objects,
    sync_file,
)

METRICS = "metrics.jsonl"

HELD_OUT_LOSS = "held_out_loss.jsonl"
"""In the run directory: ``step``, ``loss``, and ``samples`` that it is the mean of."""

_TAILS = 1 << 16, 1 << 20  # bytes of the end that are looked at for a line before more is


class Metric(BaseModel):
    """What is logged every ``logging_steps`` steps; losses are per step, none is left out."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    step: int = Field(description="Optimizer steps done")
    samples_seen: int
    epoch: float = Field(allow_inf_nan=False)
    loss: float = Field(description="Mean over the steps since the last line")
    losses: tuple[float, ...] = Field(description="Loss of each step since the last line")
    grad_norm: float = Field(description="Before clipping, at this step")
    learning_rate: float = Field(allow_inf_nan=False, description="That this step was taken with")
    wall_seconds: float = Field(
        allow_inf_nan=False, description="Training time so far, over every attempt"
    )


def append_metric(metric: Metric, run_directory: Path) -> None:
    """Add one line; a line cut off by a kill or a full disk is passed over when reading.

    A power cut may take lines back up to the last ``sync_metrics``, that of the last checkpoint.
    ``OSError``: the disk is full.
    """
    append_line(run_directory / METRICS, metric.model_dump_json().encode())


def sync_metrics(run_directory: Path) -> None:
    """Have what was logged outlast a power cut; before anything is written that counts on it."""
    if (run_directory / METRICS).is_file():
        sync_file(run_directory / METRICS)


class MetricTail:
    """The lines that another process adds, one time each.

    ``offset`` are the bytes that were read or passed over, at first all where left out.
    """

    def __init__(self, run_directory: Path, offset: int | None = None) -> None:
        self._path = run_directory / METRICS
        size = self._path.stat().st_size if self._path.is_file() else 0
        self.offset = size if offset is None else offset

    def new(self) -> list[Metric]:
        """Lines completed since the last time, of a bounded part of the file."""
        whole = end = b""
        with suppress(FileNotFoundError), self._path.open("rb") as file:
            file.seek(self.offset)
            whole, end, _ = file.read(LARGEST_JSON).rpartition(b"\n")
        self.offset += len(whole) + len(end)
        return list(filter(None, map(_parsed, whole.split(b"\n"))))


def last_metrics(run_directory: Path, lines: int) -> list[Metric]:
    """The last logged lines, without a look at the whole file; none where it cannot be read.

    At most so many; of a line that is damaged, or cut off by a kill, there is nothing.
    """
    path = run_directory / METRICS
    with suppress(OSError), path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        for length in (*_TAILS, LARGEST_JSON):
            start = max(0, size - length)
            file.seek(start)
            complete = file.read(size - start).split(b"\n")[1 if start else 0 : -1]
            metrics = list(filter(None, map(_parsed, complete[-lines:])))
            if metrics or not start:
                return metrics
    return []


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
    """Logged lines in order of steps.

    ``columns`` has the values by field of ``Metric``, ``counts`` the number of losses, each of
    shape ``(lines,)``; ``losses`` those of each logged step, shape ``(steps,)``.
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
    def complete_steps(self) -> int:
        """Steps from the first one on of which there is a loss each."""
        return int((self.loss_steps == np.arange(1, len(self.losses) + 1)).cumprod().sum())

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
    again, is taken from its last line. A line that is damaged, or cut off by a kill, is passed
    over; ``missing_losses`` tells what is missing. A file with such a line, or a loss that is not
    finite, is read line by line, any other one whole, by pyarrow.

    Raises:
        OSError: The file cannot be read.
        CheckpointError: It is larger than any run's.
    """
    path, content = run_directory / METRICS, b""
    try:
        with suppress(FileNotFoundError):
            content = read_limited(path, LARGEST_LIST)
    except ValueError as error:
        remedy = f"move {run_directory} away and materialise again"
        raise CheckpointError(str(path), f"{error}.", [remedy]) from error
    table = _parsed_whole(content)
    if table is None:
        lines = content.decode(errors="replace").split("\n")
        table = MetricTable.of(list(filter(None, map(_parsed, lines))))
    steps = table.columns["step"]
    # The least step of a line and of those after it: a line whose steps were done again is not it.
    least = np.minimum.accumulate(steps[::-1])[::-1]
    last = np.append(steps[:-1] < least[1:], np.ones(min(1, len(steps)), dtype=bool))
    return MetricTable(
        {name: values[last] for name, values in table.columns.items()},
        table.losses[np.repeat(last, table.counts)],
        table.counts[last],
    )


def missing_losses(metrics: MetricTable, steps: int | None = None) -> str | None:
    """Of which steps there is no loss, or more than one, in words; None where there is one of each.

    ``steps`` are those done, up to the last one that was logged where left out.

    Examples:
        >>> missing_losses(NO_METRICS, 3)
        'losses of 3 of 3 steps are missing, the first one that of step 1'
    """
    logged = metrics.loss_steps
    if steps is None:
        steps = int(metrics.columns["step"][-1]) if len(metrics) else 0
    if len(logged) == steps and (logged == np.arange(1, steps + 1)).all():
        return None
    known = np.unique(logged[(logged >= 1) & (logged <= steps)])
    if len(known) == steps:
        return f"{len(logged)} losses are logged for {steps} steps"
    ahead = np.flatnonzero(known != np.arange(1, len(known) + 1))
    first = int(ahead[0]) + 1 if len(ahead) else len(known) + 1
    return (
        f"losses of {steps - len(known)} of {steps} steps are missing, the first one that of "
        f"step {first}"
    )


def _parsed_whole(content: bytes) -> MetricTable | None:
    import pyarrow as pa
    import pyarrow.json as pj

    if not content.startswith(b"{"):  # pyarrow 26 dies of a first line that is null
        return None
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


def append_held_out_loss(run_directory: Path, step: int, loss: float, samples: int) -> None:
    """Add the loss after a step, which outlasts a power cut; ``OSError`` where the disk is full."""
    path = run_directory / HELD_OUT_LOSS
    append_line(path, json.dumps({"step": step, "loss": loss, "samples": samples}).encode())
    sync_file(path)


def read_held_out_losses(run_directory: Path) -> dict[int, float]:
    """Loss after each step that it was taken at, in the order of steps.

    Of a step that was done twice, since a run died after it, the later one. A damaged line, and a
    loss that is no finite number, are passed over.
    """
    losses = {
        item["step"]: item["loss"]
        for item in read_objects(run_directory / HELD_OUT_LOSS)
        if isinstance(item.get("step"), int)
        and isinstance(item.get("loss"), float)
        and math.isfinite(item["loss"])
    }
    return dict(sorted(losses.items()))
