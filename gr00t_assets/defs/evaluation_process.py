"""An evaluation as a process of its own: in a GPU slot as a training is, under a guard."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import dagster as dg
from dagster._core.errors import DagsterExecutionInterruptedError

from gr00t_assets.core.errors import EvaluationError
from gr00t_assets.core.processes import ends_within
from gr00t_assets.core.project import Store
from gr00t_assets.defs.failures import ExplainedFailureError, ExplainedInterruptError
from gr00t_assets.defs.metadata import in_store
from gr00t_assets.defs.training_process import LogTail
from gr00t_assets.gpu.devices import CPU, devices
from gr00t_assets.gpu.guard import end_guarded, guarded
from gr00t_assets.gpu.marks import new_mark
from gr00t_assets.gpu.slots import acquire, needed_memory
from gr00t_assets.runs.spec import TrainingSpec

LOG = "evaluation.log"
"""In the run directory: what the process printed."""

_GRACE = 10.0
_POLL = 0.25
_SHOWN = 20


def run_evaluation(context: dg.AssetExecutionContext, spec: TrainingSpec, store: Store) -> None:
    """Evaluate a finished run; on a GPU wait for a slot first.

    On a CPU it is one thread for less than a minute and needs no slot. Where this process is
    interrupted, or dies, the evaluation ends too, with nothing written but its log.

    Raises:
        ExplainedFailureError: It could not be evaluated; the message says why.
        ExplainedInterruptError: It was stopped.
    """
    name, path = spec.experiment.name, spec.run_directory / LOG
    command = [sys.executable, "-m", "gr00t_assets.evaluation", str(spec.run_directory)]
    with ExitStack() as held, path.open("ab") as log:
        visible, descriptors, mark = {"CUDA_VISIBLE_DEVICES": ""}, (), new_mark()
        lease = None
        if CPU not in devices():
            lease = held.enter_context(
                acquire(
                    1,
                    store,
                    f"evaluation of {name}",
                    context.log.info,
                    vram_bytes=needed_memory(spec.experiment),
                    run_id=context.run_id,
                )
            )
            visible, descriptors, mark = lease.environment(), lease.descriptors, lease.mark
        tail = LogTail(path)
        guard = subprocess.Popen(
            guarded(command, _GRACE, mark),
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **visible, "PYTHONUNBUFFERED": "1"},
            pass_fds=descriptors,
            start_new_session=True,
        )
        try:
            if lease is not None:
                lease.record(guard.pid)
            while not ends_within(guard, _POLL):
                tail.copy()
        except (KeyboardInterrupt, DagsterExecutionInterruptedError) as interrupt:
            _stop(guard)
            stopped = EvaluationError(name, "its evaluation was stopped.", ["materialise it again"])
            raise ExplainedInterruptError(stopped) from interrupt
        finally:
            code = end_guarded(guard, mark)
            tail.copy()
    if code:
        raise _failure(name, code, tail.last, path, store)


def _failure(
    name: str, code: int, lines: Sequence[str], path: Path, store: Store
) -> ExplainedFailureError:
    """What the process said of its end, which is the explained error where it knew one."""
    tail = list(lines)[-_SHOWN:]
    starts = [place for place, line in enumerate(tail) if line.split(":")[0].endswith("Error")]
    details = tail[starts[-1] :] if starts else tail[-3:]
    error = EvaluationError(
        name,
        f"its evaluation ended with code {code}.",
        [*(line.strip() for line in details), f"log: {in_store(path, store)}"],
    )
    shown = "\n".join(tail).replace("```", "'''")
    return ExplainedFailureError(error, {"log_tail": dg.MetadataValue.md(f"```text\n{shown}\n```")})


def _stop(guard: "subprocess.Popen[bytes]") -> None:
    if guard.poll() is None:
        guard.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            guard.wait(_GRACE)
