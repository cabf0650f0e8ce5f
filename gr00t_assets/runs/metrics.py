"""``metrics.jsonl``: one line per logged step, appended while training runs."""

import os
from collections.abc import Iterator
from pathlib import Path

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
    kept: list[Metric] = []
    for metric in _lines(path):
        while kept and kept[-1].step >= metric.step:
            kept.pop()
        kept.append(metric)
    return kept


def _lines(path: Path) -> Iterator[Metric]:
    with path.open() as file:
        for line in file:
            metric = _parsed(line)
            if metric is not None:
                yield metric


class MetricTail:
    """The lines that another process adds, one time each.

    Args:
        run_directory: Where metrics.jsonl is; what it holds already is passed over.
    """

    def __init__(self, run_directory: Path) -> None:
        self._path = run_directory / METRICS
        self._offset = self._path.stat().st_size if self._path.is_file() else 0

    def new(self) -> list[Metric]:
        """Lines completed since the last time."""
        if not self._path.is_file():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            whole, end, _ = file.read().rpartition(b"\n")
        self._offset += len(whole) + len(end)
        return [metric for line in whole.split(b"\n") if (metric := _parsed(line)) is not None]


def _parsed(line: str | bytes) -> Metric | None:
    try:
        return Metric.model_validate_json(line)
    except ValueError:
        return None
