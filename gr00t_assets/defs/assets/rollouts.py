"""The asset of rollouts: success in simulation, beside the loss and the open-loop error."""

import dagster as dg

from gr00t_assets.core.errors import EvaluationError
from gr00t_assets.core.project import materialize_command
from gr00t_assets.defs.assets.training import checkpoint
from gr00t_assets.defs.failures import explained_asset
from gr00t_assets.defs.launching import run_rollouts
from gr00t_assets.defs.partitions import EXPERIMENTS, experiment_partitions
from gr00t_assets.defs.resources import StoreResource
from gr00t_assets.defs.results import rollouts_result
from gr00t_assets.evaluation.rollouts.result import (
    declared_environment,
    read_rollouts,
    rollouts_file,
    settings_for,
)
from gr00t_assets.runs.spec import make_spec


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
    spec = make_spec(EXPERIMENTS[context.partition_key], store)
    environment = declared_environment(spec)
    if environment is None:
        names = ", ".join(dataset.name for dataset in spec.datasets)
        verdict = f"no environment is declared for dataset {names}"
        context.log.info(verdict)
        return dg.MaterializeResult(
            data_version=dg.DataVersion("no environment"), metadata={"verdict": verdict}
        )
    if not spec.run_directory.is_dir():
        problem = "its present configuration was not trained, so there is nothing to roll out."
        command = materialize_command("checkpoint", context.partition_key)
        raise EvaluationError(context.partition_key, problem, [f"run: {command}"])
    run_rollouts(context, spec, store, environment.name, settings_for(environment, spec))
    found = read_rollouts(rollouts_file(spec.run_directory, environment.name))
    return rollouts_result(found, spec, store)
