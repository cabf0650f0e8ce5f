"""The asset ``checkpoint``: one trained model per experiment."""

from datetime import UTC, datetime

import dagster as dg

from gr00t_assets.defs.assets.datasets import OWNERS, frame_cache, modality_config
from gr00t_assets.defs.failures import explained
from gr00t_assets.defs.inline_curve import inline_curve
from gr00t_assets.defs.metadata import image, in_store, readable, settings, table
from gr00t_assets.defs.partitions import (
    EXPERIMENTS,
    dataset_to_experiments,
    experiment_partitions,
)
from gr00t_assets.defs.queue import GPU
from gr00t_assets.defs.resources import StoreResource
from gr00t_assets.defs.training_process import run_training
from gr00t_assets.errors import TrainingError
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.project import Store
from gr00t_assets.training.manifest import Manifest, load_manifest
from gr00t_assets.training.metrics import read_metrics
from gr00t_assets.training.run_directory import LOG, place_spec
from gr00t_assets.training.spec import TrainingSpec, make_spec
from gr00t_assets.training.trainers import trainer_command

ALREADY_FINISHED = "already finished; nothing trained"


@dg.asset(
    partitions_def=experiment_partitions,
    deps=[
        dg.AssetDep(modality_config, partition_mapping=dataset_to_experiments),
        dg.AssetDep(frame_cache, partition_mapping=dataset_to_experiments),
    ],
    group_name="training",
    kinds={"pytorch"},
    owners=OWNERS,
    code_version="1",
    pool=GPU,
    op_tags={GPU: "true"},
)
@explained
def checkpoint(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
    """A model fine-tuned as its experiment in ``data/sweeps`` says, in a process of its own.

    A run that was stopped goes on from its last checkpoint; a finished one is not trained again.
    Hyperparameters come from the sweep file alone: a changed experiment is another run directory.
    """
    spec = make_spec(EXPERIMENTS[context.partition_key], store)
    manifest = load_manifest(spec.run_directory)
    result = ALREADY_FINISHED
    if manifest is None or manifest.status != "finished":
        manifest, result = _train(context, spec, store), "trained"
    else:
        context.log.info(f"{manifest.experiment} ({manifest.config_hash}): {ALREADY_FINISHED}")
    return dg.MaterializeResult(
        data_version=dg.DataVersion(f"{manifest.config_hash}-{manifest.trainer_revision}"),
        metadata={
            **_outcome(manifest, spec),
            "result": result,
            **_numbers(manifest),
            **_descriptions(manifest, spec, store),
        },
    )


def _train(context: dg.AssetExecutionContext, spec: TrainingSpec, store: Store) -> Manifest:
    """Run the trainer to its end.

    Raises:
        TrainingError: It did not finish; the message says why and what to do.
    """
    command = trainer_command(spec)
    place_spec(spec)
    started = datetime.now(UTC).isoformat()
    code, last_lines = run_training(context, command, spec, store)
    manifest = load_manifest(spec.run_directory)
    fresh = manifest if manifest is not None and manifest.finished_at >= started else None
    if code == 0 and manifest is not None and manifest.status == "finished":
        return manifest
    raise _explain_end(spec, code, fresh, last_lines, store)


def _explain_end(
    spec: TrainingSpec, code: int, manifest: Manifest | None, last_lines: list[str], store: Store
) -> TrainingError:
    name = spec.experiment.name
    log = f"log: {in_store(spec.run_directory / LOG, store)}"
    again = "materialise it again: it goes on from its last checkpoint"
    if code == 1 and manifest is not None and manifest.failure:
        return TrainingError(name, "training failed.", [*manifest.failure.splitlines(), log])
    if code == 130:
        steps = f" at step {manifest.steps} of {manifest.max_steps}" if manifest else ""
        return TrainingError(name, f"training was stopped{steps}.", [again, log])
    if code == 137:
        cause = "the kernel ends a process so where memory runs out; see batch_size"
        return TrainingError(name, "training was killed.", [cause, again, log])
    return TrainingError(
        name, f"the trainer ended with code {code}.", ["its last lines:", *last_lines, log]
    )


def _numbers(manifest: Manifest) -> dict[str, float | int]:
    """What the page plots by partition and by time."""
    losses = {"first_loss": manifest.first_loss, "final_loss": manifest.final_loss}
    windows = {name: readable(window.mean) for name, window in losses.items() if window}
    if manifest.final_loss:
        windows["final_loss_se"] = readable(manifest.final_loss.standard_error)
    return {
        **windows,
        "steps": manifest.steps,
        "samples_seen": manifest.samples_seen,
        "epochs": readable(manifest.epochs),
        "samples_per_second": readable(manifest.samples_per_second),
        "wall_seconds": readable(manifest.wall_seconds),
        "gpu_seconds": readable(manifest.gpu_seconds),
        "peak_memory_megabytes": readable(manifest.peak_memory_bytes / 1e6),
        "attempts": manifest.attempts,
    }


def _outcome(manifest: Manifest, spec: TrainingSpec) -> dict[str, str | dg.MetadataValue]:
    """What a person looks at first."""
    from gr00t_assets.comparison.findings import loss_text
    from gr00t_assets.comparison.plots import run_curve_png

    experiment, metrics = spec.experiment, read_metrics(spec.run_directory)
    window = manifest.final_loss
    mean = loss_text(window.mean, window.standard_error) if window else "none"
    over = f" over the last {window.steps} steps" if window else ""
    return {
        "experiment": f"{experiment.name} of the sweep {experiment.sweep}",
        "hypothesis": experiment.hypothesis or "none",
        "loss": mean + over,
        "loss_line": dg.MetadataValue.md(inline_curve(metrics)),
        "loss_curve": image(run_curve_png(metrics), f"training loss of {experiment.name}"),
    }


def _descriptions(
    manifest: Manifest, spec: TrainingSpec, store: Store
) -> dict[str, str | float | dg.MetadataValue]:
    hyperparameters = spec.experiment.hyperparameters
    default = Hyperparameters().model_dump()
    asked = {
        name: value for name, value in hyperparameters.model_dump().items()
        if value != default[name]
    }
    parts = {name: f"{count:,}" for name, count in manifest.trainable_parameters.items() if count}
    return {
        "learning_rate": hyperparameters.learning_rate,
        "hyperparameters": settings(asked),
        "hyperparameters_left_at_default": settings(
            {name: value for name, value in default.items() if name not in asked}
        ),
        "trainable_parameters": table(["part", "parameters"], parts.items()),
        "trainer": f"{manifest.trainer}, revision {manifest.trainer_revision}",
        "base_model": manifest.base_model,
        "dataset": f"{manifest.dataset}, version {manifest.dataset_version}",
        "device": manifest.device,
        "config_hash": manifest.config_hash,
        "run_directory": in_store(spec.run_directory, store),
    }
