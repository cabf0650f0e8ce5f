"""Checks of ``dataset`` and ``modality_config``: every finding as a table; errors block."""

import dagster as dg

from gr00t_assets.datasets.sources.record import load_record
from gr00t_assets.defs.assets.datasets import dataset, modality_config
from gr00t_assets.defs.failures import explained
from gr00t_assets.defs.metadata import table
from gr00t_assets.defs.partitions import CATALOG, dataset_partitions
from gr00t_assets.defs.resources import StoreResource

_COLUMNS = ["severity", "fault", "file", "found", "expected", "do"]


def _check(
    asset: dg.AssetsDefinition, name: str, description: str, with_data_config: bool
) -> dg.AssetChecksDefinition:
    def body(context: dg.AssetCheckExecutionContext, store: StoreResource) -> dg.AssetCheckResult:
        from gr00t_assets.datasets.checks.check import check_dataset

        entry = CATALOG[context.partition_key]
        directory = load_record(entry.name, store).directory(store)
        findings = check_dataset(
            directory, entry.data_config if with_data_config else None, entry.embodiment_tag
        )
        rows = [
            [item.severity, item.code, item.file or "", item.found, item.expected, item.remedy]
            for item in findings
        ]
        for item in findings.errors:
            context.log.error(f"{item.file or entry.name}: {item.found}; {item.remedy}")
        return dg.AssetCheckResult(
            passed=findings.ok,
            severity=dg.AssetCheckSeverity.ERROR,
            description=findings.summary(),
            metadata={
                "errors": findings.error_count,
                "warnings": findings.warning_count,
                "findings": table(_COLUMNS, rows),
            },
        )

    return dg.asset_check(
        asset=asset,
        name=name,
        description=description,
        partitions_def=dataset_partitions,
        blocking=True,
    )(explained(body))


dataset_checks = [
    _check(dataset, "files_are_sound", "No file of the dataset has a fault.", False),
    _check(
        modality_config, "fits_data_config", "The dataset fits its data config without fault.", True
    ),
]
