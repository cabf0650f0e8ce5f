"""The store that assets and checks work in, and what a run says before its first step.

That is who asked for it, that it has a worker, and which versions of experiments it trains. The
version of an experiment is its config hash. Dagster compares the versions that it was told before a
checkpoint was made with those that it was told since; a changed one makes the checkpoint stale.
"""

from collections.abc import Mapping
from functools import partial

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from gr00t_assets.core.errors import StoreError, system_errors_explained
from gr00t_assets.core.files import json_hash
from gr00t_assets.core.project import Store
from gr00t_assets.defs.failures import ExplainedFailureError
from gr00t_assets.defs.metadata import settings
from gr00t_assets.defs.partitions import EXPERIMENTS
from gr00t_assets.defs.recovery import hold_run
from gr00t_assets.defs.training_runs import experiment_of_run, origin_tags, trains
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.runs.training_data import find_training_data

EXPERIMENT = dg.AssetKey("experiment")

StoreResource = dg.ResourceParam[Store]
"""The store, as a parameter named ``store``. It has no run config: where artifacts go is said by
``GR00T_ASSETS_STORE`` for a whole process, not by one run."""


def _open_store(context: dg.InitResourceContext) -> Store:
    """The store; every step of every run takes it, so opening it says that the run has a worker.

    One that cannot be written ends the run here, before anything is computed. A run that came past
    the queue gets its tags here, and one that trains says of which version, which has to be said
    before its step begins.
    """
    store = Store.from_environment()
    if (run := context.run) is not None and context.instance is not None:
        try:
            with system_errors_explained(store.root):
                hold_run(run.run_id, store)
                experiment = experiment_of_run(run, EXPERIMENTS)
                if tags := origin_tags(run, experiment):
                    context.instance.add_run_tags(run.run_id, tags)
                if experiment is not None and trains(run):
                    observe(experiment, store, context.instance)
        except StoreError as error:
            raise ExplainedFailureError(error) from None
    return store


running_sensor = partial(
    dg.sensor, minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING
)
"""A sensor that is on from the start."""

resources = {"store": dg.ResourceDefinition(_open_store)}
"""The resources by the name of the parameter that takes them."""


def experiment_versions(experiments: Mapping[str, Experiment], store: Store) -> dict[str, str]:
    """The config hash of each experiment, by name; every modality config is read once.

    Before the data is there it is ``settings-`` and a hash of the settings.
    """
    return {
        experiment.name: f"settings-{json_hash(experiment.settings, 12)}"
        if isinstance(data, str)
        else data.config_hash(experiment)
        for experiment, data in find_training_data(experiments.values(), store)
    }


def changed_versions(versions: Mapping[str, str], instance: dg.DagsterInstance) -> dict[str, str]:
    """Those that are not what Dagster was told last."""
    names = None if len(versions) > 1 else list(versions)
    tags = instance.event_log_storage.get_latest_tags_by_partition(
        EXPERIMENT, dg.DagsterEventType.ASSET_OBSERVATION, [DATA_VERSION_TAG], names
    )
    return {
        name: version
        for name, version in versions.items()
        if tags.get(name, {}).get(DATA_VERSION_TAG) != version
    }


def observation(experiment: Experiment, version: str) -> dg.AssetObservation:
    """What Dagster is told of an experiment."""
    return dg.AssetObservation(
        EXPERIMENT,
        partition=experiment.name,
        tags={DATA_VERSION_TAG: version},
        metadata={
            "sweep": experiment.sweep,
            "hypothesis": experiment.hypothesis or "none",
            "dataset": experiment.dataset_name,
            "trainer": experiment.trainer,
            "base_model": experiment.base_model,
            "hyperparameters": settings(experiment.hyperparameters.changed()),
        },
    )


def observe(experiment: Experiment, store: Store, instance: dg.DagsterInstance) -> None:
    """Tell Dagster the version of one experiment, where it was told another or none."""
    versions = experiment_versions({experiment.name: experiment}, store)
    for version in changed_versions(versions, instance).values():
        instance.report_runless_asset_event(observation(experiment, version))
