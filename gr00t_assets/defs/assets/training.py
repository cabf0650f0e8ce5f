"""Assets of training: experiments, what trainers run with, checkpoints."""

from functools import lru_cache

import dagster as dg

from gr00t_assets.core.files import json_hash
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import counted
from gr00t_assets.defs import metadata as show
from gr00t_assets.defs import partitions
from gr00t_assets.defs.assets.data import frame_cache, modality_config
from gr00t_assets.defs.failures import OWNERS, explained_asset
from gr00t_assets.defs.launching import run_training, training_failure
from gr00t_assets.defs.queue import GPU, RELEASED, SLOT, device_tags
from gr00t_assets.defs.resources import EXPERIMENT, StoreResource
from gr00t_assets.defs.training_runs import CONFIG_HASH, ENGINE
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.gpu.devices import slots_by_device
from gr00t_assets.runs.manifest import MIXTURE_HEAD, Manifest, load_manifest, mixture_rows
from gr00t_assets.runs.metrics import read_held_out_losses, read_metrics
from gr00t_assets.runs.retry import is_complete
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets.runs.spec import TrainingSpec, make_spec
from gr00t_assets.trainers.base import EnvironmentReport
from gr00t_assets.trainers.run_checks import begin_weights_check
from gr00t_assets.trainers.wandb_run import read_record

ALREADY_FINISHED = "already finished; nothing trained"


experiment = dg.AssetSpec(
    EXPERIMENT,
    partitions_def=partitions.experiment_partitions,
    group_name="training",
    kinds={"yaml"},
    owners=OWNERS,
    description="""What an experiment asks for: its settings in `data/sweeps` with the data they
are for. Its version is the config hash, so that a changed sweep file makes the checkpoints stale of
exactly the experiments that are to be trained anew. It is observed, not made: by the sensor
`observe_experiments`, and by each run that trains.""",
)


