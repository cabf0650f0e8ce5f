"""The asset ``checkpoint``: one trained model per experiment."""

from datetime import UTC, datetime

import dagster as dg

from gr00t_assets.core.project import Store
from gr00t_assets.defs.assets.datasets import OWNERS, frame_cache, modality_config
from gr00t_assets.defs.assets.training_environment import (
    trainer_to_experiments,
    training_environment,
)
from gr00t_assets.defs.checkpoint_metadata import checkpoint_metadata
from gr00t_assets.defs.failures import explained
from gr00t_assets.defs.partitions import (
    EXPERIMENTS,
    dataset_to_experiments,
    experiment_partitions,
)
from gr00t_assets.defs.queue import GPU, leave_pool, tag_training
from gr00t_assets.defs.resources import StoreResource
from gr00t_assets.defs.training_failure import training_failure
from gr00t_assets.defs.training_process import run_training
from gr00t_assets.defs.training_runs import tag_config
from gr00t_assets.runs.manifest import Manifest, load_manifest
from gr00t_assets.runs.pruned import over
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets.runs.spec import TrainingSpec, make_spec
from gr00t_assets.trainers.run_problems import begin_weights_check
from gr00t_assets.trainers.trainers import trainer_command

ALREADY_FINISHED = "already finished; nothing trained"


@dg.asset(
    partitions_def=experiment_partitions,
    deps=[
        dg.AssetDep(modality_config, partition_mapping=dataset_to_experiments),
        dg.AssetDep(frame_cache, partition_mapping=dataset_to_experiments),
        dg.AssetDep(training_environment, partition_mapping=trainer_to_experiments),
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
    tag_training(context)
    spec = make_spec(EXPERIMENTS[context.partition_key], store)
    tag_config(context, spec.config_hash)
    manifest = load_manifest(spec.run_directory)
    result = ALREADY_FINISHED
    if manifest is None or not over(manifest, spec.experiment):
        manifest, result = _train(context, spec, store), "trained"
        if manifest.status == "finished":
            begin_weights_check(spec.run_directory)
    else:
        context.log.info(f"{manifest.experiment} ({manifest.config_hash}): {ALREADY_FINISHED}")
    version = f"{manifest.config_hash}-{manifest.trainer_revision}"
    if manifest.status == "pruned":
        result, version = manifest.failure or "pruned", f"{version}-pruned"
        context.log.warning(f"{manifest.experiment} ({manifest.config_hash}): {result}")
    return dg.MaterializeResult(
        data_version=dg.DataVersion(version),
        metadata=checkpoint_metadata(manifest, spec, store, result),
    )


def _train(context: dg.AssetExecutionContext, spec: TrainingSpec, store: Store) -> Manifest:
    """Run the trainer to its end, or to where it is given up as hopeless.

    Raises:
        ExplainedFailureError: It did not finish; the message says why and what to do.
    """
    command = trainer_command(spec)
    place_spec(spec)
    started = datetime.now(UTC).isoformat()
    code, last_lines = run_training(context, command, spec, store)
    leave_pool(context)
    manifest = load_manifest(spec.run_directory)
    fresh = manifest if manifest is not None and manifest.finished_at >= started else None
    if code == 0 and manifest is not None and over(manifest, spec.experiment):
        return manifest
    raise training_failure(spec, code, fresh, last_lines, store)
