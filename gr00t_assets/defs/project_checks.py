"""The project's files as an asset whose check is red while one of them has a fault.

The files are checked-in and nobody makes them, so that the asset is only named, not materialised.
A sensor reports the check whenever what it would say has changed; a person may run it on the page.
"""

import dagster as dg

from gr00t_assets.core.files import json_hash
from gr00t_assets.core.text import counted
from gr00t_assets.core.yaml_files import shown_path
from gr00t_assets.defs.failures import OWNERS
from gr00t_assets.defs.metadata import table
from gr00t_assets.experiments.project_files import ProjectFiles, read_project

project_files = dg.AssetSpec(
    "project_files",
    description="Catalog, data configs, environments, engines and sweeps: the files in `data`.",
    group_name="data",
    kinds={"yaml"},
    owners=OWNERS,
)

CHECK = "files_have_no_fault"
_INTERVAL_SECONDS = 15


def _evaluation(project: ProjectFiles) -> dg.AssetCheckEvaluation:
    """Every problem as a row."""
    rows = [
        [shown_path(fault.file), "" if line is None else line, text]
        for fault in project.faults
        for line, text in fault.error.problems
    ]
    names = ", ".join(shown_path(fault.file) for fault in project.faults)
    sweeps = counted(len(project.sweeps), "sweep")
    sound = f"{sweeps}, {counted(len(project.experiments), 'experiment')}"
    return dg.AssetCheckEvaluation(
        asset_key=project_files.key,
        check_name=CHECK,
        passed=not rows,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"with a fault: {names}" if rows else f"no file has a fault: {sound}",
        metadata={
            "problems": table(["file", "line", "what"], rows),
            "cannot be used": ", ".join((*project.lost_datasets, *project.sweeps.lost))
            or "nothing",
        },
    )


@dg.asset_check(
    asset=project_files.key,
    name=CHECK,
    description="No file of the project has a fault; `gr00t-assets check` says the same.",
)
def files_have_no_fault() -> dg.AssetCheckResult:
    """What the sensor says by itself, asked for by a person."""
    found = _evaluation(read_project())
    return dg.AssetCheckResult(
        passed=found.passed,
        severity=found.severity,
        description=found.description,
        metadata=found.metadata,
    )


@dg.sensor(
    name="project_files_sensor",
    minimum_interval_seconds=_INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells the page which of the project's files have a fault, once that has changed.",
)
def project_files_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """One tick; the cursor is a hash of what was told last."""
    found = _evaluation(read_project())
    told = json_hash([found.description, str(found.metadata["problems"].value)], 16)
    if told == context.cursor:
        return dg.SkipReason(f"as before: {found.description}")
    return dg.SensorResult(asset_events=[found], cursor=told)
