"""A running training on Dagster's pages: how far it is, when it ends, and its loss so far."""

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.files import read_objects
from gr00t_assets.defs.metadata import INLINE, Metadata, readable
from gr00t_assets.runs.manifest import ATTEMPTS
from gr00t_assets.runs.metrics import Metric, last_metrics, read_metrics
from gr00t_assets.runs.progress import Progress, read_progress
from gr00t_assets.runs.run_directory import LOG

MOST = 200
"""Observations of one training, over every attempt at it."""

OBSERVE_EVERY = 5.0
"""Seconds between two observations at least."""

_CURVE_EVERY = 10
"""Every so many observations have the loss curve; it is drawn from the whole history."""


class ProgressEvents:
    """Asset observations of the run of one partition, on the pages of the partition and the run.

    There are at most ``MOST`` of a training however long it is and however often it goes on after
    a kill: those that are left are spread over the steps that are left. The name ``training_loss``
    keeps it apart from the ``final_loss`` of the materialisation.

    Args:
        context: Of the asset that trains.
        run_directory: Where the trainer logs its steps, on whatever machine it runs.
        seconds: Between two observations at least.
    """

    def __init__(
        self, context: dg.AssetExecutionContext, run_directory: Path, seconds: float = OBSERVE_EVERY
    ) -> None:
        self._context = context
        self._directory = run_directory
        self._seconds = seconds
        self._left = MOST - self._made_before()
        self._due, self._next_step, self._made = 0.0, 0.0, 0
        before = last_metrics(run_directory, 1)
        self._last = before[-1] if before else None

    def observe(self, *, last: bool = False) -> None:
        """Observe where there is something new and it is time for it; the last one always."""
        if not last and time.monotonic() < self._due:
            return
        self._due = time.monotonic() + self._seconds
        metric = next(iter(last_metrics(self._directory, 1)), None)
        if metric is None or metric == self._last:
            return
        went_back = self._last is not None and metric.step < self._last.step
        if not last and (self._left <= 1 or (metric.step < self._next_step and not went_back)):
            return
        progress = read_progress(self._directory)
        if progress is None:
            return
        self._last = metric
        self._context.log_event(
            dg.AssetObservation(
                asset_key=self._context.asset_key,
                partition=self._context.partition_key,
                metadata=self._metadata(metric, progress, last or metric.step >= progress.steps),
            )
        )
        self._left, self._made = self._left - 1, self._made + 1
        self._next_step = metric.step + max(0, progress.steps - metric.step) / max(1, self._left)

    def _metadata(self, metric: Metric, progress: Progress, last: bool) -> Metadata:
        found: Metadata = {
            "training_step": metric.step,
            "training_steps": progress.steps,
            "training_percent": readable(100 * metric.step / max(1, progress.steps)),
            "training_loss": readable(metric.loss),
        }
        if progress.eta_seconds is not None:
            arrival = datetime.now(UTC) + timedelta(seconds=progress.eta_seconds)
            found["training_eta"] = f"{arrival:%Y-%m-%d %H:%M:%S} UTC"
        if progress.samples_per_second is not None:
            found["training_samples_per_second"] = readable(progress.samples_per_second)
        found |= {
            "training_samples_seen": metric.samples_seen,
            "training_learning_rate": readable(metric.learning_rate),
            "training_grad_norm": readable(metric.grad_norm),
            "training_engine": progress.engine,
            "training_node": progress.node or "not known",
        }
        if last or self._made % _CURVE_EVERY == _CURVE_EVERY - 1:
            from gr00t_assets.reporting.curve_images import inline_curve

            with suppress(Gr00tAssetsError, OSError):
                drawn = inline_curve(read_metrics(self._directory), INLINE)
                found["training_loss_line"] = dg.MetadataValue.md(drawn)
        if not self._made:
            found["training_log"] = dg.MetadataValue.path(str(self._directory / LOG))
        return found

    def _made_before(self) -> int:
        """Observations of the attempts so far."""
        attempts = read_objects(self._directory / ATTEMPTS)
        with suppress(StopIteration, KeyError, ValueError):
            began = datetime.fromisoformat(str(next(iter(attempts))["started_at"]))
            records = dg.AssetRecordsFilter(
                asset_key=self._context.asset_key,
                asset_partitions=[self._context.partition_key],
                after_timestamp=began.timestamp(),
            )
            return len(self._context.instance.fetch_observations(records, limit=MOST).records)
        return 0
