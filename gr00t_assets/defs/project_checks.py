"""Checks of the project as a whole: its files have no fault, scheduled sweeps are in time.

The files are an asset that is only named, not materialised: they are checked-in and nobody makes
them. A sensor reports their check whenever what it would say has changed; a person may run it on
the page.
"""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
from croniter import croniter

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.files import json_hash
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import counted
from gr00t_assets.core.yaml_files import shown_path
from gr00t_assets.defs.assets.analysis import loss_comparison
from gr00t_assets.defs.failures import OWNERS, explained
from gr00t_assets.defs.metadata import bullets, table
from gr00t_assets.defs.resources import EXPERIMENT, StoreResource, running_sensor
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.project_files import read_project
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.retry import is_complete
from gr00t_assets.runs.spec import current_config_hash

project_files = dg.AssetSpec(
    "project_files",
    description="Catalog, data configs, environments, engines and sweeps: the files in `data`.",
    group_name="data",
    kinds={"yaml"},
    owners=OWNERS,
)

CHECK = "files_have_no_fault"


def _findings() -> dict[str, Any]:
    """What the check says, with every problem as a row."""
    project = read_project()
    rows = [
        [shown_path(fault.file), "" if line is None else line, text]
        for fault in project.faults
        for line, text in fault.error.problems
    ]
    names = ", ".join(shown_path(fault.file) for fault in project.faults)
    sweeps = counted(len(project.sweeps), "sweep")
    sound = f"{sweeps}, {counted(len(project.experiments), 'experiment')}"
    lost = ", ".join((*project.lost_datasets, *project.sweeps.lost)) or "nothing"
    return {
        "passed": not rows,
        "severity": dg.AssetCheckSeverity.ERROR,
        "description": f"with a fault: {names}" if rows else f"no file has a fault: {sound}",
        "metadata": {"problems": table(["file", "line", "what"], rows), "cannot be used": lost},
    }


@dg.asset_check(
    asset=project_files.key,
    name=CHECK,
    description="No file of the project has a fault; `gr00t-assets check` says the same.",
)
def files_have_no_fault() -> dg.AssetCheckResult:
    """What the sensor says by itself, asked for by a person."""
    return dg.AssetCheckResult(**_findings())


@running_sensor(
    minimum_interval_seconds=15,
    description="Tells the page which of the project's files have a fault, once that has changed.",
)
def project_files_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """One tick; the cursor is a hash of what was told last."""
    evaluation = dg.AssetCheckEvaluation(
        asset_key=project_files.key, check_name=CHECK, **_findings()
    )
    digest = json_hash([evaluation.description, str(evaluation.metadata["problems"].value)], 16)
    if digest == context.cursor:
        return dg.SkipReason(f"as before: {evaluation.description}")
    return dg.SensorResult(asset_events=[evaluation], cursor=digest)


def late_experiments(
    sweep: Sweep, store: Store, instance: dg.DagsterInstance, now: datetime
) -> dict[str, datetime]:
    """Experiments of a scheduled sweep that are not trained in time, and when they were due.

    The first tick of the schedule after Dagster was told of an experiment's present configuration
    asks for it; by the next one it is to be trained, or pruned.

    Dagster's freshness policies cannot say it: of a partitioned asset they know the newest
    materialisation of any partition, so that one experiment would make every sweep fresh; and where
    nothing is missing nothing is materialised, and nothing is late.
    """
    late: dict[str, datetime] = {}
    if sweep.schedule is None:
        return late
    for experiment in sweep.experiments:
        wanted = dg.AssetRecordsFilter(EXPERIMENT, asset_partitions=[experiment.name])
        observed = instance.fetch_observations(wanted, limit=1).records
        if not observed:
            continue
        seen = datetime.fromtimestamp(observed[0].timestamp, ZoneInfo(sweep.time_zone))
        ticks = croniter(sweep.schedule, seen)
        ticks.get_next(datetime)
        due = ticks.get_next(datetime)
        if due < now and not _is_trained(experiment, store):
            late[experiment.name] = due
    return late


def _is_trained(experiment: Experiment, store: Store) -> bool:
    try:
        directory = store.run_directory(experiment.name, current_config_hash(experiment, store))
        return is_complete(load_manifest(directory), experiment)
    except Gr00tAssetsError:
        return False


@dg.asset_check(
    asset=loss_comparison,
    name="scheduled_sweeps_are_in_time",
    description="What a sweep's schedule has asked for was trained by the schedule's next tick.",
    automation_condition=dg.AutomationCondition.on_cron("0 * * * *"),
)
@explained
def scheduled_sweeps_are_in_time(
    context: dg.AssetCheckExecutionContext, store: StoreResource
) -> dg.AssetCheckResult:
    """Looked at whenever runs are compared, and every hour."""
    now = datetime.now(UTC)
    sweeps = [sweep for sweep in read_project().sweeps.values() if sweep.schedule]
    late = [
        f"{sweep.name}: {name}, due {due:%Y-%m-%d %H:%M %Z}"
        for sweep in sweeps
        for name, due in late_experiments(sweep, store, context.instance, now).items()
    ]
    return dg.AssetCheckResult(
        passed=not late,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(late)} late experiments of {len(sweeps)} scheduled sweeps",
        metadata={
            "late": bullets(late),
            "scheduled_sweeps": len(sweeps),
            "late_experiments": len(late),
        },
    )
