"""Assets of training: what each trainer runs with, checkpoints and their evaluations."""

from functools import lru_cache

import dagster as dg

from gr00t_assets.core.errors import EvaluationError
from gr00t_assets.core.files import json_hash
from gr00t_assets.core.project import Store, materialize_command
from gr00t_assets.defs.assets.data import frame_cache, modality_config
from gr00t_assets.defs.assets.experiments import experiment
from gr00t_assets.defs.failures import explained_asset
from gr00t_assets.defs.launching import run_evaluation, run_training, training_failure
from gr00t_assets.defs.metadata import findings_table, table
from gr00t_assets.defs.partitions import (
    EXPERIMENTS,
    dataset_to_experiments,
    experiment_partitions,
    trainer_partitions,
    trainer_to_experiments,
)
from gr00t_assets.defs.queue import GPU, RELEASED, SLOT, device_tags
from gr00t_assets.defs.resources import StoreResource
from gr00t_assets.defs.results import ALREADY_FINISHED, checkpoint_result, evaluation_result
from gr00t_assets.defs.training_runs import CONFIG_HASH, ENGINE
from gr00t_assets.evaluation.result import load_evaluation
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.gpu.devices import slots_by_device
from gr00t_assets.runs.manifest import Manifest, load_manifest
from gr00t_assets.runs.retry import is_complete
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets.runs.spec import TrainingSpec, make_spec
from gr00t_assets.trainers.base import EnvironmentReport
from gr00t_assets.trainers.run_checks import begin_weights_check


@explained_asset(partitions_def=trainer_partitions, group_name="training", kinds={"python"})
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
    return dg.MaterializeResult(
        # The same versions give the same data version.
        data_version=dg.DataVersion(identity),
        metadata={
            "status": findings.summary(),
            "missing_or_wrong": ", ".join(item.code for item in findings.errors) or "nothing",
            "findings": findings_table(findings),
            **{name: value or "not known" for name, value in report.source.items()},
            "versions": table(["package", "version"], report.versions.items()),
            "devices": table(["device", "trainings at a time"], slots_by_device().items()),
        },
    )


@lru_cache(maxsize=4)
def environment_report(trainer: str, run_id: str, store: Store) -> EnvironmentReport:
    """What a trainer would train with here, examined once for the asset and checks of one run."""
    return trainer_named(trainer).environment(store)


@explained_asset(
    partitions_def=experiment_partitions,
    deps=[
        experiment,
        dg.AssetDep(modality_config, partition_mapping=dataset_to_experiments),
        dg.AssetDep(frame_cache, partition_mapping=dataset_to_experiments),
        dg.AssetDep(training_environment, partition_mapping=trainer_to_experiments),
    ],
    group_name="training",
    kinds={"pytorch"},
    op_tags={GPU: "true"},
)
def checkpoint(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
    """A model fine-tuned as its experiment in ``data/sweeps`` says, in a process of its own.

    A run that was stopped goes on from its last checkpoint; a finished one is not trained again.
    Hyperparameters come from the sweep file alone: a changed experiment is another run directory.
    """
    # ``dagster asset materialize`` runs past the queue, whose limit counts its run by these tags.
    asked = EXPERIMENTS[context.partition_key]
    context.instance.add_run_tags(context.run_id, device_tags(context.run, asked))
    if engine := context.run.tags.get(ENGINE):
        asked = asked.model_copy(update={"engine": engine})
    spec = make_spec(asked, store)
    context.instance.add_run_tags(context.run_id, {CONFIG_HASH: spec.config_hash})
    manifest = load_manifest(spec.run_directory)
    result = ALREADY_FINISHED
    if manifest is None or not is_complete(manifest, spec.experiment):
        manifest, result = _train(context, spec, store), "trained"
        if manifest.status == "finished":
            begin_weights_check(spec.run_directory)
    else:
        context.log.info(f"{manifest.experiment} ({manifest.config_hash}): {ALREADY_FINISHED}")
    if manifest.status == "pruned":
        context.log.warning(
            f"{manifest.experiment} ({manifest.config_hash}): {manifest.failure or 'pruned'}"
        )
    return checkpoint_result(manifest, spec, store, result)


def _train(context: dg.AssetExecutionContext, spec: TrainingSpec, store: Store) -> Manifest:
    """Run the trainer to its end, or to where it is given up as hopeless.

    Raises:
        ExplainedFailureError: It did not finish; the message says why and what to do.
    """
    command = trainer_named(spec.experiment.trainer).command(spec)
    place_spec(spec)
    before = load_manifest(spec.run_directory)
    code, last_lines = run_training(context, command, spec, store)
    # The queue may start another run in place of this one, which has trained and goes on.
    context.instance.add_run_tags(context.run_id, {SLOT: RELEASED})
    manifest = load_manifest(spec.run_directory)
    fresh = manifest if manifest != before else None
    if code == 0 and manifest is not None and is_complete(manifest, spec.experiment):
        return manifest
    raise training_failure(spec, code, fresh, last_lines, store)


@explained_asset(
    partitions_def=experiment_partitions,
    deps=[checkpoint],
    group_name="analysis",
    kinds={"pytorch"},
)
def open_loop_evaluation(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult:
    """Predicted against recorded actions, on held-out episodes and on ones seen in training.

    With intervals, beside holding the state and the mean action, and with a swap of prompts that
    tells whether language is used. It is not success on a robot. What was evaluated with the same
    weights before is not evaluated again.
    """
    spec = make_spec(EXPERIMENTS[context.partition_key], store)
    if not spec.run_directory.is_dir():
        problem = "its present configuration was not trained, so there is nothing to evaluate."
        command = materialize_command("checkpoint", context.partition_key)
        raise EvaluationError(context.partition_key, problem, [f"run: {command}"])
    run_evaluation(context, spec, store)
    evaluation = load_evaluation(spec.run_directory)
    assert evaluation is not None
    return evaluation_result(evaluation, spec, store)
