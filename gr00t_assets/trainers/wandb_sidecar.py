"""The process that tells Weights & Biases of a training: it tails ``metrics.jsonl``.

``python -m gr00t_assets.trainers.wandb_sidecar RUN_DIRECTORY``. Standard input says how the
training ended, see ``gr00t_assets.trainers.wandb_run``; each line of standard output is for a
person.
"""

import math
import os
import select
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.text import printable
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.metrics import MetricTail, read_held_out_losses
from gr00t_assets.runs.run_directory import SPEC
from gr00t_assets.runs.spec import TrainingSpec, load_spec
from gr00t_assets.trainers import wandb_run

_SERVER_TIMEOUT, _INIT_TIMEOUT, _UPLOAD_MARGIN = 5.0, 15.0, 3.0
_POLL, _RECORD_EVERY = 0.5, 5.0
"""Seconds, all of them."""

_EXIT_CODES = {"finished": 0, "pruned": 0, "interrupted": 130}


class TrainerPipe:
    """The trainer at the other end of standard input and output; ``word`` is what it wrote."""

    def __init__(self) -> None:
        self.word = ""
        self._trainer, self._environment = os.getppid(), dict(os.environ)
        # What the wandb package prints is for nobody.
        self._output, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)

    def print(self, line: str) -> None:
        """One line for a person; lost where the trainer is gone."""
        with suppress(BrokenPipeError):
            os.write(self._output, f"{printable(line)}\n".encode())

    def ended_within(self, seconds: float) -> bool:
        """Wait so long at most until the training ends, or the trainer is gone."""
        if not select.select([0], [], [], seconds)[0]:
            return os.getppid() != self._trainer
        content = os.read(0, 1 << 10)
        self.word += content.decode(errors="replace")
        return not content

    def begin_anew(self, offline: str) -> None:
        """Take over this process with a new one that is offline, and end what it has started."""
        for child in psutil.Process().children(recursive=True):
            child.kill()
        os.dup2(self._output, 1)
        command = [sys.executable, *sys.orig_argv[1:], offline]
        os.execve(sys.executable, command, self._environment)


def main(arguments: list[str]) -> int:
    """Serve one attempt at a run until its training has ended.

    The arguments are the run directory and, once online was refused, the reason.
    """
    directory, offline = Path(arguments[0]), "".join(arguments[1:])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    trainer = TrainerPipe()
    try:
        spec = load_spec(directory / SPEC)
        record = wandb_run.place_record(directory)
        run = _begin(spec, record, trainer, offline)
        tail = MetricTail(directory, record.sent_bytes)
        _follow(run, spec, tail, record.held_out_step, trainer)
        # A trainer that is still there ends this process before.
        signal.alarm(math.ceil(wandb_run.finish_timeout() + _UPLOAD_MARGIN))
        summary, exit_code = _outcome(directory, trainer.word)
        run.summary.update(summary)
        run.finish(exit_code=exit_code)
        wandb_run.place_record(directory, uploaded=not run.offline)
    except TimeoutError:
        trainer.print(f"its upload did not end in time; {wandb_run.KEPT}")
    except Exception as error:
        trainer.print(f"{wandb_run.first_line(error)}; {wandb_run.KEPT}")
    return 0


def _begin(
    spec: TrainingSpec, record: wandb_run.WandbRecord, trainer: TrainerPipe, offline: str
) -> Any:
    """A run of the wandb package, online where that can be had, else offline.

    A refused run spoils the package, so that this program begins anew, without what it wrote.
    """
    import wandb

    folder = spec.run_directory / wandb_run.FOLDER
    mode, reason = ("offline", offline) if offline else _mode(wandb)
    before = set(folder.glob("*run-*"))
    try:
        run = _init(wandb, spec, record, mode)
    except Exception as error:
        if mode != "offline":
            for refused in set(folder.glob("*run-*")) - before:
                shutil.rmtree(refused, ignore_errors=True)
            trainer.begin_anew(wandb_run.first_line(error))
        raise
    run.define_metric("train/global_step")
    run.define_metric("train/samples_seen")
    run.define_metric("train/*", step_metric="train/global_step")
    run.define_metric("held_out/*", step_metric="train/global_step")
    run.define_metric("by_samples/*", step_metric="train/samples_seen")
    mode = "offline" if run.offline else "online"
    trainer.print(run.url if mode == "online" else f"offline ({reason})" if reason else mode)
    wandb_run.place_record(spec.run_directory, mode=mode, url=run.url or record.url, uploaded=False)
    return run


