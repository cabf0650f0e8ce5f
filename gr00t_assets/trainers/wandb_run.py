"""Weights & Biases beside a training: told of every logged step, and never in its way."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.metrics import Metric, read_metrics
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.reporting import Reporter
from gr00t_assets.trainers.wandb_process import Message, WandbProcess
from gr00t_assets.trainers.wandb_settings import (
    FOLDER,
    place_record,
    run_settings,
    save_record,
    sync_command,
)
from gr00t_assets.trainers.wandb_worker import finish_timeout

_KILL_AFTER = 2.0
_AT_ONCE = 5.0
_EXIT_CODES = {"finished": 0, "pruned": 0, "interrupted": 130}


@contextmanager
def wandb_run(spec: TrainingSpec, reporter: Reporter) -> Iterator[None]:
    """Log what the reporter is told of to W&B for as long as the block lasts.

    The manifest that the block leaves in the run directory gives the run's summary and exit code.
    Nothing is started where the experiment's ``report_to`` is ``none`` or WANDB_MODE is
    ``disabled``. Nothing that goes wrong with W&B is raised: it is said in one line.

    Args:
        spec: What is trained; its run directory exists.
        reporter: Listened to, and told how W&B is doing.
    """
    if spec.experiment.report_to == "none" or os.environ.get("WANDB_MODE") == "disabled":
        yield
        return
    try:
        run = WandbRun(spec, reporter)
    except Exception as error:
        _without(reporter, error)
        yield
        return
    reporter.listen(run.log)
    patience, failed = finish_timeout() + _KILL_AFTER, True
    try:
        yield
        failed = False
    except KeyboardInterrupt:
        patience = _AT_ONCE
        raise
    finally:
        run.end(failed, patience)


class WandbRun:
    """One W&B run, told by a process of its own.

    Args:
        spec: What is trained.
        reporter: Told how it goes.

    Raises:
        Gr00tAssetsError: The record cannot be written.
        OSError: The folder cannot be made, or the process cannot be started.
    """

    def __init__(self, spec: TrainingSpec, reporter: Reporter) -> None:
        self._spec = spec
        self._reporter = reporter
        self._directory = spec.run_directory
        (self._directory / FOLDER).mkdir(exist_ok=True)
        self._record = place_record(self._directory)
        self._first_line = self._record.mode is None
        self._waiting: list[Message] | None = []
        self._finished = self._over = False
        self._earlier = self._folders()
        self._process = self._begin()

    def log(self, metric: Metric) -> None:
        """Send one logged line, as a row for every step since the line before."""
        try:
            per_step = self._spec.experiment.hyperparameters.samples_per_step
            for line in [*self._logged_before(metric), metric]:
                self._send(*({"log": row} for row in history_rows(line, per_step)))
            self._hear()
        except Exception as error:
            self._give_up(error)

    def end(self, failed: bool, patience: float) -> None:
        """Send summary and exit code, wait ``patience`` seconds at most, and say what is left."""
        try:
            self._send({"finish": self._finish(failed)})
            deadline = time.monotonic() + patience
            while not self._over and (left := deadline - time.monotonic()) > 0:
                self._process.wait(left)
                self._send()
                self._hear()
            self._give_up("it did not end in time")
        except Exception as error:
            self._give_up(error)
        finally:
            self._process.kill()
        try:
            self._keep()
        except Exception as error:
            _without(self._reporter, error)

    def _begin(self, mode: str | None = None, reason: str | None = None) -> WandbProcess:
        process = WandbProcess()
        init = run_settings(self._spec, self._record)
        process.send({"init": init, "trainer": os.getpid(), "mode": mode, "reason": reason})
        return process

    def _logged_before(self, metric: Metric) -> list[Metric]:
        """What the run directory holds and this W&B run does not: steps taken before it began."""
        if not self._first_line:
            return []
        self._first_line = False
        first = metric.step - len(metric.losses) + 1
        return [line for line in read_metrics(self._directory) if line.step < first]

    def _finish(self, failed: bool) -> Message:
        try:
            manifest = load_manifest(self._directory)
        except Gr00tAssetsError:
            manifest = None
        if manifest is None:
            return {"summary": {"status": "failed"}, "exit_code": 1}
        window = manifest.final_loss
        summary = {
            "status": manifest.status,
            "steps": manifest.steps,
            "samples": manifest.samples_seen,
            "final_loss": window.mean if window else None,
            "final_loss_se": window.standard_error if window else None,
        }
        code = _EXIT_CODES.get(manifest.status, 1)
        return {"summary": summary, "exit_code": max(code, 1) if failed else code}

    def _send(self, *messages: Message) -> None:
        """Send; what is sent before W&B has begun is kept, should another process have to begin."""
        if self._waiting is not None:
            self._waiting += messages
        if not self._over:
            self._process.send(*messages)

    def _hear(self) -> None:
        if self._over:
            return
        try:
            messages = self._process.receive()
        except EOFError as error:
            self._give_up(error)
            return
        for message in messages:
            match message["event"]:
                case "started":
                    self._started(message["mode"], message["url"], message["reason"])
                case "refused":
                    self._begin_offline(message["reason"])
                case "finished":
                    self._finished = True
                case _:
                    self._give_up(message["reason"])

    def _begin_offline(self, reason: str) -> None:
        """Start another process in the place of one that the server did not let begin."""
        self._process.kill()
        for folder in self._folders() - self._earlier:
            shutil.rmtree(folder, ignore_errors=True)
        self._process = self._begin("offline", reason)
        self._process.send(*(self._waiting or []))

    def _folders(self) -> set[Path]:
        return set((self._directory / FOLDER).glob("*run-*"))

    def _started(self, mode: str, url: str | None, reason: str | None) -> None:
        self._waiting = None
        known = {"mode": mode, "url": url or self._record.url}
        self._record = self._record.model_copy(update=known)
        save_record(self._record, self._directory)
        why = f" ({reason})" if reason else ""
        self._reporter.say(f"W&B: {url}" if mode == "online" else f"W&B: offline{why}")

    def _give_up(self, reason: object) -> None:
        if not self._over and not self._finished:
            _without(self._reporter, reason)
        self._over = True
        self._waiting = None

    def _keep(self) -> None:
        """Put the command that uploads what is here into the record, and on the terminal."""
        uploaded = self._finished and self._record.mode == "online"
        sync = sync_command(self._directory, self._record, uploaded)
        here = sync_command(self._directory, self._record, uploaded, here=True)
        save_record(self._record.model_copy(update={"sync": here}), self._directory)
        if sync:
            self._reporter.say(f"W&B: to upload this run: {sync}")


def history_rows(metric: Metric, samples_per_step: int) -> list[dict[str, float]]:
    """One row for each step of a logged line; the last one has what was logged at that step.

    Example:
        >>> line = Metric(step=2, samples_seen=16, epoch=0.5, loss=2.5, losses=(3.0, 2.0),
        ...               grad_norm=1.0, learning_rate=1e-4, wall_seconds=0.5)
        >>> [row["train/step_loss"] for row in history_rows(line, samples_per_step=8)]
        [3.0, 2.0]
    """
    first = metric.step - len(metric.losses) + 1
    rows: list[dict[str, float]] = [
        {
            "train/global_step": step,
            "train/samples_seen": metric.samples_seen - (metric.step - step) * samples_per_step,
            "train/step_loss": loss,
        }
        for step, loss in enumerate(metric.losses, first)
    ] or [{"train/global_step": metric.step, "train/samples_seen": metric.samples_seen}]
    rows[-1] |= {
        "train/loss": metric.loss,
        "train/grad_norm": metric.grad_norm,
        "train/learning_rate": metric.learning_rate,
        "train/epoch": metric.epoch,
        "train/wall_seconds": metric.wall_seconds,
        "by_samples/loss": metric.loss,
    }
    return rows


def _without(reporter: Reporter, reason: object) -> None:
    line = (str(reason).strip().splitlines() or [type(reason).__name__])[0]
    reporter.say(f"W&B: {line}; metrics.jsonl has every loss")
