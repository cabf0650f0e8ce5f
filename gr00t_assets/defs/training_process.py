"""A trainer as a process of its own: in a GPU slot, under a guard, heard through Dagster Pipes."""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import PipesEnvContextInjector, PipesTempFileMessageReader, open_pipes_session
from dagster._core.errors import DagsterExecutionInterruptedError

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.processes import ends_within
from gr00t_assets.core.project import Store
from gr00t_assets.defs.failures import ExplainedInterruptError
from gr00t_assets.defs.metadata import readable
from gr00t_assets.defs.serving import Serving
from gr00t_assets.gpu.guard import end_guarded, guarded, stop_grace
from gr00t_assets.gpu.slots import acquire, needed_memory
from gr00t_assets.runs.earlier import wait_for_earlier
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.metrics import Metric
from gr00t_assets.runs.run_directory import LOG
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.failures.explain import TAIL

OBSERVE_EVERY = 5.0
"""Seconds between two observations of the loss, at least."""

_POLL = 0.25
_AFTER_GRACE = 10.0


def run_training(
    context: dg.AssetExecutionContext, command: Sequence[str], spec: TrainingSpec, store: Store
) -> tuple[int, list[str]]:
    """Wait for GPU slots, run a trainer in them, and pass on what it says while it does.

    Standard output and error go to ``log.txt`` in the run directory, by the trainer itself, so that
    they are there whatever becomes of this process; from there they are copied to the run's page.
    Where this process is interrupted the trainer gets SIGINT and ``GR00T_ASSETS_STOP_GRACE``
    seconds to write a checkpoint in. However this process, the guard or the trainer ends, nothing
    of them is left.

    Returns:
        The exit code, 128 + n for signal n, and the last lines of output.
    """
    experiment, grace = spec.experiment, stop_grace()
    path = spec.run_directory / LOG
    serving = Serving(context.run, experiment.name)
    serving.check()
    patience = grace + _AFTER_GRACE
    wait_for_earlier(spec.run_directory, patience, context.log.info, serving.check)
    with (
        acquire(
            experiment.hyperparameters.num_gpus,
            store,
            experiment.name,
            context.log.info,
            vram_bytes=needed_memory(experiment),
            run_id=context.run_id,
            check=serving.check,
        ) as lease,
        open_pipes_session(
            context, PipesEnvContextInjector(), PipesTempFileMessageReader()
        ) as session,
        path.open("ab") as log,
    ):
        tail = LogTail(path)
        guard = subprocess.Popen(
            guarded(command, grace, lease.mark),
            stdout=log,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                **lease.environment(),
                **session.get_bootstrap_env_vars(),
                "PYTHONUNBUFFERED": "1",
            },
            pass_fds=lease.descriptors,
            start_new_session=True,
        )
        try:
            lease.record(guard.pid)
            context.log.info(f"training {experiment.name} on {', '.join(lease.devices)}")
            curve = LossObserver(context)
            while not ends_within(guard, _POLL):
                serving.check()
                tail.copy()
                curve.observe(session.get_custom_messages())
        except (KeyboardInterrupt, DagsterExecutionInterruptedError) as interrupt:
            _stop(guard, grace)
            raise ExplainedInterruptError(_stopped(spec)) from interrupt
        except BaseException:
            _stop(guard, grace)
            raise
        finally:
            code = end_guarded(guard, lease.mark)
            tail.copy()
    return code, tail.last


def _stopped(spec: TrainingSpec) -> TrainingError:
    manifest = load_manifest(spec.run_directory)
    where = f" at step {manifest.steps} of {manifest.max_steps}" if manifest else ""
    return TrainingError(
        spec.experiment.name,
        f"training was stopped{where}.",
        ["materialise it again: it goes on from its last checkpoint"],
    )


class LogTail:
    """Copies what is appended to a file to standard output, whole lines at a time.

    Args:
        path: The file; what it holds already is passed over.
    """

    def __init__(self, path: Path) -> None:
        self._last: deque[str] = deque(maxlen=TAIL)
        self._file = path.open("rb")
        self._file.seek(0, os.SEEK_END)
        self._rest = b""

    def copy(self) -> None:
        """Copy the lines that were completed since the last time."""
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace")
            self._last.append(text)
            sys.stdout.write(text + "\n")
        sys.stdout.flush()

    @property
    def last(self) -> list[str]:
        """The last lines so far, with what an ended process left of a line."""
        rest = self._rest.decode(errors="replace")
        return [*self._last, *([rest] if rest.strip() else [])]


class LossObserver:
    """Logs the newest training loss as an asset observation, so that the page draws a live curve.

    The name ``training_loss`` keeps it apart from the ``final_loss`` of the materialisation.

    Args:
        context: Context of the step that trains.
    """

    def __init__(self, context: dg.AssetExecutionContext) -> None:
        self._context = context
        self._seen = 0
        self._observed = float("-inf")

    def observe(self, messages: Sequence[Any]) -> None:
        """Take every message of the session so far; log at most one observation."""
        now = time.monotonic()
        if now - self._observed < OBSERVE_EVERY:
            return
        metrics = [message["metric"] for message in messages[self._seen :] if _is_metric(message)]
        self._seen = len(messages)
        if not metrics:
            return
        self._observed = now
        metric = Metric.model_validate(metrics[-1])
        self._context.log_event(
            dg.AssetObservation(
                asset_key=self._context.asset_key,
                partition=self._context.partition_key,
                metadata={
                    "training_loss": readable(metric.loss),
                    "training_step": metric.step,
                    "training_samples_seen": metric.samples_seen,
                    "training_learning_rate": readable(metric.learning_rate),
                    "training_grad_norm": readable(metric.grad_norm),
                },
            )
        )


def _is_metric(message: Any) -> bool:
    return isinstance(message, dict) and message.get("type") == "metric"


def _stop(guard: "subprocess.Popen[bytes]", grace: float) -> None:
    """Have the guard end the trainer; what does not end, or a second interrupt, ends at once."""
    if guard.poll() is None:
        guard.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            guard.wait(grace + _AFTER_GRACE)
