"""Versions of experiments: the config hash, by which Dagster tells that a checkpoint is stale.

Dagster compares the versions of a partition that it was told before a checkpoint was made with
those that it was told since. So a run that trains says which version it trains, before its step
begins, and ``observe_experiments`` says it of those that were changed since.
"""

from collections.abc import Mapping
from functools import cache

import dagster as dg

from gr00t_assets.core.files import json_hash
from gr00t_assets.core.project import Store
from gr00t_assets.defs.dagster_internals import DATA_VERSION_TAG
from gr00t_assets.defs.metadata import settings
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.modality.config import load_modality_config
from gr00t_assets.runs.training_data import ConfigLoader, find_training_data

EXPERIMENT = dg.AssetKey("experiment")


def experiment_version(
    experiment: Experiment, store: Store, load: ConfigLoader = load_modality_config
) -> str:
    """The config hash; before the data is there, ``settings-`` and a hash of the settings."""
    data = find_training_data(experiment, store, load)
    if isinstance(data, str):
        return f"settings-{json_hash(experiment.settings, 12)}"
    return data.config_hash(experiment)


def all_versions(experiments: Mapping[str, Experiment], store: Store) -> dict[str, str]:
    """The version of each experiment, by name; every modality config is read once."""
    load = cache(load_modality_config)
    return {name: experiment_version(item, store, load) for name, item in experiments.items()}


def changed_versions(versions: Mapping[str, str], instance: dg.DagsterInstance) -> dict[str, str]:
    """Those that are not what Dagster was told last."""
    names = None if len(versions) > 1 else list(versions)
    told = instance.event_log_storage.get_latest_tags_by_partition(
        EXPERIMENT, dg.DagsterEventType.ASSET_OBSERVATION, [DATA_VERSION_TAG], names
    )
    return {
        name: version
        for name, version in versions.items()
        if told.get(name, {}).get(DATA_VERSION_TAG) != version
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
    versions = {experiment.name: experiment_version(experiment, store)}
    for version in changed_versions(versions, instance).values():
        instance.report_runless_asset_event(observation(experiment, version))
