"""The process that tells Weights & Biases of a training: it tails ``metrics.jsonl``.

``python -m gr00t_assets.trainers.wandb_sidecar RUN_DIRECTORY``. Standard input says how the
training ended, see ``gr00t_assets.trainers.wandb_run``; each line of standard output is for a
person.
"""

import netrc
import os
import select
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.metrics import MetricTail
from gr00t_assets.runs.run_directory import SPEC
from gr00t_assets.runs.spec import TrainingSpec, load_spec
from gr00t_assets.trainers.wandb_run import (
    FAILED,
    FOLDER,
    KEPT,
    WandbRecord,
    finish_timeout,
    first_line,
    history_rows,
    place_record,
    run_config,
    run_tags,
    save_record,
    sidecar_command,
)

_PATIENCE_WITH_SERVER = 5.0
"""Seconds that an ended training waits for a server that has not let the run begin, at most."""

_REACH_TIMEOUT = 5.0
_INIT_TIMEOUT = 30.0
_UPLOAD_MARGIN = 3.0
_POLL = 0.5
_RECORD_EVERY = 5.0
_EXIT_CODES = {"finished": 0, "pruned": 0, "interrupted": 130}


class TrainingEnd(threading.Thread):
    """Watches for the end of the training, and ends this process if it lasts too long after it.

    Attributes:
        word: What the trainer wrote so far.
        since: When the training ended, by the monotonic clock, where that is known.
        came: Set once the training has ended.
        beginning: Set while the run begins online.
    """

    def __init__(self, run_directory: Path, word: str, since: float | None) -> None:
        super().__init__(daemon=True)
        self.word, self.since = word, since
        self.came, self.beginning = threading.Event(), threading.Event()
        self.folders_before: set[Path] = set()
        self._directory, self._trainer = run_directory, os.getppid()
        self._environment, self._taking_over = dict(os.environ), threading.Lock()
        # What the wandb package prints is for nobody.
        self._output, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)

    def print(self, line: str) -> None:
        """One line for a person; lost where the trainer is gone."""
        try:
            os.write(self._output, f"{line}\n".encode())
        except BrokenPipeError:
            return

    def run(self) -> None:
        """Wait for the end, then for the two limits."""
        if self.since is None:
            self._wait_for_trainer()
            self.since = time.monotonic()
        self.came.set()
        limit = finish_timeout()
        _sleep_until(self.since + min(_PATIENCE_WITH_SERVER, limit / 3))
        if self.beginning.is_set():
            self.begin_anew_offline("its server does not answer")
        _sleep_until(self.since + limit)
        self.print(f"it did not end in time; {KEPT}")
        os._exit(0)

    def begin_anew_offline(self, reason: str) -> None:
        """Take over this process with the same program: a refused run spoils the package.

        What the refused run wrote is removed. The first thread that comes here does it; another,
        such as one whose ``wandb.init`` this interrupts, waits for its end.
        """
        self._taking_over.acquire()
        for child in psutil.Process().children(recursive=True):
            child.kill()
        for folder in self._run_folders() - self.folders_before:
            shutil.rmtree(folder, ignore_errors=True)
        os.dup2(self._output, 1)
        since = "" if self.since is None else str(self.since)
        command = sidecar_command(self._directory, reason, self.word, since)
        os.execve(command[0], command, self._environment)

    def begin_online(self) -> None:
        """Note that a run begins online, which the end of the training cuts short."""
        self.folders_before = self._run_folders()
        self.beginning.set()

    def _run_folders(self) -> set[Path]:
        return set((self._directory / FOLDER).glob("*run-*"))

    def _wait_for_trainer(self) -> None:
        """Until standard input ends, or the trainer is gone and others hold it open."""
        while True:
            if select.select([0], [], [], 1.0)[0]:
                content = os.read(0, 1 << 10)
                if not content:
                    return
                self.word += content.decode(errors="replace")
            elif os.getppid() != self._trainer:
                return


def main(arguments: list[str]) -> int:
    """Serve one attempt at a run until its training has ended.

    The arguments are the run directory and, once online was refused, the reason, what the trainer
    wrote by then and, where it has ended, when, by the monotonic clock in seconds.
    """
    directory, (offline, word, since) = Path(arguments[0]), (*arguments[1:], "", "", "")[:3]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end = TrainingEnd(directory, word, float(since) if since else None)
    end.start()
    try:
        spec = load_spec(directory / SPEC)
        run, record = _begin(spec, place_record(directory), end, offline)
        record = _follow(run, spec, record, end)
        summary, exit_code = _outcome(directory, end.word)
        run.summary.update(summary)
        run.finish(exit_code=exit_code)
        _updated(record, directory, uploaded=record.mode == "online")
    except TimeoutError:
        end.print(f"its upload did not end in time; {KEPT}")
    except Exception as error:
        end.print(f"{first_line(error)}; {KEPT}")
    return 0


