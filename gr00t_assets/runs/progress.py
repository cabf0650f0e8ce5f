"""How far a training is, by its run directory alone: whoever trains it, on whatever machine."""

import math
import statistics
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import Field

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.files import FrozenModel, file_stamp, read_json
from gr00t_assets.core.locks import UNKNOWN, LockRecord
from gr00t_assets.experiments.engine_file import LOCAL
from gr00t_assets.runs.final_loss import window_steps
from gr00t_assets.runs.manifest import ATTEMPTS, readable_manifest
from gr00t_assets.runs.metrics import METRICS, Metric, last_metrics
from gr00t_assets.runs.run_directory import LOCK
from gr00t_assets.runs.spec import SPEC, spec_settings

_JOB, _JOBS = "job.json", "jobs"
"""In the run directory: which engine's job trains it, and what the nodes say of each."""

STRETCH = 50
"""Logged lines that the speed, the loss and the usual time between two lines are taken from."""

STALLED_AFTER, _LEAST_SECONDS = 10.0, 120.0
"""Times the usual time between two lines without a new one, and seconds at least, after which a
training is taken for stalled: a checkpoint or an evaluation takes its time as well."""


class Progress(FrozenModel):
    """How far a run is, and how fast it goes on."""

    step: int = Field(description="Optimizer steps done, as far as they are logged")
    steps: int = Field(description="Of the whole run")
    loss: float | None = Field(description="Over the last steps; of a finished run its final loss")
    samples_per_second: float | None = Field(description="Over the last logged lines")
    eta_seconds: float | None = Field(description="Until the last step, at that speed")
    engine: str = Field(description="Where it trains: local, or a name of data/engines.yaml")
    node: str | None = Field(description="The machine, where the run says it")
    last_step_at: float | None = Field(
        description="When a line was logged last, or an attempt began later; seconds since 1970"
    )
    usual_seconds: float | None = Field(description="Between two logged lines, the median")

    @property
    def percent(self) -> float:
        """Share of the steps that are done."""
        return 100 * self.step / self.steps if self.steps else 0.0

    def is_stalled(self, now: float | None = None) -> bool:
        """Whether no line was logged for ten times as long as between two lines before.

        It tells nothing of a run that does not train: one that waits for a slot is not stalled.
        """
        if self.last_step_at is None or self.usual_seconds is None:
            return False
        silent = (time.time() if now is None else now) - self.last_step_at
        return silent > max(_LEAST_SECONDS, STALLED_AFTER * self.usual_seconds)


def read_progress(run_directory: Path) -> Progress | None:
    """How far the run of a directory is; ``None`` where it has no spec that can be read.

    What is damaged is passed over. Of ``metrics.jsonl`` only the end is read.
    """
    try:
        steps = int(spec_settings(run_directory / SPEC)["max_steps"])
    except (Gr00tAssetsError, OSError, KeyError, TypeError, ValueError):
        return None
    job = _job(run_directory)
    if done := _ended(run_directory, job):
        return done
    lines = last_metrics(run_directory, STRETCH)
    stretch = _stretch(lines)
    first, last = (stretch[0], stretch[-1]) if stretch else (None, None)
    step = last.step if last else 0
    speed = eta = usual = None
    if first and last and (seconds := last.wall_seconds - first.wall_seconds) > 0:
        speed = (last.samples_seen - first.samples_seen) / seconds
        eta = max(0, steps - step) * seconds / (last.step - first.step)
        usual = statistics.median(
            after.wall_seconds - before.wall_seconds for before, after in pairwise(stretch)
        )
    # A line counts as logged no earlier than the last attempt began, which loads a model.
    stamp = file_stamp((run_directory / METRICS, run_directory / ATTEMPTS))
    return Progress(
        step=step,
        steps=steps,
        loss=_recent_loss(stretch),
        samples_per_second=speed,
        eta_seconds=eta,
        engine=str(job.get("engine") or LOCAL),
        node=_node(run_directory, job),
        last_step_at=max(modified for _, modified, _ in stamp) / 1e9 if stretch else None,
        usual_seconds=usual,
    )


def _recent_loss(lines: list[Metric]) -> float | None:
    """The mean over the final window of a run that ends here, as far as the lines go back."""
    losses = [loss for line in lines for loss in line.losses]
    window = losses[-window_steps(lines[-1].step) :] if losses else [math.nan]
    mean = sum(window) / len(window)
    return mean if math.isfinite(mean) else None


def _stretch(lines: list[Metric]) -> list[Metric]:
    """The last lines that follow one another: none of an attempt whose steps were done again."""
    stretch = lines[-1:]
    for line in reversed(lines[:-1]):
        after = stretch[0]
        if line.step >= after.step or line.wall_seconds > after.wall_seconds:
            break
        stretch.insert(0, line)
    return stretch


def _ended(run_directory: Path, job: dict[str, Any]) -> Progress | None:
    """Of a run that its manifest calls over; one that was interrupted may be at work again."""
    manifest = readable_manifest(run_directory)
    if manifest is None or manifest.status not in ("finished", "pruned"):
        return None
    loss = manifest.final_loss.mean if manifest.final_loss else None
    return Progress(
        step=manifest.steps,
        steps=manifest.max_steps,
        loss=loss,
        samples_per_second=manifest.samples_per_second or None,
        eta_seconds=0.0,
        engine=manifest.engine,
        node=manifest.node or _node(run_directory, job),
        last_step_at=None,
        usual_seconds=None,
    )


def _job(run_directory: Path) -> dict[str, Any]:
    """The engine's job that was submitted last, with what its node says; empty without one."""
    job = _object(run_directory / _JOB)
    name = Path(str(job.get("name"))).name
    return job | _object(run_directory / _JOBS / f"{name}.json") if job else {}


def _object(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        content = read_json(path)
        return content if isinstance(content, dict) else {}
    return {}


def _node(run_directory: Path, job: dict[str, Any]) -> str | None:
    """As the job's node wrote it, else the host of whoever trained here last."""
    if job:
        return str(job["node"]) if "node" in job else None
    host = LockRecord.read(run_directory / LOCK).host
    return None if host == UNKNOWN else host
