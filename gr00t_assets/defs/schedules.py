"""A schedule for each sweep that has a cron expression: it requests what is not yet trained."""

import hashlib
import re
from collections.abc import Iterator

import dagster as dg

from gr00t_assets.defs.jobs import train_experiments
from gr00t_assets.defs.partitions import SWEEPS
from gr00t_assets.defs.resources import StoreResource
from gr00t_assets.errors import Gr00tAssetsError
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.project import Store
from gr00t_assets.training.manifest import load_manifest
from gr00t_assets.training.spec import current_config_hash


def schedule_name(sweep: str) -> str:
    """The name of a sweep's schedule; Dagster allows letters, digits and underscores.

    Example:
        >>> schedule_name("demo")
        'sweep_demo'
    """
    plain = re.sub(r"[^A-Za-z0-9_]", "_", sweep)
    ending = "" if plain == sweep else "_" + hashlib.sha256(sweep.encode()).hexdigest()[:6]
    return f"sweep_{plain}{ending}"


def missing_runs(sweep: Sweep, store: Store) -> Iterator[dg.RunRequest]:
    """A request for each experiment whose present configuration is not trained to its end.

    The run key is experiment and config hash, so that Dagster requests one configuration once,
    however often the schedule ticks while it waits or trains. One that failed is materialised by
    hand, or asked for again when its configuration changes.

    Raises:
        DatasetError: A dataset of the sweep has no validated modality config.
        CheckpointError: A manifest cannot be read.
    """
    for experiment in sweep.experiments:
        config_hash = current_config_hash(experiment, store)
        manifest = load_manifest(store.run_directory(experiment.name, config_hash))
        if manifest is None or manifest.status != "finished":
            yield dg.RunRequest(
                run_key=f"{experiment.name}:{config_hash}",
                partition_key=experiment.name,
                tags={"sweep": sweep.name},
            )


def sweep_schedule(sweep: Sweep, cron: str) -> dg.ScheduleDefinition:
    """The schedule of a sweep, which a person switches on on the page; times are UTC."""

    @dg.schedule(
        job=train_experiments,
        cron_schedule=cron,
        name=schedule_name(sweep.name),
        description=f"What is not yet trained of the sweep {sweep.name}. {sweep.description}",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )
    def tick(store: StoreResource) -> list[dg.RunRequest] | dg.SkipReason:
        try:
            requests = list(missing_runs(sweep, store))
        except Gr00tAssetsError as error:
            return dg.SkipReason(error.explain())
        return requests or dg.SkipReason(f"every experiment of {sweep.name} is trained")

    return tick


schedules = [sweep_schedule(sweep, sweep.schedule) for sweep in SWEEPS.values() if sweep.schedule]
