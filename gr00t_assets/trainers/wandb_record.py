"""What Weights & Biases is told of a run, and ``wandb.json``, the record of what it has.

The record keeps which W&B run a run directory is, over every attempt at it, and how much of
``metrics.jsonl`` is sent.
"""

import json
import os
import secrets
import shlex
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gr00t_assets.core.files import write_json
from gr00t_assets.runs.metrics import Metric, MetricTail
from gr00t_assets.runs.spec import TrainingSpec

RECORD = "wandb.json"
FOLDER = "wandb"
"""Folder of the run directory that the wandb package writes to."""

DEFAULT_PROJECT = "gr00t-assets"
TAG = "gr00t-overfit"
"""The tag that every GR00T training run carries."""

_LONGEST_TAG = 64
_ID_BYTES = 8
_EMPTY = 7
"""Bytes of a ``.wandb`` file that holds no record."""


class WandbRecord(BaseModel):
    """``wandb.json``: which W&B run this run directory is, over every attempt at it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    id: str
    entity: str | None = Field(default=None, description="None is the key's own entity")
    project: str
    mode: Literal["online", "offline"] | None = Field(
        default=None, description="Of the last attempt; None until it is known"
    )
    url: str | None = Field(default=None, description="The run's page, once it was online")
    sync: str | None = Field(
        default=None, description="Command that uploads what is here, run in the run directory"
    )
    sent_bytes: int | None = Field(
        default=None, description="Bytes of metrics.jsonl that W&B has; None in older records"
    )
    uploaded: bool = Field(
        default=False, description="Whether the last attempt was online and ended well"
    )


def read_record(run_directory: Path) -> WandbRecord | None:
    """The record of a run directory; None where there is none that can be read."""
    try:
        return WandbRecord.model_validate(json.loads((run_directory / RECORD).read_text()))
    except (OSError, ValueError):
        return None


def place_record(run_directory: Path) -> WandbRecord:
    """The record of a run directory, made and written where there is none that can be read.

    A later attempt keeps id, entity and project, whatever the environment says by then. Of an
    older record everything that is logged so far counts as sent.

    Raises:
        StoreError: The disk is full.
    """
    record = read_record(run_directory)
    if record is None:
        record = WandbRecord(
            id=secrets.token_hex(_ID_BYTES),
            entity=os.environ.get("WANDB_ENTITY") or None,
            project=os.environ.get("WANDB_PROJECT") or DEFAULT_PROJECT,
            sent_bytes=0,
        )
        save_record(record, run_directory)
    elif record.sent_bytes is None:
        sent = 0 if record.mode is None else MetricTail(run_directory).offset
        record = record.model_copy(update={"sent_bytes": sent})
        save_record(record, run_directory)
    return record


def save_record(record: WandbRecord, run_directory: Path) -> None:
    """Write it in one step.

    Raises:
        StoreError: The disk is full.
    """
    write_json(run_directory / RECORD, record.model_dump(mode="json"))


def run_tags(spec: TrainingSpec) -> tuple[str, ...]:
    """``gr00t-overfit``, the experiment's tags and those of WANDB_TAGS, each once.

    A tag longer than the 64 characters that W&B takes is cut.
    """
    wanted = [TAG, *spec.experiment.tags, *os.environ.get("WANDB_TAGS", "").split(",")]
    cut = [tag.strip()[:_LONGEST_TAG] for tag in wanted]
    return tuple(dict.fromkeys(tag for tag in cut if tag))


def run_settings(spec: TrainingSpec, record: WandbRecord) -> dict[str, Any]:
    """The arguments of ``wandb.init`` that say what this run is."""
    experiment = spec.experiment
    return {
        "id": record.id,
        "entity": record.entity,
        "project": record.project,
        "name": experiment.name,
        "group": experiment.sweep,
        "job_type": experiment.trainer,
        "tags": list(run_tags(spec)),
        "notes": experiment.hypothesis or None,
        "config": run_config(spec),
        "dir": str(spec.run_directory),
    }


def run_config(spec: TrainingSpec) -> dict[str, Any]:
    """The hyperparameters by their names, and what they were used on; no path of this machine."""
    experiment, modality = spec.experiment, spec.modality_config
    base_model = experiment.base_model
    return {
        **experiment.hyperparameters.model_dump(mode="json"),
        "samples_per_step": experiment.hyperparameters.samples_per_step,
        "trainer": experiment.trainer,
        "base_model": Path(base_model).name if Path(base_model).is_absolute() else base_model,
        "base_model_revision": experiment.base_model_revision,
        "dataset": modality.dataset,
        "dataset_version": modality.dataset_version,
        "data_config": modality.data_config,
        "embodiment_tag": modality.embodiment_tag,
        "config_hash": spec.config_hash,
    }


def sync_command(run_directory: Path, record: WandbRecord, here: bool = False) -> str | None:
    """The command that uploads what is kept in a run directory; ``None`` where nothing is.

    Args:
        run_directory: Of the run, over every attempt at it.
        record: Its record.
        here: With paths as seen from the run directory.

    Example:
        ``wandb sync data/store/runs/NAME/HASH/wandb/offline-run-20250601_101500-3f2a9c0d11e47b58``
    """
    parts = []
    for file in sorted((run_directory / FOLDER).glob(f"*run-*-{record.id}*/*.wandb")):
        done = file.with_name(f"{file.name}.synced").exists()
        done = done or (record.uploaded and file.parent.name.startswith("run-"))
        if not done and file.stat().st_size > _EMPTY:
            parts.append(file.parent)
    if not parts:
        return None
    paths = [str(part.relative_to(run_directory) if here else part) for part in parts]
    online = ["--include-online"] if any(part.name.startswith("run-") for part in parts) else []
    return shlex.join(["wandb", "sync", *online, *paths])


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
