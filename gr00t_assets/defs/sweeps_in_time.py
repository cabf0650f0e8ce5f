"""The check that scheduled sweeps are trained in time.

Dagster's freshness policies cannot say it: of a partitioned asset they know the newest
materialisation of any partition, so that one experiment would make every sweep fresh; and where
nothing is missing nothing is materialised, and nothing is late.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import dagster as dg
from croniter import croniter

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.project import Store
from gr00t_assets.defs.assets.analysis import loss_comparison
from gr00t_assets.defs.experiment_versions import EXPERIMENT
from gr00t_assets.defs.failures import explained
from gr00t_assets.defs.metadata import bullets
from gr00t_assets.defs.resources import StoreResource
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.project_files import read_project
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.retry import is_complete
from gr00t_assets.runs.spec import current_config_hash


def late_experiments(
    sweep: Sweep, store: Store, instance: dg.DagsterInstance, now: datetime
) -> dict[str, datetime]:
    """Experiments of a scheduled sweep that are not trained in time, and when they were due.

    The first tick of the schedule after Dagster was told of an experiment's present configuration
    asks for it; by the next one it is to be trained, or pruned.
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