def _begin(
    spec: TrainingSpec, record: WandbRecord, end: TrainingEnd, offline: str
) -> tuple[Any, WandbRecord]:
    """A run of the wandb package, online where that can be had, else offline."""
    import wandb

    mode, reason = ("offline", offline) if offline else _mode(wandb)
    if mode != "offline":
        end.begin_online()
    try:
        run = _init(wandb, spec, record, mode)
    except Exception as error:
        if mode != "offline":
            end.begin_anew_offline(first_line(error))
        raise
    end.beginning.clear()
    run.define_metric("train/global_step")
    run.define_metric("train/samples_seen")
    run.define_metric("train/*", step_metric="train/global_step")
    run.define_metric("by_samples/*", step_metric="train/samples_seen")
    mode = "offline" if run.offline else "online"
    end.print(run.url if mode == "online" else f"offline ({reason})" if reason else mode)
    url = run.url or record.url
    return run, _updated(record, spec.run_directory, mode=mode, url=url, uploaded=False)


def _updated(record: WandbRecord, run_directory: Path, **changes: object) -> WandbRecord:
    return save_record(record.model_copy(update=changes), run_directory)


def _init(wandb: Any, spec: TrainingSpec, record: WandbRecord, mode: str) -> Any:
    wanted = {
        "silent": True,
        "console": "off",
        "disable_git": True,
        "disable_code": True,
        "disable_job_creation": True,
        "symlink": False,
        "init_timeout": _INIT_TIMEOUT,
        "finish_timeout": max(finish_timeout() - _UPLOAD_MARGIN, 1.0),
        "finish_timeout_raises": True,
        "x_disable_meta": True,
        "x_disable_machine_info": True,
        "x_save_requirements": False,
        "x_stats_pid": os.getppid(),
    }
    supported = {key: value for key, value in wanted.items() if key in wandb.Settings.model_fields}
    return wandb.init(
        id=record.id,
        entity=record.entity,
        project=record.project,
        name=spec.experiment.name,
        group=spec.experiment.sweep,
        job_type=spec.experiment.trainer,
        tags=list(run_tags(spec)),
        notes=spec.experiment.hypothesis or None,
        config=run_config(spec),
        dir=str(spec.run_directory),
        mode=mode,
        resume="allow",
        save_code=False,
        settings=wandb.Settings(**supported),
    )


def _follow(run: Any, spec: TrainingSpec, record: WandbRecord, end: TrainingEnd) -> WandbRecord:
    """Send every line from where an earlier attempt stopped until the training has ended."""
    tail = MetricTail(spec.run_directory, record.sent_bytes)
    per_step = spec.experiment.hyperparameters.samples_per_step
    saved, ended = time.monotonic(), False
    while not ended:
        ended = end.came.wait(_POLL)
        for metric in tail.new():
            for row in history_rows(metric, per_step):
                run.log(row)
        if tail.offset != record.sent_bytes and (ended or time.monotonic() - saved > _RECORD_EVERY):
            saved = time.monotonic()
            record = _updated(record, spec.run_directory, sent_bytes=tail.offset)
    return record


def _outcome(run_directory: Path, word: str) -> tuple[dict[str, Any], int]:
    """The run's summary and exit code, from the manifest that the training left."""
    try:
        manifest = load_manifest(run_directory) if word else None
    except Gr00tAssetsError:
        manifest = None
    if manifest is None:
        return {"status": "failed"}, 1
    window = manifest.final_loss
    summary = {
        "status": manifest.status,
        "steps": manifest.steps,
        "samples": manifest.samples_seen,
        "final_loss": window.mean if window else None,
        "final_loss_se": window.standard_error if window else None,
    }
    code = _EXIT_CODES.get(manifest.status, 1)
    return summary, max(code, 1) if word == FAILED else code


def _mode(wandb: Any) -> tuple[str, str | None]:
    """The mode to begin with, and why it is offline where nobody asked for that."""
    mode = os.environ.get("WANDB_MODE")
    if mode in ("offline", "dryrun"):
        return "offline", None
    settings = wandb.setup().settings
    if not mode and not _has_key(settings):
        return "offline", "no API key"
    if not _reachable(settings.base_url):
        return "offline", "its server cannot be reached"
    return mode or "online", None


def _has_key(settings: Any) -> bool:
    """Whether there are credentials, looked up without the network, unlike ``wandb.login``."""
    if settings.api_key or getattr(settings, "identity_token_file", None):
        return True
    try:
        hosts = netrc.netrc(os.environ.get("NETRC"))
    except (OSError, netrc.NetrcParseError):
        return False
    return hosts.authenticators(urlsplit(settings.base_url).netloc) is not None


def _reachable(url: str) -> bool:
    """Whether anything answers there, through the proxy where one is set."""
    import requests

    try:
        requests.head(url, timeout=_REACH_TIMEOUT, allow_redirects=False)
    except requests.exceptions.SSLError:
        return True
    except requests.exceptions.RequestException:
        return False
    return True


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