def _init(wandb: Any, spec: TrainingSpec, record: wandb_run.WandbRecord, mode: str) -> Any:
    experiment = spec.experiment
    wanted = {
        "silent": True,
        "console": "off",
        "disable_git": True,
        "disable_code": True,
        "disable_job_creation": True,
        "symlink": False,
        "init_timeout": _INIT_TIMEOUT,
        "finish_timeout": max(wandb_run.finish_timeout() - _UPLOAD_MARGIN, 1.0),
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
        name=experiment.name,
        group=experiment.sweep,
        job_type=experiment.trainer,
        tags=list(wandb_run.run_tags(spec)),
        notes=experiment.hypothesis or None,
        config=wandb_run.run_config(spec),
        dir=str(spec.run_directory),
        mode=mode,
        resume="allow",
        save_code=False,
        settings=wandb.Settings(**supported),
    )


def _follow(
    run: Any, spec: TrainingSpec, tail: MetricTail, held_out_step: int, trainer: TrainerPipe
) -> None:
    """Send every line from where an earlier attempt stopped until the training has ended."""
    per_step, directory = spec.experiment.hyperparameters.samples_per_step, spec.run_directory
    sent, saved, ended = (tail.offset, held_out_step), time.monotonic(), False
    while not ended:
        ended = trainer.ended_within(_POLL)
        for metric in tail.new():
            for row in wandb_run.history_rows(metric, per_step):
                run.log(row)
        for step, loss in read_held_out_losses(directory).items():
            if step > held_out_step:
                run.log({"train/global_step": step, "held_out/loss": loss})
                held_out_step = step
        now = (tail.offset, held_out_step)
        if now != sent and (ended or time.monotonic() - saved > _RECORD_EVERY):
            sent, saved = now, time.monotonic()
            wandb_run.place_record(directory, sent_bytes=now[0], held_out_step=held_out_step)


def _outcome(run_directory: Path, word: str) -> tuple[dict[str, Any], int]:
    """The run's summary and exit code, from the manifest that the training left."""
    manifest = None
    with suppress(Gr00tAssetsError):
        manifest = load_manifest(run_directory) if word else None
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
    return summary, max(code, 1) if word == wandb_run.FAILED else code


def _mode(wandb: Any) -> tuple[str, str | None]:
    """The mode to begin with, and why it is offline where nobody asked for that."""
    from requests.utils import get_netrc_auth

    mode = os.environ.get("WANDB_MODE")
    if mode in ("offline", "dryrun"):
        return "offline", None
    settings = wandb.setup().settings
    # Looked up without the network, unlike ``wandb.login``; older versions have no token file.
    key = settings.api_key or getattr(settings, "identity_token_file", None)
    if not (mode or key or get_netrc_auth(settings.base_url)):
        return "offline", "no API key"
    problem = _server_problem(settings.base_url)
    return ("offline", problem) if problem else (mode or "online", None)


def _server_problem(url: str) -> str | None:
    """Why a run cannot begin online, as far as one question to the server tells."""
    import requests

    question = {"query": "query { serverInfo { cliVersionInfo } }", "variables": {}}
    try:
        requests.post(f"{url}/graphql", json=question, timeout=_SERVER_TIMEOUT)
    except requests.exceptions.SSLError:
        return None
    except requests.exceptions.ReadTimeout:
        return "its server does not answer"
    except requests.exceptions.RequestException:
        return "its server cannot be reached"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
