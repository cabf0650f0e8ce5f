"""Checks of datasets, training environments and checkpoints that block what follows.

What a result is worth is judged in ``gr00t_assets.defs.result_checks``, which blocks nothing.
"""

from collections.abc import Callable
from pathlib import Path

import dagster as dg

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.finding import Findings
from gr00t_assets.datasets.sources.versions import load_record
from gr00t_assets.defs.assets.data import dataset, modality_config
from gr00t_assets.defs.assets.training import checkpoint, environment_report, training_environment
from gr00t_assets.defs.failures import explained
from gr00t_assets.defs.metadata import findings_table, stored_path
from gr00t_assets.defs.partitions import (
    CATALOG,
    EXPERIMENTS,
    dataset_partitions,
    experiment_partitions,
    trainer_partitions,
)
from gr00t_assets.defs.resources import StoreResource
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.spec import current_config_hash
from gr00t_assets.trainers.base import EnvironmentReport
from gr00t_assets.trainers.run_checks import (
    WEIGHTS,
    Problem,
    config_problem,
    loss_problem,
    record_check,
    weights_problem,
)


def _dataset_check(
    asset: dg.AssetsDefinition, name: str, description: str, with_data_config: bool
) -> dg.AssetChecksDefinition:
    def body(context: dg.AssetCheckExecutionContext, store: StoreResource) -> dg.AssetCheckResult:
        from gr00t_assets.datasets.fit.dataset_check import check_stored_dataset

        entry = CATALOG[context.partition_key]
        data_config = entry.data_config if with_data_config else None
        record = load_record(entry.name, store)
        findings = check_stored_dataset(record, store, data_config, entry.embodiment_tag)
        return _result(context, findings)

    return _blocking_check(asset, name, description, dataset_partitions, body)


def _environment_check(
    name: str, description: str, findings_of: Callable[[EnvironmentReport], Findings]
) -> dg.AssetChecksDefinition:
    def body(context: dg.AssetCheckExecutionContext, store: StoreResource) -> dg.AssetCheckResult:
        report = environment_report(context.partition_key, context.run.run_id, store)
        return _result(context, findings_of(report))

    return _blocking_check(training_environment, name, description, trainer_partitions, body)


def _checkpoint_check(
    name: str, description: str, find: Callable[[Path], Problem]
) -> dg.AssetChecksDefinition:
    def body(context: dg.AssetCheckExecutionContext, store: StoreResource) -> dg.AssetCheckResult:
        experiment = EXPERIMENTS[context.partition_key]
        directory = store.run_directory(experiment.name, current_config_hash(experiment, store))
        metadata = {"run_directory": stored_path(directory, store)}
        try:
            manifest = load_manifest(directory)
        except Gr00tAssetsError as error:
            return dg.AssetCheckResult(passed=False, description=str(error), metadata=metadata)
        if name == WEIGHTS and manifest is not None and manifest.status == "pruned":
            pruned = f"there are no final weights to load: {manifest.failure}"
            return dg.AssetCheckResult(passed=True, description=pruned, metadata=metadata)
        problem = find(directory) if directory.is_dir() else "this configuration has not been run"
        record_check(directory, name, problem is None)
        if problem is not None:
            context.log.error(f"{experiment.name}: {name}: {problem}")
        return dg.AssetCheckResult(passed=problem is None, description=problem, metadata=metadata)

    return _blocking_check(checkpoint, name, description, experiment_partitions, body)


def _blocking_check(
    asset: dg.AssetsDefinition,
    name: str,
    description: str,
    partitions: dg.PartitionsDefinition,
    body: Callable[..., dg.AssetCheckResult],
) -> dg.AssetChecksDefinition:
    return dg.asset_check(
        asset=asset, name=name, description=description, partitions_def=partitions, blocking=True
    )(explained(body))


def _result(context: dg.AssetCheckExecutionContext, findings: Findings) -> dg.AssetCheckResult:
    """Every finding as a table; an error fails the check."""
    for finding in findings.errors:
        subject = finding.subject or context.partition_key
        context.log.error(f"{subject}: {finding.found}; {finding.remedy}")
    return dg.AssetCheckResult(
        passed=findings.ok,
        description=findings.summary(),
        metadata={
            "errors": findings.error_count,
            "warnings": findings.warning_count,
            "findings": findings_table(findings),
        },
    )


dataset_checks = [
    _dataset_check(dataset, "files_are_sound", "No file of the dataset has a fault.", False),
    _dataset_check(
        modality_config, "fits_data_config", "The dataset fits its data config without fault.", True
    ),
]

environment_checks = [
    _environment_check(
        "environment_is_complete",
        "Nothing that a training needs is missing on this machine.",
        lambda report: report.findings,
    ),
    _environment_check(
        "commit_is_of_n15",
        "The code that trains is there, at a commit that is not known to be of another model.",
        lambda report: report.code_findings,
    ),
]

checkpoint_checks = [
    _checkpoint_check("loss_is_finite", "Every logged loss is a finite number.", loss_problem),
    _checkpoint_check(
        WEIGHTS,
        "The final weights load and predict finite actions for a real sample.",
        weights_problem,
    ),
    _checkpoint_check(
        "config_matches_run",
        "The run directory was made with the experiment's present configuration.",
        config_problem,
    ),
]
