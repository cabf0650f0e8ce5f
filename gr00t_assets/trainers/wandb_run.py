"""Weights & Biases beside a training, as the trainer sees it: a process that it never waits for.

The process is ``gr00t_assets.trainers.wandb_sidecar``. It has a session of its own, takes no
Ctrl-C and inherits no open file: nothing that wandb does or fails to do reaches the trainer.
``wandb.json`` says which W&B run a run directory is, over every attempt at it, and how much of
``metrics.jsonl`` is sent.
"""

import math
import os
import secrets
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from gr00t_assets.core.files import FrozenModel, read_limited, write_json
from gr00t_assets.core.project import project_settings
from gr00t_assets.runs.metrics import Metric, MetricTail
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.base_model_files import looks_like_path
from gr00t_assets.trainers.failures.failure_pattern import redacted
from gr00t_assets.trainers.reporter import Reporter

RECORD = "wandb.json"
FOLDER = "wandb"
"""Folder of the run directory that the wandb package writes to."""

DEFAULT_PROJECT = "gr00t-assets"

FINISH_SECONDS = "GR00T_ASSETS_WANDB_FINISH_SECONDS"
"""Names how long an ended training waits for W&B, in seconds; 15 where it is not set."""

ENDED, FAILED = "ended", "failed"
"""What the sidecar's standard input says of the end of a training; nothing: it was killed."""

KEPT = "metrics.jsonl has every loss"

_ID_BYTES = 8
_LONGEST_TAG = 64  # characters
_EMPTY = 7  # bytes of a ``.wandb`` file that holds no record

_FINISH_TIMEOUT, _KILL_AFTER, _PATIENCE_ON_INTERRUPT = 15.0, 2.0, 5.0

_QUIET = {"WANDB_X_DISABLE_STATS": "true", "WANDB_ERROR_REPORTING": "false"}


class WandbRecord(FrozenModel):
    """``wandb.json``: which W&B run this run directory is, over every attempt at it."""

    format: Literal[1] = 1
    id: str
    entity: str | None = None  # None is the key's own entity
    project: str
    mode: Literal["online", "offline"] | None = None  # Of the last attempt; None until it is known
    url: str | None = None  # The run's page, once it was online
    sync: str | None = None  # Command that uploads what is here, run in the run directory
    sent_bytes: int | None = None  # Bytes of metrics.jsonl that W&B has; None in older records
    held_out_step: int = 0  # Step of the last held-out loss that W&B has; 0: none
    uploaded: bool = False  # Whether the last attempt was online and ended well


def read_record(run_directory: Path) -> WandbRecord | None:
    """The record of a run directory; None where there is none that can be read."""
    try:
        return WandbRecord.model_validate_json(read_limited(run_directory / RECORD))
    except (OSError, ValueError):
        return None


def place_record(run_directory: Path, **changes: object) -> WandbRecord:
    """The record of a run directory with some fields changed; made where none can be read.

    It is written in one step where it is another than before. A later attempt keeps id, entity and
    project, whatever the environment says by then. Of an older record everything that is logged so
    far counts as sent, as where a power cut took lines that were sent.

    Raises:
        StoreError: The disk is full.
    """
    before, logged = read_record(run_directory), MetricTail(run_directory).offset
    record = before or WandbRecord(
        id=secrets.token_hex(_ID_BYTES),
        entity=os.environ.get("WANDB_ENTITY") or None,
        project=os.environ.get("WANDB_PROJECT") or DEFAULT_PROJECT,
        sent_bytes=0,
    )
    older = logged if record.mode else 0
    sent = older if record.sent_bytes is None else min(record.sent_bytes, logged)
    record = record.model_copy(update={"sent_bytes": sent, **changes})
    if record != before:
        write_json(run_directory / RECORD, record.model_dump(mode="json"))
    return record


def run_tags(spec: TrainingSpec) -> tuple[str, ...]:
    """Tags of the project, of the experiment and of WANDB_TAGS, each once.

    A tag longer than the 64 characters that W&B takes is cut.
    """
    given = os.environ.get("WANDB_TAGS", "").split(",")
    tags = (*project_settings().wandb_tags, *spec.experiment.tags, *given)
    return tuple(dict.fromkeys(cut for tag in tags if (cut := tag.strip()[:_LONGEST_TAG])))


def run_config(spec: TrainingSpec) -> dict[str, Any]:
    """The hyperparameters by their names, and what they were used on; no path of this machine."""
    experiment, data, base_model = spec.experiment, spec.data, spec.experiment.base_model
    return {
        **experiment.hyperparameters.model_dump(mode="json"),
        "samples_per_step": experiment.hyperparameters.samples_per_step,
        **experiment.model_dump(mode="json", include={"trainer", "base_model_revision"}),
        "base_model": Path(base_model).name if looks_like_path(base_model) else base_model,
        "dataset": data.name,
        "dataset_version": data.version,
        "data_config": data.data_config,
        "embodiment_tag": data.embodiment_tag,
        "config_hash": spec.config_hash,
    }


