"""Weights & Biases beside a training, as the trainer sees it: a process that it never waits for.

The process is :mod:`gr00t_assets.trainers.wandb_sidecar`. It has a session of its own, takes no
Ctrl-C and inherits no open file: nothing that wandb does or fails to do reaches the trainer.
"""

import math
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gr00t_assets.runs.metrics import Metric
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.reporter import Reporter
from gr00t_assets.trainers.wandb_record import FOLDER, place_record, save_record, sync_command

FINISH_SECONDS = "GR00T_ASSETS_WANDB_FINISH_SECONDS"
"""Names how long an ended training waits for W&B, in seconds; 15 where it is not set."""

ENDED, FAILED = "ended", "failed"
"""What the sidecar's standard input says of the end of a training; nothing: it was killed."""

KEPT = "metrics.jsonl has every loss"

_FINISH_TIMEOUT = 15.0
_KILL_AFTER = 2.0
_PATIENCE_ON_INTERRUPT = 5.0


def finish_timeout() -> float:
    """Seconds after which the sidecar ends, counted from the end of the training."""
    try:
        seconds = float(os.environ[FINISH_SECONDS])
    except (KeyError, ValueError):
        return _FINISH_TIMEOUT
    return seconds if 0 < seconds < math.inf else _FINISH_TIMEOUT


@contextmanager
def wandb_run(spec: TrainingSpec, reporter: Reporter) -> Iterator[None]:
    """Have a sidecar upload what is logged for as long as the block lasts.

    The manifest that the block leaves in the run directory gives the run's summary and exit code.
    Nothing is started where the experiment's ``report_to`` is ``none`` or WANDB_MODE is
    ``disabled``. Nothing that goes wrong with W&B is raised: it is said in one line.

    Args:
        spec: What is trained; its run directory holds it.
        reporter: Told how W&B is doing.
    """
    if spec.experiment.report_to == "none" or os.environ.get("WANDB_MODE") == "disabled":
        yield
        return
    try:
        sidecar = Sidecar(spec.run_directory, reporter)
    except Exception as error:
        reporter.say(f"W&B: {first_line(error)}; {KEPT}")
        yield
        return
    reporter.listen(sidecar.hear)
    patience, word = finish_timeout() + _KILL_AFTER, FAILED
    try:
        yield
        word = ENDED
    except KeyboardInterrupt:
        patience = _PATIENCE_ON_INTERRUPT
        raise
    finally:
        try:
            sidecar.end(word, patience)
        except Exception as error:
            reporter.say(f"W&B: {first_line(error)}; {KEPT}")


class Sidecar:
    """The process as the trainer sees it.

    Raises:
        Gr00tAssetsError: The record cannot be written.
        OSError: The folder cannot be made, or the process cannot be started.
    """

    def __init__(self, run_directory: Path, reporter: Reporter) -> None:
        (run_directory / FOLDER).mkdir(exist_ok=True)
        place_record(run_directory)
        self._directory = run_directory
        self._reporter = reporter
        self._incomplete = b""
        self._process = subprocess.Popen(
            sidecar_command(run_directory),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
            env={
                "WANDB_X_DISABLE_STATS": "true",
                "WANDB_ERROR_REPORTING": "false",
                **os.environ,
                "WANDB_SILENT": "true",
            },
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        os.set_blocking(self._output.fileno(), False)

    def hear(self, metric: Metric) -> None:
        """Say what it printed, whenever a line is logged."""
        with suppress(OSError):
            self.pass_on_output()

    def pass_on_output(self) -> bool:
        """Say the lines that it printed since the last time; False once it has ended."""
        content = self._output.read()
        if content:
            *lines, self._incomplete = (self._incomplete + content).split(b"\n")
            for line in lines:
                self._reporter.say(f"W&B: {line.decode(errors='replace')}")
        return content != b""

    def end(self, word: str, patience: float) -> None:
        """Tell it how the training ended, wait so many seconds at most, and say what is left."""
        deadline = time.monotonic() + patience
        with suppress(BrokenPipeError):
            self._input.write(word.encode())
            self._input.close()
        while (running := self.pass_on_output()) and (left := deadline - time.monotonic()) > 0:
            select.select([self._output], [], [], left)
        if running:
            self._reporter.say(f"W&B: it did not end in time; {KEPT}")
        elif code := self._process.wait():
            self._reporter.say(f"W&B: its process ended with code {code}; {KEPT}")
        self._process.kill()
        self._process.wait()
        self._output.close()
        self._record_sync_command()

    def _record_sync_command(self) -> None:
        """Put the command that uploads what is here into the record, and on the terminal."""
        record = place_record(self._directory)
        here = sync_command(self._directory, record, here=True)
        save_record(record.model_copy(update={"sync": here}), self._directory)
        if sync := sync_command(self._directory, record):
            self._reporter.say(f"W&B: to upload this run: {sync}")


def sidecar_command(run_directory: Path, *options: str) -> list[str]:
    """The command line of the process beside a training."""
    module = "gr00t_assets.trainers.wandb_sidecar"
    return [sys.executable, "-m", module, str(run_directory), *options]


def first_line(error: Exception) -> str:
    """The first line of an error, without the key."""
    text = (str(error).strip().splitlines() or [type(error).__name__])[0]
    key = os.environ.get("WANDB_API_KEY")
    return text.replace(key, "***") if key else text
