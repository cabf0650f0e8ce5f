"""Checks of ``checkpoint``, each by experiment and blocking: a failed one fails the command."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg

from gr00t_assets.defs.assets.checkpoints import checkpoint
from gr00t_assets.defs.failures import explained
from gr00t_assets.defs.metadata import in_store
from gr00t_assets.defs.partitions import EXPERIMENTS, experiment_partitions
from gr00t_assets.defs.resources import StoreResource
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.spec import current_config_hash
from gr00t_assets.trainers.run_problems import (
    WEIGHTS,
    Problem,
    config_problem,
    loss_problem,
    record_check,
    weights_problem,
)


def _check(
    name: str, description: str, find: Callable[[Path], Problem]
) -> dg.AssetChecksDefinition:
    def body(context: dg.AssetCheckExecutionContext, store: StoreResource) -> dg.AssetCheckResult:
        experiment = EXPERIMENTS[context.partition_key]
        directory = store.run_directory(experiment.name, current_config_hash(experiment, store))
        if name == WEIGHTS and (pruned := _pruned(directory)):
            metadata = {"run_directory": in_store(directory, store)}
            return dg.AssetCheckResult(passed=True, description=pruned, metadata=metadata)
        problem = find(directory) if directory.is_dir() else "this configuration has not been run"
        record_check(directory, name, problem is None)
        if problem is not None:
            context.log.error(f"{experiment.name}: {name}: {problem}")
        return dg.AssetCheckResult(
            passed=problem is None,
            severity=dg.AssetCheckSeverity.ERROR,
            description=problem,
            metadata={"run_directory": in_store(directory, store)},
        )

    return dg.asset_check(
        asset=checkpoint,
        name=name,
        description=description,
        partitions_def=experiment_partitions,
        blocking=True,
    )(explained(body))


def _pruned(directory: Path) -> str | None:
    """What is said of a run that was given up and so has no final weights."""
    manifest = load_manifest(directory)
    if manifest is None or manifest.status != "pruned":
        return None
    return f"there are no final weights to load: {manifest.failure}"


checkpoint_checks = [
    _check("loss_is_finite", "Every logged loss is a finite number.", loss_problem),
    _check(
        WEIGHTS,
        "The final weights load and predict finite actions for a real sample.",
        weights_problem,
    ),
    _check(
        "config_matches_run",
        "The run directory was made with the experiment's present configuration.",
        config_problem,
    ),
]