@explained_asset("training", {"python"}, partitions_def=partitions.trainer_partitions)
def training_environment(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult:
    """What a trainer runs with on this machine: its code's revision, packages, devices, and a
    finding for each thing that a training needs. It is a record: experiments do not wait for it.
    """
    report = environment_report(context.partition_key, context.run.run_id, store)
    findings = report.findings
    for finding in (*findings.errors, *findings.warnings):
        log = context.log.error if finding.severity == "error" else context.log.warning
        log(f"{finding.code}: {finding.text}")
    identity = json_hash([sorted(report.versions.items()), sorted(report.source.items())], 16)
    return show.result(
        identity,
        {
            "status": findings.summary(),
            "missing_or_wrong": ", ".join(item.code for item in findings.errors) or "nothing",
            "findings": show.findings_table(findings),
            **{name: value or "not known" for name, value in report.source.items()},
            "versions": show.table(["package", "version"], report.versions.items()),
            "devices": show.table(["device", "trainings at a time"], slots_by_device().items()),
        },
    )


@lru_cache(maxsize=4)
def environment_report(trainer: str, run_id: str, store: Store) -> EnvironmentReport:
    """What a trainer would train with here, examined once for the asset and checks of one run."""
    return trainer_named(trainer).environment(store)


@explained_asset(
    "training",
    {"pytorch"},
    partitions_def=partitions.experiment_partitions,
    deps=[
        experiment,
        dg.AssetDep(modality_config, partition_mapping=partitions.dataset_to_experiments),
        dg.AssetDep(frame_cache, partition_mapping=partitions.dataset_to_experiments),
        dg.AssetDep(training_environment, partition_mapping=partitions.trainer_to_experiments),
    ],
    op_tags={GPU: "true"},
)
def checkpoint(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
    """A model fine-tuned as its experiment in ``data/sweeps`` says, in a process of its own.

    A run that was stopped goes on from its last checkpoint; a finished one is not trained again.
    Hyperparameters come from the sweep file alone: a changed experiment is another run directory.
    """
    # ``dagster asset materialize`` runs past the queue, whose limit counts its run by these tags.
    asked = partitions.EXPERIMENTS[context.partition_key]
    context.instance.add_run_tags(context.run_id, device_tags(context.run, asked))
    if engine := context.run.tags.get(ENGINE):
        asked = asked.model_copy(update={"engine": engine})
    spec = make_spec(asked, store)
    context.instance.add_run_tags(context.run_id, {CONFIG_HASH: spec.config_hash})
    manifest = load_manifest(spec.run_directory)
    text = ALREADY_FINISHED
    if manifest is None or not is_complete(manifest, spec.experiment):
        manifest, text = _train(context, spec), "trained"
        if manifest.status == "finished":
            begin_weights_check(spec.run_directory)
    else:
        context.log.info(f"{manifest.experiment} ({manifest.config_hash}): {ALREADY_FINISHED}")
    if manifest.status == "pruned":
        context.log.warning(
            f"{manifest.experiment} ({manifest.config_hash}): {manifest.failure or 'pruned'}"
        )
    return checkpoint_result(manifest, spec, text)


def _train(context: dg.AssetExecutionContext, spec: TrainingSpec) -> Manifest:
    """Run the trainer to its end, or to where it is given up as hopeless.

    Raises:
        ExplainedFailureError: It did not finish; the message says why and what to do.
    """
    command = trainer_named(spec.experiment.trainer).command(spec)
    place_spec(spec)
    before = load_manifest(spec.run_directory)
    code, last_lines = run_training(context, command, spec)
    # The queue may start another run in place of this one, which has trained and goes on.
    context.instance.add_run_tags(context.run_id, {SLOT: RELEASED})
    manifest = load_manifest(spec.run_directory)
    fresh = manifest if manifest != before else None
    if code == 0 and manifest is not None and is_complete(manifest, spec.experiment):
        return manifest
    raise training_failure(spec, code, fresh, last_lines)


def checkpoint_result(
    manifest: Manifest, spec: TrainingSpec, text: str = ALREADY_FINISHED
) -> dg.MaterializeResult:
    """Of a run that is finished or pruned; ``text`` says whether it was trained now.

    Names, loss, curve and settings, then numbers, then where everything came from.
    """
    version = f"{manifest.config_hash}-{manifest.trainer_revision}"
    if manifest.status == "pruned":
        text, version = manifest.failure or "pruned", f"{version}-pruned"
    hyperparameters = spec.experiment.hyperparameters
    changed = hyperparameters.changed()
    defaults = hyperparameters.model_dump(exclude=set(changed))
    parts = {name: f"{count:,}" for name, count in manifest.trainable_parameters.items() if count}
    mixture, first, final = mixture_rows(manifest), manifest.first_loss, manifest.final_loss
    return show.result(
        version,
        {
            "experiment": f"{spec.experiment.name} of the sweep {spec.experiment.sweep}",
            "hypothesis": spec.experiment.hypothesis or "none",
            **_losses(manifest, spec),
            "hyperparameters": show.settings(changed),
            "result": text,
            "first_loss": show.readable(first.mean if first else None),
            "final_loss": show.readable(final.mean if final else None),
            "final_loss_se": show.readable(final.standard_error if final else None),
            "learning_rate": hyperparameters.learning_rate,
            **show.fields(manifest, "steps", "samples_seen", "epochs", "samples_per_second"),
            **show.fields(manifest, "wall_seconds", "gpu_seconds"),
            "peak_memory_megabytes": show.readable(manifest.peak_memory_bytes / 1e6),
            "attempts": manifest.attempts,
            "trainable_parameters": show.table(["part", "parameters"], parts.items()),
            "trainer": f"{manifest.trainer}, revision {manifest.trainer_revision}",
            "base_model": manifest.base_model,
            "dataset": f"{manifest.dataset}, version {manifest.dataset_version}",
            "mixture": show.table(MIXTURE_HEAD, mixture) if mixture else None,
            "device": manifest.device,
            "weights_and_biases": _wandb(spec),
            "run_directory": show.stored_path(spec.run_directory, spec.store),
            "config_hash": manifest.config_hash,
            "default_hyperparameters": show.settings(defaults),
        },
    )


def _losses(manifest: Manifest, spec: TrainingSpec) -> show.Metadata:
    """The final loss with its curve, and the loss on held-out episodes where it was taken."""
    from gr00t_assets.comparison.wording import loss_text
    from gr00t_assets.reporting.images import inline_curve, run_curve_png

    metrics, window = read_metrics(spec.run_directory), manifest.final_loss
    loss, caption = "none was logged", f"training loss of {spec.experiment.name}"
    if window:
        mean = loss_text(window.mean, window.standard_error)
        loss = f"{mean} over the last {counted(window.steps, 'step')}"
    shown: show.Metadata = {
        "loss": loss,
        "loss_line": dg.MetadataValue.md(inline_curve(metrics, show.INLINE)),
        "loss_curve": show.image(run_curve_png(metrics), caption),
    }
    if held_out := read_held_out_losses(spec.run_directory):
        rows = [[step, f"{loss:.4f}"] for step, loss in held_out.items()]
        shown["held_out_losses"] = show.folded_table(["step", "loss on held-out episodes"], rows)
        shown["held_out_loss"] = show.readable(list(held_out.values())[-1])
    return shown


def _wandb(spec: TrainingSpec) -> dg.MetadataValue | str | None:
    """Where the run is on Weights & Biases, or how it gets there."""
    record = read_record(spec.run_directory)
    if record is None or record.mode is None:
        return None
    offline = f"offline; in the run directory: {record.sync}"
    return dg.MetadataValue.url(record.url) if record.url else offline
