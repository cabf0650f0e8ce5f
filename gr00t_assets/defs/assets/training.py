"""Assets of training: experiments, what trainers run with, checkpoints, what becomes of those."""

from functools import lru_cache

import dagster as dg

from gr00t_assets.core.errors import EvaluationError
from gr00t_assets.core.files import file_stamp, json_hash
from gr00t_assets.core.project import Store, materialize_command
from gr00t_assets.defs.assets.data import frame_cache, modality_config
from gr00t_assets.defs.failures import OWNERS, explained_asset
from gr00t_assets.defs.launching import run_training, run_worker, training_failure
from gr00t_assets.defs.metadata import findings_table, result, table
from gr00t_assets.defs.partitions import (
    EXPERIMENTS,
    dataset_to_experiments,
    experiment_partitions,
    trainer_partitions,
    trainer_to_experiments,
)
from gr00t_assets.defs.queue import GPU, RELEASED, SLOT, device_tags
from gr00t_assets.defs.resources import (
    EXPERIMENT,
    StoreResource,
    changed_versions,
    experiment_versions,
    observation,
)
from gr00t_assets.defs.training_results import (
    ALREADY_FINISHED,
    checkpoint_result,
    evaluation_result,
    rollouts_result,
)
from gr00t_assets.defs.training_runs import CONFIG_HASH, ENGINE
from gr00t_assets.evaluation.result import EvaluationSettings, load_evaluation
from gr00t_assets.evaluation.rollouts.result import (
    declared_environment,
    read_rollouts,
    rollouts_file,
    settings_for,
)
from gr00t_assets.experiments.project_files import project_stamp, read_project
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.gpu.devices import slots_by_device
from gr00t_assets.runs.manifest import Manifest, load_manifest
from gr00t_assets.runs.retry import is_complete
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets.runs.spec import TrainingSpec, make_spec
from gr00t_assets.trainers.base import EnvironmentReport
from gr00t_assets.trainers.run_checks import begin_weights_check

_MOST_AT_ONCE = 200
"""Observations of one tick, some seconds' work of the daemon."""


experiment = dg.AssetSpec(
    EXPERIMENT,
    partitions_def=experiment_partitions,
    group_name="training",
    kinds={"yaml"},
    owners=OWNERS,
    description="""What an experiment asks for: its settings in `data/sweeps` with the data they
are for. Its version is the config hash, so that a changed sweep file makes the checkpoints stale of
exactly the experiments that are to be trained anew. It is observed, not made: by the sensor
`observe_experiments`, and by each run that trains.""",
)


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells Dagster of experiments that are new or changed, by their config hash.",
)
def observe_experiments(
    context: dg.SensorEvaluationContext, store: StoreResource
) -> dg.SensorResult | dg.SkipReason:
    """One tick. It starts no run, and where nothing was changed since the last it does nothing.

    An observable source with an automation condition would launch a run instead, of some seconds,
    to look at all of them.
    """
    data = file_stamp(store.modality_config("any").parent.glob("*.json"))
    versions = _versions(store, (project_stamp(), data))
    cursor = json_hash(versions, 16)
    if context.cursor == cursor:
        return dg.SkipReason("no experiment has changed")
    changed = list(changed_versions(versions, context.instance).items())
    experiments = read_project().experiments
    told = [observation(experiments[name], version) for name, version in changed[:_MOST_AT_ONCE]]
    return dg.SensorResult(
        asset_events=told,
        skip_reason=f"{len(told)} of {len(changed)} changed experiments observed",
        cursor=cursor if len(told) == len(changed) else None,
    )


@lru_cache(maxsize=1)
def _versions(store: Store, _stamp: object) -> dict[str, str]:
    """Computed again when a file has changed."""
    return experiment_versions(read_project().experiments, store)


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
    return result(
        identity,
        {
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
    text = ALREADY_FINISHED
    if manifest is None or not is_complete(manifest, spec.experiment):
        manifest, text = _train(context, spec, store), "trained"
        if manifest.status == "finished":
            begin_weights_check(spec.run_directory)
    else:
        context.log.info(f"{manifest.experiment} ({manifest.config_hash}): {ALREADY_FINISHED}")
    if manifest.status == "pruned":
        context.log.warning(
            f"{manifest.experiment} ({manifest.config_hash}): {manifest.failure or 'pruned'}"
        )
    return checkpoint_result(manifest, spec, store, text)


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
    from gr00t_assets.evaluation.worker import evaluation_command

    spec = make_spec(EXPERIMENTS[context.partition_key], store)
    _require_trained(spec, "evaluate")
    command = evaluation_command(spec.run_directory, EvaluationSettings())
    run_worker(context, command, "evaluation.log", "evaluation", spec, store)
    evaluation = load_evaluation(spec.run_directory)
    assert evaluation is not None
    return evaluation_result(evaluation, spec, store)


@explained_asset(
    partitions_def=experiment_partitions,
    deps=[checkpoint],
    group_name="analysis",
    kinds={"gymnasium"},
)
def rollouts(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
    """Success of the policy in simulation, with intervals and videos, beside rules without a model.

    In the environment that `data/datasets.yaml` names for the experiment's dataset; where it names
    none there is nothing to do. What was rolled out with the same weights, environment and settings
    before is not rolled out again.
    """
    from gr00t_assets.evaluation.worker import evaluation_command

    spec = make_spec(EXPERIMENTS[context.partition_key], store)
    environment = declared_environment(spec)
    if environment is None:
        names = ", ".join(dataset.name for dataset in spec.datasets)
        verdict = f"no environment is declared for dataset {names}"
        context.log.info(verdict)
        return result("no environment", {"verdict": verdict})
    _require_trained(spec, "roll out")
    settings = settings_for(environment, spec)
    command = evaluation_command(spec.run_directory, settings, environment.name)
    run_worker(context, command, "rollouts.log", "rolling out", spec, store)
    found = read_rollouts(rollouts_file(spec.run_directory, environment.name))
    return rollouts_result(found, spec, store)


def _require_trained(spec: TrainingSpec, what: str) -> None:
    name = spec.experiment.name
    if not spec.run_directory.is_dir():
        problem = f"its present configuration was not trained, so there is nothing to {what}."
        command = materialize_command("checkpoint", name)
        raise EvaluationError(name, problem, [f"run: {command}"])
