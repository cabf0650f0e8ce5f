"""Trainings and evaluations as processes of their own, on the page of the run that started them."""

from collections.abc import Sequence

import dagster as dg

from gr00t_assets.core.errors import EvaluationError, TrainingError
from gr00t_assets.core.project import Store
from gr00t_assets.defs.failures import ExplainedFailureError, ExplainedInterruptError
from gr00t_assets.defs.metadata import in_store, verbatim
from gr00t_assets.defs.progress_events import ProgressEvents
from gr00t_assets.defs.queue import priority_of
from gr00t_assets.defs.recovery import parent_check
from gr00t_assets.defs.training_runs import launched_by_server
from gr00t_assets.engines.client import EngineSilentError
from gr00t_assets.engines.job import JobFailure, JobRequest
from gr00t_assets.engines.start import engine_of_run, started
from gr00t_assets.evaluation.result import EvaluationSettings
from gr00t_assets.evaluation.rollouts.result import RolloutSettings
from gr00t_assets.experiments.engine_file import LOCAL
from gr00t_assets.runs.manifest import Manifest, load_manifest
from gr00t_assets.runs.retry import EXIT_CODE, FAILURE
from gr00t_assets.runs.run_directory import LOG
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.failures.explain import as_explained, explain, is_explained
from gr00t_assets.trainers.failures.failure_pattern import RESUMES
from gr00t_assets.trainers.process_launcher import launched

EVALUATION_LOG = "evaluation.log"
"""In the run directory: what the evaluation's process printed."""

ROLLOUTS_LOG = "rollouts.log"
"""The same of rollouts."""

_TAIL_LINES = 20


def run_training(
    context: dg.AssetExecutionContext, command: Sequence[str], spec: TrainingSpec, store: Store
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
    experiment, run = spec.experiment, context.run
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
                events.observe(last=True)
            except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError) as interrupt:
                if settings.kind != LOCAL and not _cancelled_by_person(context):
                    raise ExplainedInterruptError(_left_running(spec, job.where)) from interrupt
                job.stop()
                stopped = _stopped(spec, load_manifest(spec.run_directory))
                raise ExplainedInterruptError(stopped) from interrupt
    except EngineSilentError as error:
        raise _job_failure(JobFailure(error, "job-lost")) from None
    if job.failure is not None:
        raise _job_failure(job.failure, job.last_lines)
    return job.code, job.last_lines


def _job_failure(failure: JobFailure, last_lines: Sequence[str] = ()) -> ExplainedFailureError:
    tail = verbatim(last_lines[-_TAIL_LINES:])
    metadata = {FAILURE: dg.MetadataValue.text(failure.name), "log_tail": tail}
    return ExplainedFailureError(failure.error, metadata)


def _cancelled_by_person(context: dg.AssetExecutionContext) -> bool:
    """Whether somebody asked for an end on the page, or by Ctrl-C at a terminal."""
    if not launched_by_server(context.run):
        return True
    run = context.instance.get_run_by_id(context.run_id)
    cancelled = (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED)
    return run is None or run.status in cancelled


def _left_running(spec: TrainingSpec, where: str) -> TrainingError:
    problem = f"the Dagster that follows {where} was stopped; the job itself runs on."
    remedy = "it is asked for again when Dagster is back, and attaches to that job"
    return TrainingError(spec.experiment.name, problem, [remedy])


def _stopped(spec: TrainingSpec, manifest: Manifest | None, *details: str) -> TrainingError:
    where = f" at step {manifest.steps} of {manifest.max_steps}" if manifest else ""
    name = spec.experiment.name
    return TrainingError(name, f"training was stopped{where}.", [RESUMES, *details])


def run_evaluation(context: dg.AssetExecutionContext, spec: TrainingSpec, store: Store) -> None:
    """Evaluate a finished run; on a GPU wait for a slot first.

    On a CPU it is one thread for less than a minute and needs no slot. Where this process is
    interrupted, or dies, the evaluation ends too, with nothing written but its log.

    Raises:
        ExplainedFailureError: It could not be evaluated; the message says why.
        ExplainedInterruptError: It was stopped.
    """
    from gr00t_assets.evaluation.worker import evaluation_command

    command = evaluation_command(spec.run_directory, EvaluationSettings())
    _run_worker(context, command, EVALUATION_LOG, "evaluation", spec, store)


def run_rollouts(
    context: dg.AssetExecutionContext,
    spec: TrainingSpec,
    store: Store,
    environment: str,
    settings: RolloutSettings,
) -> None:
    """Roll a finished run out in simulation; as ``run_evaluation`` in all else."""
    from gr00t_assets.evaluation.worker import evaluation_command

    command = evaluation_command(spec.run_directory, settings, environment)
    _run_worker(context, command, ROLLOUTS_LOG, "rolling out", spec, store)


def _run_worker(
    context: dg.AssetExecutionContext,
    command: Sequence[str],
    log: str,
    what: str,
    spec: TrainingSpec,
    store: Store,
) -> None:
    from gr00t_assets.evaluation.worker import STOP_GRACE, evaluation_lease

    name, path = spec.experiment.name, spec.run_directory / log
    with (
        evaluation_lease(spec.experiment, store, context.log.info, context.run_id) as lease,
        launched(command, lease, path, grace=STOP_GRACE) as process,
    ):
        try:
            while not process.ended_within():
                pass
        except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError) as interrupt:
            process.stop()
            stopped = EvaluationError(name, f"its {what} was stopped.", ["materialise it again"])
            raise ExplainedInterruptError(stopped) from interrupt
    if process.code:
        tail = list(process.last_lines)[-_TAIL_LINES:]
        # The explained error, where the process knew one.
        starts = [place for place, line in enumerate(tail) if line.split(":")[0].endswith("Error")]
        details = [line.strip() for line in (tail[starts[-1] :] if starts else tail[-3:])]
        problem = f"its {what} ended with code {process.code}."
        error = EvaluationError(name, problem, [*details, f"log: {in_store(path, store)}"])
        raise ExplainedFailureError(error, {"log_tail": verbatim(tail)})


def training_failure(
    spec: TrainingSpec,
    code: int,
    manifest: Manifest | None,
    last_lines: Sequence[str],
    store: Store,
) -> ExplainedFailureError:
    """Why a trainer ended without finishing, with an exit code of 128 + n for signal n.

    The failure in what this attempt wrote of itself is taken where it is explained, else the end of
    its log tells.
    """
    name, log = spec.experiment.name, in_store(spec.run_directory / LOG, store)
    explanation = explain(last_lines, code, spec)
    error = explanation.error(name, log)
    if code == 130:
        error = _stopped(spec, manifest, f"log: {log}")
    elif code == 1 and manifest is not None and is_explained(manifest.failure):
        error = as_explained(manifest.failure, name, explanation.tail, log)
    return ExplainedFailureError(
        error,
        {
            "log_tail": verbatim(explanation.tail),
            "log": dg.MetadataValue.text(log),
            FAILURE: dg.MetadataValue.text(explanation.name),
            EXIT_CODE: dg.MetadataValue.int(code),
        },
    )
