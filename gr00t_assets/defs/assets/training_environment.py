"""The asset ``training_environment``: what each trainer runs with on this machine."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping

import dagster as dg

from gr00t_assets.core.project import Store
from gr00t_assets.defs.assets.datasets import OWNERS
from gr00t_assets.defs.failures import explained
from gr00t_assets.defs.metadata import table
from gr00t_assets.defs.partitions import EXPERIMENTS
from gr00t_assets.defs.resources import StoreResource
from gr00t_assets.gpu.devices import devices
from gr00t_assets.runs.versions import installed_versions
from gr00t_assets.trainers.isaac_gr00t.doctor.doctor import Examination, examination, wants_gpu
from gr00t_assets.trainers.isaac_gr00t.doctor.findings import Findings
from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment

NATIVE = "native"
ISAAC = "isaac-gr00t"

trainer_partitions = dg.StaticPartitionsDefinition([NATIVE, ISAAC])


def _experiments_by_trainer() -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for experiment in EXPERIMENTS.values():
        found[experiment.trainer].append(experiment.name)
    return found


trainer_to_experiments = dg.StaticPartitionMapping(_experiments_by_trainer())
"""Each trainer's partition to the partitions of the experiments that it trains."""

COLUMNS = ["severity", "part", "looked at", "found", "expected", "do"]

_VERSIONS = (
    "torch",
    "torchvision",
    "transformers",
    "flash-attn",
    "accelerate",
    "peft",
    "numpy",
    "pipablepytorch3d",
    "decord",
    "torchcodec",
)
"""Packages of Isaac-GR00T's environment that can change a loss."""


@dg.asset(
    partitions_def=trainer_partitions,
    group_name="training",
    kinds={"python"},
    owners=OWNERS,
    code_version="1",
)
@explained
def training_environment(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult:
    """What a trainer runs with on this machine: commit, packages, devices, and for isaac-gr00t a
    finding for each thing that a training needs. Experiments of the native trainer do not need it
    to be materialised before them; it is a record.
    """
    if context.partition_key == NATIVE:
        versions = installed_versions()
        return _result({"status": "this program's own environment"}, versions, {})
    found = isaac_examination(store)
    for item in (*found.findings.errors, *found.findings.warnings):
        log = context.log.error if item.severity == "error" else context.log.warning
        log(f"{item.code}: {item.found}; {item.remedy}")
    versions = {name: found.packages[name] for name in _VERSIONS if name in found.packages}
    if found.python:
        versions = {"python": found.python, **versions}
    mended = {name: str(done) for name, done in found.revision.mended.items()}
    return _result(
        {
            "status": found.findings.summary(),
            "missing_or_wrong": ", ".join(item.code for item in found.findings.errors) or "nothing",
            "findings": findings_table(found.findings),
            "commit": found.revision.commit or "not known",
            "checkout": str(IsaacEnvironment.from_environment().checkout),
        },
        versions,
        {"commit": found.revision.commit or "", **mended},
    )


def isaac_examination(store: Store) -> Examination:
    """Examine the environment that this process would train Isaac-GR00T with."""
    return examination(IsaacEnvironment.from_environment(), gpu=wants_gpu(), store=store)


def findings_table(findings: Findings) -> dg.MarkdownMetadataValue:
    """Every finding, errors first."""
    order = {"error": 0, "warning": 1, "ok": 2}
    rows = [
        [item.severity, item.part, item.code, item.found, item.expected, item.remedy]
        for item in sorted(findings, key=lambda item: order[item.severity])
    ]
    return table(COLUMNS, rows)


def _result(
    shown: Mapping[str, str | dg.MetadataValue],
    versions: Mapping[str, str],
    source: Mapping[str, str],
) -> dg.MaterializeResult:
    """Versions and devices below what is shown first; the same versions give the same version."""
    content = json.dumps([sorted(versions.items()), sorted(source.items())])
    slots = [[device, count] for device, count in devices().items()]
    return dg.MaterializeResult(
        data_version=dg.DataVersion(hashlib.sha256(content.encode()).hexdigest()[:16]),
        metadata={
            **shown,
            "versions": table(["package", "version"], versions.items()),
            "devices": table(["device", "trainings at a time"], slots),
        },
    )
