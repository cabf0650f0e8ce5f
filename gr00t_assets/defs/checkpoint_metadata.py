"""What the materialisation of a ``checkpoint`` shows on its page, the most wanted first."""

from typing import TypeAlias

import dagster as dg

from gr00t_assets.core.project import Store
from gr00t_assets.defs.metadata import image, in_store, readable, settings, table
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.runs.manifest import Manifest
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.wandb_settings import read_record

Shown: TypeAlias = dict[str, str | int | float | dg.MetadataValue]


def checkpoint_metadata(manifest: Manifest, spec: TrainingSpec, store: Store, result: str) -> Shown:
    """Names, loss, curve and settings, then numbers, then where everything came from.

    Args:
        manifest: The record of the finished run.
        spec: What was asked.
        store: The store that the run directory is in.
        result: Whether this materialisation trained, in words.
    """
    asked, default = split_by_default(spec.experiment.hyperparameters)
    parts = {name: f"{count:,}" for name, count in manifest.trainable_parameters.items() if count}
    return {
        "experiment": f"{spec.experiment.name} of the sweep {spec.experiment.sweep}",
        "hypothesis": spec.experiment.hypothesis or "none",
        **_loss(manifest, spec),
        "hyperparameters": settings(asked),
        "result": result,
        **_numbers(manifest, spec),
        "trainable_parameters": table(["part", "parameters"], parts.items()),
        "trainer": f"{manifest.trainer}, revision {manifest.trainer_revision}",
        "base_model": manifest.base_model,
        "dataset": f"{manifest.dataset}, version {manifest.dataset_version}",
        "device": manifest.device,
        **_wandb(spec),
        "run_directory": in_store(spec.run_directory, store),
        "config_hash": manifest.config_hash,
        "default_hyperparameters": settings(default),
    }


def _wandb(spec: TrainingSpec) -> Shown:
    """Where the run is on Weights & Biases, or how it gets there."""
    record = read_record(spec.run_directory)
    if record is None or record.mode is None:
        return {}
    if record.url is not None:
        return {"weights_and_biases": dg.MetadataValue.url(record.url)}
    return {"weights_and_biases": f"offline; in the run directory: {record.sync}"}


def split_by_default(
    hyperparameters: Hyperparameters,
) -> tuple[dict[str, object], dict[str, object]]:
    """The values that differ from Isaac-GR00T's defaults, and those that do not, by name.

    Example:
        >>> asked, default = split_by_default(Hyperparameters(batch_size=8))
        >>> asked, default["max_steps"]
        ({'batch_size': 8}, 10000)
    """
    defaults = Hyperparameters().model_dump()
    asked: dict[str, object] = {}
    default: dict[str, object] = {}
    for name, value in hyperparameters.model_dump().items():
        (default if value == defaults[name] else asked)[name] = value
    return asked, default


def _loss(manifest: Manifest, spec: TrainingSpec) -> Shown:
    from gr00t_assets.comparison.findings import loss_text
    from gr00t_assets.defs.inline_curve import inline_curve
    from gr00t_assets.reporting.plots import run_curve_png

    metrics, window = read_metrics(spec.run_directory), manifest.final_loss
    loss = "none was logged"
    if window:
        mean = loss_text(window.mean, window.standard_error)
        loss = f"{mean} over the last {window.steps} steps"
    return {
        "loss": loss,
        "loss_line": dg.MetadataValue.md(inline_curve(metrics)),
        "loss_curve": image(run_curve_png(metrics), f"training loss of {spec.experiment.name}"),
    }


def _numbers(manifest: Manifest, spec: TrainingSpec) -> Shown:
    """What the page plots by partition and by time."""
    losses = {"first_loss": manifest.first_loss, "final_loss": manifest.final_loss}
    windows = {name: readable(window.mean) for name, window in losses.items() if window}
    if manifest.final_loss:
        windows["final_loss_se"] = readable(manifest.final_loss.standard_error)
    return {
        **windows,
        "learning_rate": spec.experiment.hyperparameters.learning_rate,
        "steps": manifest.steps,
        "samples_seen": manifest.samples_seen,
        "epochs": readable(manifest.epochs),
        "samples_per_second": readable(manifest.samples_per_second),
        "wall_seconds": readable(manifest.wall_seconds),
        "gpu_seconds": readable(manifest.gpu_seconds),
        "peak_memory_megabytes": readable(manifest.peak_memory_bytes / 1e6),
        "attempts": manifest.attempts,
    }