def history_rows(metric: Metric, samples_per_step: int) -> list[dict[str, float]]:
    """One row for each step of a logged line; the last one has what was logged at that step."""
    first = metric.step - len(metric.losses) + 1
    rows: list[dict[str, float]] = [
        {
            "train/global_step": step,
            "train/samples_seen": metric.samples_seen - (metric.step - step) * samples_per_step,
            "train/step_loss": loss,
        }
        for step, loss in enumerate(metric.losses, first)
    ] or [{"train/global_step": metric.step, "train/samples_seen": metric.samples_seen}]
    logged = metric.model_dump(exclude={"step", "samples_seen", "losses"})
    rows[-1] |= {f"train/{name}": value for name, value in logged.items()}
    rows[-1]["by_samples/loss"] = metric.loss
    return rows


def sync_command(run_directory: Path, record: WandbRecord, here: bool = False) -> str | None:
    """The command that uploads what is kept in a run directory; ``None`` where nothing is.

    ``wandb sync data/store/runs/NAME/HASH/wandb/offline-run-20250601_101500-3f2a9c0d11e47b58``, or
    with ``here`` the paths as seen from the run directory.
    """
    paths, online = [], []
    for file in sorted((run_directory / FOLDER).glob(f"*run-*-{record.id}*/*.wandb")):
        folder, was_online = file.parent, file.parent.name.startswith("run-")
        done = file.with_name(f"{file.name}.synced").exists() or (record.uploaded and was_online)
        if not done and file.stat().st_size > _EMPTY:
            paths.append(str(folder.relative_to(run_directory) if here else folder))
            online = ["--include-online"] if was_online else online
    return shlex.join(["wandb", "sync", *online, *paths]) if paths else None


def finish_timeout() -> float:
    """Seconds after which the sidecar ends, counted from the end of the training."""
    seconds = 0.0
    with suppress(KeyError, ValueError):
        seconds = float(os.environ[FINISH_SECONDS])
    return seconds if 0 < seconds < math.inf else _FINISH_TIMEOUT


@contextmanager
def wandb_run(spec: TrainingSpec, reporter: Reporter) -> Iterator[None]:
    """Have a sidecar upload what is logged for as long as the block lasts.

    The manifest that the block leaves in the run directory gives the run's summary and exit code.
    Nothing is started where the experiment's ``report_to`` is ``none`` or WANDB_MODE is
    ``disabled``. Nothing that goes wrong with W&B is raised: it is said in one line.
    """
    sidecar = None
    if spec.experiment.report_to != "none" and os.environ.get("WANDB_MODE") != "disabled":
        with _said(reporter):
            sidecar = Sidecar(spec.run_directory, reporter)
    patience, word = finish_timeout() + _KILL_AFTER, FAILED
    try:
        yield
        word = ENDED
    except KeyboardInterrupt:
        patience = _PATIENCE_ON_INTERRUPT
        raise
    finally:
        if sidecar is not None:
            with _said(reporter):
                sidecar.end(word, patience)


@contextmanager
def _said(reporter: Reporter) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        reporter.say(f"W&B: {first_line(error)}; {KEPT}")


class Sidecar:
    """The process as the trainer sees it; what it prints is said at once, by a thread."""

    def __init__(self, run_directory: Path, reporter: Reporter) -> None:
        (run_directory / FOLDER).mkdir(exist_ok=True)
        place_record(run_directory)
        self._directory = run_directory
        self._say = lambda line: reporter.say(f"W&B: {line}")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gr00t_assets.trainers.wandb_sidecar", str(run_directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            env={**_QUIET, **os.environ, "WANDB_SILENT": "true"},
        )
        self._reader = threading.Thread(target=self._pass_on_output, daemon=True)
        self._reader.start()

    def _pass_on_output(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                self._say(line.rstrip("\n"))

    def end(self, word: str, patience: float) -> None:
        """Tell it how the training ended, wait so many seconds at most, and say what is left."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError), self._process.stdin as stdin:
            stdin.write(word)
        try:
            code = self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            self._say(f"it did not end in time; {KEPT}")
            code = 0
        self._reader.join(_KILL_AFTER)
        if code:
            self._say(f"its process ended with code {code}; {KEPT}")
        record = place_record(self._directory)
        place_record(self._directory, sync=sync_command(self._directory, record, here=True))
        if sync := sync_command(self._directory, record):
            self._say(f"to upload this run: {sync}")


def first_line(error: Exception) -> str:
    """The first line of an error, without secrets."""
    return redacted((str(error).strip().splitlines() or [type(error).__name__])[0])
