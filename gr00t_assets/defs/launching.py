"""Trainings and evaluations as processes of their own, on the page of the run that started them."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster import PipesEnvContextInjector, PipesFileMessageReader, open_pipes_session

from gr00t_assets.core.errors import EvaluationError, TrainingError
from gr00t_assets.core.project import Store
from gr00t_assets.defs.failures import ExplainedFailureError, ExplainedInterruptError
from gr00t_assets.defs.metadata import in_store, readable, verbatim
from gr00t_assets.defs.queue import priority_of
from gr00t_assets.defs.recovery import parent_check
from gr00t_assets.defs.resources import dead_worker
from gr00t_assets.gpu.guard import stop_grace
from gr00t_assets.gpu.slots import acquire, needed_memory
from gr00t_assets.runs.manifest import Manifest, load_manifest
from gr00t_assets.runs.metrics import Metric
from gr00t_assets.runs.retry import EXIT_CODE, FAILURE
from gr00t_assets.runs.run_directory import LOG, wait_until_free
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.failures.explain import as_explained, explain, is_explained
from gr00t_assets.trainers.failures.failure_pattern import RESUMES
from gr00t_assets.trainers.process_launcher import launched

if TYPE_CHECKING:
    from gr00t_assets.evaluation.rollouts.result import RolloutSettings

OBSERVE_EVERY = 5.0
"""Seconds between two observations of the loss."""

EVALUATION_LOG = "evaluation.log"
"""In the run directory: what the evaluation's process printed."""

ROLLOUTS_LOG = "rollouts.log"
"""The same of rollouts."""

_MESSAGES = ".messages.{}.jsonl"
"""In the run directory, with the run's id: losses on their way to the page."""

_AFTER_GRACE = 10.0
_TAIL_LINES = 20


def run_training(
    context: dg.AssetExecutionContext, command: Sequence[str], spec: TrainingSpec, store: Store
) -> tuple[int, list[str]]:
    """Wait for GPU slots, run a trainer in them, and pass on what it says while it does.

    What it prints goes to ``log.txt`` in the run directory, whatever becomes of this process, and
    is copied from there to the run's page. Where this process is interrupted the trainer has
    ``GR00T_ASSETS_STOP_GRACE`` seconds to write a checkpoint in. However this process, the guard or
    the trainer ends, nothing of them is left.

    Returns:
        The exit code, 128 + n for signal n, and the last lines of output.
    """
    experiment = spec.experiment
    check = parent_check(context.run, experiment.name)
    check()
    patience = stop_grace() + _AFTER_GRACE
    wait_until_free(spec.run_directory, patience, context.log.info, check)
    messages = _messages_file(spec.run_directory, context.run_id, store)
    with (
        acquire(
            experiment.hyperparameters.num_gpus,
            store,
            experiment.name,
            context.log.info,
            vram_bytes=needed_memory(experiment),
            run_id=context.run_id,
            priority=priority_of(context.run, experiment.priority),
            check=check,
        ) as lease,
        open_pipes_session(
            context, PipesEnvContextInjector(), PipesFileMessageReader(str(messages))
        ) as session,
        launched(
            command, lease, spec.run_directory / LOG, variables=session.get_bootstrap_env_vars()
        ) as process,
    ):
        try:
            context.log.info(f"training {experiment.name} on {', '.join(lease.devices)}")
            observed, due = None, 0.0
            while not process.ended_within():
                check()
                if time.monotonic() >= due:
                    observed = observe_loss(context, session.get_custom_messages(), observed)
                    due = time.monotonic() + OBSERVE_EVERY
        except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError) as interrupt:
            process.stop()
            stopped = _stopped(spec, load_manifest(spec.run_directory))
            raise ExplainedInterruptError(stopped) from interrupt
    return process.code, process.last_lines


def _messages_file(directory: Path, run_id: str, store: Store) -> Path:
    """Where a trainer writes its losses for a run; those of runs that were killed are removed."""
    for path in directory.glob(_MESSAGES.format("*")):
        if dead_worker(path.suffixes[0].removeprefix("."), store) is not None:
            path.unlink(missing_ok=True)
    return directory / _MESSAGES.format(run_id)


def _stopped(spec: TrainingSpec, manifest: Manifest | None, *details: str) -> TrainingError:
    where = f" at step {manifest.steps} of {manifest.max_steps}" if manifest else ""
    name = spec.experiment.name
    return TrainingError(name, f"training was stopped{where}.", [RESUMES, *details])


def observe_loss(
    context: dg.AssetExecutionContext, messages: Sequence[Any], observed: Metric | None
) -> Metric | None:
    """Log the newest training loss as an asset observation, so that the page draws a live curve.

    The name ``training_loss`` keeps it apart from the ``final_loss`` of the materialisation.

    Returns:
        What is observed by now: of ``messages``, every one of the session so far, the last metric.
    """
    metrics = [
        message["metric"]
        for message in messages
        if isinstance(message, dict) and message.get("type") == "metric"
    ]
    metric = Metric.model_validate(metrics[-1]) if metrics else observed
    if metric is not None and metric != observed:
        context.log_event(
            dg.AssetObservation(
                asset_key=context.asset_key,
                partition=context.partition_key,
                metadata={
                    "training_loss": readable(metric.loss),
                    "training_step": metric.step,
                    "training_samples_seen": metric.samples_seen,
                    "training_learning_rate": readable(metric.learning_rate),
                    "training_grad_norm": readable(metric.grad_norm),
                },
            )
        )
    return metric


def run_evaluation(context: dg.AssetExecutionContext, spec: TrainingSpec, store: Store) -> None:
    """Evaluate a finished run; on a GPU wait for a slot first.

    On a CPU it is one thread for less than a minute and needs no slot. Where this process is
    interrupted, or dies, the evaluation ends too, with nothing written but its log.

    Raises:
        ExplainedFailureError: It could not be evaluated; the message says why.
        ExplainedInterruptError: It was stopped.
    """
    from gr00t_assets.evaluation.worker import evaluation_command

    command = evaluation_command(spec.run_directory)
    _run_worker(context, command, EVALUATION_LOG, "evaluation", spec, store)


def run_rollouts(
    context: dg.AssetExecutionContext,
    spec: TrainingSpec,
    store: Store,
    environment: str,
    settings: "RolloutSettings",
) -> None:
    """Roll a finished run out in simulation; as ``run_evaluation`` in all else."""
    from gr00t_assets.evaluation.rollouts.worker import rollout_command

    command = rollout_command(spec.run_directory, environment, settings)
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
