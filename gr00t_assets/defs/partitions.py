"""Partitions from the checked-in files: one per dataset, experiment and trainer.

The files are read when the definitions are loaded, so that every key is there without a Dagster
instance. A file with a fault keeps the keys that it had, and what they stand for cannot be used:
to look it up in ``CATALOG`` or ``EXPERIMENTS`` raises the error of the file. Sensors and schedules
read the files themselves, at each tick.
"""

from collections.abc import Iterable

import dagster as dg

from gr00t_assets.experiments.project_files import read_project, remember_names, tell_on_stderr
from gr00t_assets.experiments.registry import trainer_names

tell_on_stderr()
PROJECT = read_project()
remember_names(PROJECT)

CATALOG = PROJECT.datasets
"""Every dataset of ``data/datasets.yaml`` by name."""

SWEEPS = PROJECT.sweeps
"""Every sweep of ``data/sweeps`` by name."""

EXPERIMENTS = PROJECT.experiments
"""Every experiment of every sweep by name."""

dataset_partitions = dg.StaticPartitionsDefinition(PROJECT.dataset_names)
experiment_partitions = dg.StaticPartitionsDefinition(PROJECT.experiment_names)
trainer_partitions = dg.StaticPartitionsDefinition(list(trainer_names()))

_LOADED = frozenset(PROJECT.experiment_names)


def loaded_requests(requests: Iterable[dg.RunRequest]) -> list[dg.RunRequest]:
    """Those whose experiment is a partition already.

    Dagster fails the whole tick for one that is not. What a file has got since is asked for at a
    later tick: within seconds the code location is loaded again.
    """
    return [request for request in requests if request.partition_key in _LOADED]


_datasets = {item.name: {one.name for one in item.datasets} for item in EXPERIMENTS.values()}

dataset_to_experiments = dg.StaticPartitionMapping(
    {
        name: [experiment for experiment, own in _datasets.items() if name in own]
        for name in PROJECT.dataset_names
    }
)
"""Each dataset's partition to the partitions of the experiments that train on it, alone or with
others."""

trainer_to_experiments = dg.StaticPartitionMapping(
    {
        name: [item.name for item in EXPERIMENTS.values() if name == item.trainer]
        for name in trainer_names()
    }
)
"""Each trainer's partition to the partitions of the experiments that it trains."""
