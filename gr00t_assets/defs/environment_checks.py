"""Checks of ``training_environment``, each by trainer and blocking."""

from collections.abc import Callable

import dagster as dg

from gr00t_assets.defs.assets.training_environment import (
    NATIVE,
    findings_table,
    isaac_examination,
    trainer_partitions,
    training_environment,
)
from gr00t_assets.defs.failures import explained
from gr00t_assets.defs.resources import StoreResource
from gr00t_assets.runs.versions import installed_versions
from gr00t_assets.trainers.isaac_gr00t.doctor.findings import Findings

_NATIVE_NEEDS = ("torch", "transformers", "numpy", "safetensors")
_COMMIT = ("checkout", "commit", "changed-files", "future-tokens", "resume", "torchvision-av")


def _check(
    name: str,
    description: str,
    native: Callable[[], str | None],
    choose: Callable[[Findings], Findings],
) -> dg.AssetChecksDefinition:
    def body(context: dg.AssetCheckExecutionContext, store: StoreResource) -> dg.AssetCheckResult:
        if context.partition_key == NATIVE:
            problem = native()
            return dg.AssetCheckResult(passed=problem is None, description=problem)
        findings = choose(isaac_examination(store).findings)
        for line in findings.lines():
            context.log.error(line)
        return dg.AssetCheckResult(
            passed=findings.ok,
            severity=dg.AssetCheckSeverity.ERROR,
            description=findings.summary(),
            metadata={
                "errors": len(findings.errors),
                "warnings": len(findings.warnings),
                "findings": findings_table(findings),
            },
        )

    return dg.asset_check(
        asset=training_environment,
        name=name,
        description=description,
        partitions_def=trainer_partitions,
        blocking=True,
    )(explained(body))


def _native_packages() -> str | None:
    missing = [name for name in _NATIVE_NEEDS if name not in installed_versions()]
    return f"not installed: {', '.join(missing)}" if missing else None


def _of_commit(findings: Findings) -> Findings:
    return Findings([item for item in findings if item.code in _COMMIT])


def _everything(findings: Findings) -> Findings:
    return findings


environment_checks = [
    _check(
        "environment_is_complete",
        "Nothing that a training needs is missing on this machine.",
        _native_packages,
        _everything,
    ),
    _check(
        "commit_is_of_n15",
        "Isaac-GR00T is there, at a commit that is not known to be of another model than N1.5.",
        lambda: None,
        _of_commit,
    ),
]
