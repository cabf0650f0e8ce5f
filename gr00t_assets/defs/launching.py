"""Trainings and evaluations as processes of their own, on the page of the run that started them."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from gr00t_assets.core.errors import EvaluationError, Gr00tAssetsError, TrainingError
from gr00t_assets.core.files import read_objects
from gr00t_assets.core.locks import Every
from gr00t_assets.core.project import Store
from gr00t_assets.defs import metadata as show
from gr00t_assets.defs.failures import INTERRUPTS, ExplainedFailureError, ExplainedInterruptError
from gr00t_assets.defs.queue import priority_of
from gr00t_assets.defs.recovery import parent_check
from gr00t_assets.defs.training_runs import launched_by_server
from gr00t_assets.engines.job import EngineSilentError, JobFailure, JobRequest
from gr00t_assets.engines.start import engine_of_run, started
from gr00t_assets.experiments.engine_file import LOCAL
from gr00t_assets.runs.manifest import ATTEMPTS, Manifest, load_manifest
from gr00t_assets.runs.metrics import Metric, last_metrics, read_metrics
from gr00t_assets.runs.progress import Progress, read_progress
from gr00t_assets.runs.retry import EXIT_CODE, FAILURE
from gr00t_assets.runs.run_directory import LOG
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.failures.explain import as_explained, explain, is_explained
from gr00t_assets.trainers.failures.failure_pattern import RESUMES
from gr00t_assets.trainers.process_launcher import launched

MOST, _CURVE_EVERY = 200, 10
"""Observations of one training, over every attempt at it; every tenth has the loss curve, which is
drawn from the whole history."""


class ProgressEvents:
    """Asset observations of the run of one partition, on the pages of the partition and the run.

    There are at most ``MOST`` of a training, however often it goes on after a kill, and ``seconds``
    between two: those that are left are spread over the steps that are left. The name
    ``training_loss`` keeps it apart from the ``final_loss`` of the materialisation.
    """

    def __init__(
        self, context: dg.AssetExecutionContext, run_directory: Path, seconds: float = 5.0
    ) -> None:
        self._context = context
        self._directory = run_directory
        self._is_due = Every(seconds)
        self._left = MOST - self._made_before()
        self._next_step, self._made = 0.0, 0
        self._last = next(iter(last_metrics(run_directory, 1)), None)

    def observe(self, *, last: bool = False) -> None:
        """Observe where there is something new and it is time for it; the last one always."""
        if not last and not self._is_due():
            return
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
        shown = self._metadata(metric, progress, last or metric.step >= progress.steps)
        asset, partition = self._context.asset_key, self._context.partition_key
        self._context.log_event(dg.AssetObservation(asset, partition=partition, metadata=shown))
        self._left, self._made = self._left - 1, self._made + 1
        self._next_step = metric.step + max(0, progress.steps - metric.step) / max(1, self._left)

    def _metadata(self, metric: Metric, progress: Progress, last: bool) -> dict[str, Any]:
        eta = curve = None
        if progress.eta_seconds is not None:
            arrival = datetime.now(UTC) + timedelta(seconds=progress.eta_seconds)
            eta = f"{arrival:%Y-%m-%d %H:%M:%S} UTC"
        if last or self._made % _CURVE_EVERY == _CURVE_EVERY - 1:
            from gr00t_assets.reporting.images import inline_curve

            with suppress(Gr00tAssetsError, OSError):
                drawn = inline_curve(read_metrics(self._directory), show.INLINE)
                curve = dg.MetadataValue.md(drawn)
        log = None if self._made else dg.MetadataValue.path(str(self._directory / LOG))
        metadata: show.Metadata = {
            "training_step": metric.step,
            "training_steps": progress.steps,
            "training_percent": show.readable(100 * metric.step / max(1, progress.steps)),
            "training_loss": show.readable(metric.loss),
            "training_eta": eta,
            "training_samples_per_second": show.readable(progress.samples_per_second),
            "training_samples_seen": metric.samples_seen,
            "training_learning_rate": show.readable(metric.learning_rate),
            "training_grad_norm": show.readable(metric.grad_norm),
            "training_engine": progress.engine,
            "training_node": progress.node or "not known",
            "training_loss_line": curve,
            "training_log": log,
        }
        return show.known(metadata)

    def _made_before(self) -> int:
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


_TAIL_LINES = 20


def run_training(
    context: dg.AssetExecutionContext, command: Sequence[str], spec: TrainingSpec
) -> tuple[int, list[str]]:
    """Run a trainer on the engine of its experiment, and pass on what it says while it does.

    What it prints goes to ``log.txt`` in the run directory, whatever becomes of this process, and
    is copied from there to the run's page. On this machine it waits for GPU slots, and ends with
    this process: interrupted, it has ``GR00T_ASSETS_STOP_GRACE`` seconds to write a checkpoint in.
    The job of another engine ends so where a person cancels the run. Where the Dagster around this
    process is stopped or killed it runs on, and the next run attaches to it.

    Returns:
        The exit code, 128 + n for signal n, and the last lines of output.

    Raises:
        EngineError: The engine does not answer, or does not take the job.
        ExplainedFailureError: A node refused the job, or the engine ended it.
    """
    experiment, run, store = spec.experiment, context.run, Store(Path(spec.store))
    check = parent_check(run, experiment.name)
    check()
    events = ProgressEvents(context, spec.run_directory)
    priority = priority_of(run, experiment.priority)
    request = JobRequest(command, spec, store, run.run_id, priority, context.log.info, check)
    settings = engine_of_run(request)
    try:
        with started(request, settings) as job:
            try:
                context.log.info(f"training {experiment.name} on {job.where}")
                while not job.ended_within():
                    check()
                    events.observe()
            except INTERRUPTS as interrupt:
                if settings.kind != LOCAL and not _cancelled_by_person(context):
                    problem = f"the Dagster that follows {job.where} was stopped; "
                    problem += "the job itself runs on."
                    remedy = "it is asked for again when Dagster is back, and attaches to that job"
                    stopped = TrainingError(experiment.name, problem, [remedy])
                else:
                    job.stop()
                    stopped = _stopped(spec, load_manifest(spec.run_directory))
                raise ExplainedInterruptError(stopped) from interrupt
    except EngineSilentError as error:
        raise _job_failure(JobFailure(error, "job-lost")) from None
    events.observe(last=True)  # The next training has the slot by now.
    if job.failure is not None:
        raise _job_failure(job.failure, job.last_lines)
    return job.code, job.last_lines


def _job_failure(failure: JobFailure, last_lines: Sequence[str] = ()) -> ExplainedFailureError:
    tail = show.verbatim(last_lines[-_TAIL_LINES:])
    metadata = {FAILURE: dg.MetadataValue.text(failure.name), "log_tail": tail}
    return ExplainedFailureError(failure.error, metadata)


def _cancelled_by_person(context: dg.AssetExecutionContext) -> bool:
    """Whether somebody asked for an end on the page, or by Ctrl-C at a terminal."""
    if not launched_by_server(context.run):
        return True
    run = context.instance.get_run_by_id(context.run_id)
    cancelled = (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED)
    return run is None or run.status in cancelled


def _stopped(spec: TrainingSpec, manifest: Manifest | None, *details: str) -> TrainingError:
    where = f" at step {manifest.steps} of {manifest.max_steps}" if manifest else ""
    name = spec.experiment.name
    return TrainingError(name, f"training was stopped{where}.", [RESUMES, *details])


def run_worker(
    context: dg.AssetExecutionContext,
    command: Sequence[str],
    log: str,
    what: str,
    spec: TrainingSpec,
) -> None:
    """Evaluate a finished run, or roll it out; on a GPU wait for a slot first.

    On a CPU it is one thread for less than a minute and needs no slot. Where this process is
    interrupted, or dies, the worker ends too, with nothing written but its ``log`` in the run
    directory. Messages say ``what`` it does: ``evaluation``.

    Raises:
        ExplainedFailureError: It could not be done; the message says why.
        ExplainedInterruptError: It was stopped.
    """
    from gr00t_assets.evaluation.worker import STOP_GRACE, evaluation_lease

    name, path, store = spec.experiment.name, spec.run_directory / log, Store(Path(spec.store))
    with (
        evaluation_lease(spec.experiment, store, context.log.info, context.run_id) as lease,
        launched(command, lease, path, grace=STOP_GRACE) as process,
    ):
        try:
            while not process.ended_within():
                pass
        except INTERRUPTS as interrupt:
            process.stop()
            stopped = EvaluationError(name, f"its {what} was stopped.", ["materialise it again"])
            raise ExplainedInterruptError(stopped) from interrupt
    if process.code:
        tail = process.last_lines[-_TAIL_LINES:]
        # The explained error, where the process knew one.
        starts = [place for place, line in enumerate(tail) if line.split(":")[0].endswith("Error")]
        details = [line.strip() for line in (tail[starts[-1] :] if starts else tail[-3:])]
        details.append(f"log: {show.in_store(path, spec.store)}")
        error = EvaluationError(name, f"its {what} ended with code {process.code}.", details)
        raise ExplainedFailureError(error, {"log_tail": show.verbatim(tail)})


def training_failure(
    spec: TrainingSpec, code: int, manifest: Manifest | None, last_lines: Sequence[str]
) -> ExplainedFailureError:
    """Why a trainer ended without finishing, with an exit code of 128 + n for signal n.

    The failure in what this attempt wrote of itself is taken where it is explained, else the end of
    its log tells.
    """
    name, log = spec.experiment.name, show.in_store(spec.run_directory / LOG, spec.store)
    explanation = explain(last_lines, code, spec)
    error = explanation.error(name, log)
    if code == 130:
        error = _stopped(spec, manifest, f"log: {log}")
    elif code == 1 and manifest is not None and is_explained(manifest.failure):
        error = as_explained(manifest.failure, name, explanation.tail, log)
    return ExplainedFailureError(
        error,
        {
            "log_tail": show.verbatim(explanation.tail),
            "log": dg.MetadataValue.text(log),
            FAILURE: dg.MetadataValue.text(explanation.name),
            EXIT_CODE: dg.MetadataValue.int(code),
        },
    )
