"""What the page of a dataset, modality config or checkpoint shows, the most wanted first."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.project import Store
from gr00t_assets.core.units import counted
from gr00t_assets.datasets.curation import Curated, spans
from gr00t_assets.datasets.quality.table import COLUMNS, SCORE_COLUMNS, quality_table, score_table
from gr00t_assets.datasets.sources.versions import DatasetRecord
from gr00t_assets.defs.metadata import (
    INLINE,
    Metadata,
    bullets,
    fields,
    folded_table,
    image,
    readable,
    settings,
    stored_path,
    table,
)
from gr00t_assets.evaluation.trials.lineage import load_lineage
from gr00t_assets.modality.config import ModalityConfig, VectorKey
from gr00t_assets.modality.frame_check_result import FrameCheckResult
from gr00t_assets.runs.held_out_loss import read_held_out_losses
from gr00t_assets.runs.manifest import MIXTURE_HEAD, Manifest, mixture_rows
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.wandb_run import read_record

if TYPE_CHECKING:
    from gr00t_assets.datasets.quality.figures import Quality


def dataset_metadata(record: DatasetRecord) -> Metadata:
    """What a dataset holds and where it is from."""
    cameras = [
        [camera.original_key, f"{camera.width} x {camera.height}", f"{camera.fps:g}", camera.codec]
        for camera in record.cameras
    ]
    return {
        **fields(record, "episodes", "frames"),
        "minutes": round(record.hours * 60, 2),
        "fps": record.fps,
        "robot": record.robot_type,
        "cameras": table(["camera", "pixels", "fps", "codec"], cameras),
        "tasks": folded_table(["task", "instruction"], enumerate(record.tasks)),
        **(_curation_metadata(record.curated) if record.curated else {}),
        "warnings": bullets(record.warnings),
        "size_megabytes": readable(record.size_bytes / 1e6),
        "format": f"LeRobot {record.codebase_version}",
        "source": record.source,
        "content_hash": record.version,
    }


def lineage_metadata(record: DatasetRecord, store: Store) -> Metadata:
    """Of a dataset that was recorded during trials what drove the robot; nothing of others."""
    try:
        lineage = load_lineage(record.name, record.version, store)
    except DatasetError as error:
        return {"driven_by": bullets([str(error)])}
    return {"driven_by": bullets(part.sentence() for part in lineage.rounds)} if lineage else {}


def _curation_metadata(curated: Curated) -> Metadata:
    """What the catalog left out, cut off and renamed; episodes by their numbers in the source."""
    numbers = [
        [index, number, *curated.trimmed.get(number, ("", ""))]
        for index, number in enumerate(curated.episodes)
    ]
    headings = ["episode", "in the source", "cut off at start (s)", "at end (s)"]
    return {
        "episodes_left_out": ", ".join(map(str, spans(curated.left_out))) or "none",
        "seconds_trimmed": round(sum(map(sum, curated.trimmed.values())), 3),
        "tasks_renamed": folded_table(["in the source", "here"], curated.renamed.items()),
        "episode_numbers": folded_table(headings, numbers),
    }


def modality_metadata(config: ModalityConfig) -> Metadata:
    """How a dataset is read."""
    cameras = [
        [
            *(key.key, key.original_key, f"{key.width} x {key.height}", f"{key.fps:g}"),
            key.transforms.text() or "as the data config",
        ]
        for key in config.video
    ]
    return {
        "data_config": config.data_config,
        "embodiment": f"{config.embodiment_tag} (row {config.embodiment_id} of the weights)",
        "video": table(["key", "column", "pixels", "fps", "images"], cameras),
        "state": _vectors(config.state),
        "action": _vectors(config.action),
        "language": config.language or "none",
        **fields(config, "state_dim", "action_dim"),
        "action_horizon": len(config.action_indices),
        "frames_cached_at": " x ".join(map(str, config.frame_size or ())) or "their own size",
        "held_out_episodes": ", ".join(map(str, config.held_out_episodes)) or "none",
        "video_backends": bullets(frame_check.sentence() for frame_check in config.frames),
        "warnings": bullets(config.warnings),
        "dataset_version": config.dataset_version,
        "content_hash": config.content_hash(),
    }


def _vectors(keys: Sequence[VectorKey]) -> dg.TableMetadataValue:
    """Keys of one modality; the column they are slices of heads the table where it is one."""
    columns = {key.original_key for key in keys}
    (head,) = columns if len(columns) == 1 else ("key",)
    rows = [
        [
            key.key if len(columns) == 1 else f"{key.original_key}: {key.key}",
            f"{key.start} to {key.end - 1}",
            key.end - key.start,
            key.transforms_text(),
        ]
        for key in keys
    ]
    return table([head, "slice", "size", "transforms"], rows)


def quality_metadata(quality: "Quality") -> Metadata:
    """Figures of the demonstrations as a table and a picture, and what is striking about them."""
    from gr00t_assets.datasets.quality.plots import quality_png

    scores = score_table(quality)
    return {
        "quality_findings": bullets(quality.messages()),
        "quality": table(list(COLUMNS), quality_table(quality)),
        "episode_scores": folded_table(list(SCORE_COLUMNS), scores) if scores else "100 each",
        "quality_plots": image(quality_png(quality), f"quality of {quality.dataset}"),
    }


def frame_check_metadata(frame_check: FrameCheckResult) -> Metadata:
    """Whether frames are the right ones, with the figures."""
    return {
        "frames_verified": "yes" if frame_check.verified else "no",
        "frame_check": frame_check.sentence(),
        "frame_warnings": bullets(frame_check.warnings()),
    }


def checkpoint_metadata(
    manifest: Manifest, spec: TrainingSpec, store: Store, result: str
) -> Metadata:
    """Names, loss, curve and settings, then numbers, then where everything came from.

    ``result`` says in words whether this materialisation trained.
    """
    changed = spec.experiment.hyperparameters.changed()
    parts = {name: f"{count:,}" for name, count in manifest.trainable_parameters.items() if count}
    mixture = mixture_rows(manifest)
    return {
        "experiment": f"{spec.experiment.name} of the sweep {spec.experiment.sweep}",
        "hypothesis": spec.experiment.hypothesis or "none",
        **_loss(manifest, spec),
        "hyperparameters": settings(changed),
        "result": result,
        **_checkpoint_numbers(manifest, spec),
        "trainable_parameters": table(["part", "parameters"], parts.items()),
        "trainer": f"{manifest.trainer}, revision {manifest.trainer_revision}",
        "base_model": manifest.base_model,
        "dataset": f"{manifest.dataset}, version {manifest.dataset_version}",
        **({"mixture": table(list(MIXTURE_HEAD), mixture)} if mixture else {}),
        "device": manifest.device,
        **_wandb(spec),
        "run_directory": stored_path(spec.run_directory, store),
        "config_hash": manifest.config_hash,
        "default_hyperparameters": settings(
            spec.experiment.hyperparameters.model_dump(exclude=set(changed))
        ),
    }


def _wandb(spec: TrainingSpec) -> Metadata:
    """Where the run is on Weights & Biases, or how it gets there."""
    record = read_record(spec.run_directory)
    if record is None or record.mode is None:
        return {}
    offline = f"offline; in the run directory: {record.sync}"
    return {"weights_and_biases": dg.MetadataValue.url(record.url) if record.url else offline}


def _loss(manifest: Manifest, spec: TrainingSpec) -> Metadata:
    from gr00t_assets.comparison.wording import loss_text
    from gr00t_assets.reporting.curve_images import inline_curve, run_curve_png

    metrics, window = read_metrics(spec.run_directory), manifest.final_loss
    loss = "none was logged"
    if window:
        mean = loss_text(window.mean, window.standard_error)
        loss = f"{mean} over the last {counted(window.steps, 'step')}"
    return {
        "loss": loss,
        "loss_line": dg.MetadataValue.md(inline_curve(metrics, INLINE)),
        "loss_curve": image(run_curve_png(metrics), f"training loss of {spec.experiment.name}"),
        **_held_out(spec.run_directory),
    }


def _held_out(run_directory: Path) -> Metadata:
    """The loss on held-out episodes, where it was taken."""
    losses = read_held_out_losses(run_directory)
    if not losses:
        return {}
    rows = [[step, f"{loss:.4f}"] for step, loss in losses.items()]
    return {
        "held_out_losses": folded_table(["step", "loss on held-out episodes"], rows),
        "held_out_loss": readable(list(losses.values())[-1]),
    }


def _checkpoint_numbers(manifest: Manifest, spec: TrainingSpec) -> Metadata:
    """What the page plots by partition and by time."""
    first, final = manifest.first_loss, manifest.final_loss
    error = final and final.standard_error
    return {
        **({"first_loss": readable(first.mean)} if first else {}),
        **({"final_loss": readable(final.mean)} if final else {}),
        **({"final_loss_se": readable(error)} if error is not None else {}),
        "learning_rate": spec.experiment.hyperparameters.learning_rate,
        **fields(manifest, "steps", "samples_seen", "epochs", "samples_per_second"),
        **fields(manifest, "wall_seconds", "gpu_seconds"),
        "peak_memory_megabytes": readable(manifest.peak_memory_bytes / 1e6),
        "attempts": manifest.attempts,
    }
