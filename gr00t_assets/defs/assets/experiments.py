"""The external asset of experiments, and the sensor that observes it."""

from functools import lru_cache

import dagster as dg

from gr00t_assets.core.files import file_stamp, json_hash
from gr00t_assets.core.project import Store
from gr00t_assets.defs.experiment_versions import (
    EXPERIMENT,
    all_versions,
    changed_versions,
    observation,
)
from gr00t_assets.defs.failures import OWNERS
from gr00t_assets.defs.partitions import experiment_partitions
from gr00t_assets.defs.resources import StoreResource
from gr00t_assets.experiments.project_files import project_stamp, read_project

_INTERVAL_SECONDS = 30
_MOST_AT_ONCE = 200
"""Observations of one tick, some seconds' work of the daemon."""


experiment = dg.AssetSpec(
    EXPERIMENT,
    partitions_def=experiment_partitions,
    group_name="training",
    kinds={"yaml"},
    owners=OWNERS,
    description="""What an experiment asks for: its settings in `data/sweeps` with the data they
are for. Its version is the config hash, so that a changed sweep file makes the checkpoints stale of
exactly the experiments that are to be trained anew. It is observed, not made: by the sensor
`observe_experiments`, and by each run that trains.""",
)


@dg.sensor(
    minimum_interval_seconds=_INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells Dagster of experiments that are new or changed, by their config hash.",
)
def observe_experiments(
    context: dg.SensorEvaluationContext, store: StoreResource
) -> dg.SensorResult | dg.SkipReason:
    """One tick. It starts no run, and where nothing was changed since the last it does nothing.

    An observable source with an automation condition would launch a run instead, of some seconds,
    to look at all of them.
    """
    data = file_stamp(store.modality_config("any").parent.glob("*.json"))
    versions = _versions(store, (project_stamp(), data))
    cursor = json_hash(versions, 16)
    if context.cursor == cursor:
        return dg.SkipReason("no experiment has changed")
    changed = list(changed_versions(versions, context.instance).items())
    experiments = read_project().experiments
    told = [observation(experiments[name], version) for name, version in changed[:_MOST_AT_ONCE]]
    return dg.SensorResult(
        asset_events=told,
        skip_reason=f"{len(told)} of {len(changed)} changed experiments observed",
        cursor=cursor if len(told) == len(changed) else None,
    )


@lru_cache(maxsize=1)
def _versions(store: Store, _stamp: object) -> dict[str, str]:
    """Computed again when a file has changed."""
    return all_versions(read_project().experiments, store)
