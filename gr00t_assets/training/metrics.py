"""``metrics.jsonl``: one line per logged step, appended while training runs."""

import json
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
    """Add one line; a line cut off by a kill is passed over when reading."""
    with (run_directory / METRICS).open("a") as file:
        file.write(metric.model_dump_json() + "\n")


def read_metrics(run_directory: Path) -> list[Metric]:
    """Every logged line in order of steps.

    A step that was logged twice, since a run died after its last checkpoint and did the steps
    again, is taken from its last line. A line cut off by a kill is passed over.
    """
    path = run_directory / METRICS
    if not path.is_file():
        return []
    newest: dict[int, Metric] = {}
    for metric in _lines(path):
        for step in [step for step in newest if step >= metric.step]:
            del newest[step]
        newest[metric.step] = metric
    return list(newest.values())


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
        return Metric.model_validate(json.loads(line))
    except ValueError:
        return None
