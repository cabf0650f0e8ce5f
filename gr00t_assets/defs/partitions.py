"""Partitions from the checked-in files: one per dataset, experiment and trainer.

The files are read when the definitions are loaded, so that every key is there without a Dagster
instance, and a wrong file stops the load with its line.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import dagster as dg

from gr00t_assets.datasets.catalog import CatalogEntry, load_catalog
from gr00t_assets.defs.failures import explained_load
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.registry import trainer_names
from gr00t_assets.experiments.sweeps import Sweep, experiments_by_name, load_sweeps

with explained_load():
    CATALOG: Mapping[str, CatalogEntry] = load_catalog()
    """Every dataset of ``data/datasets.yaml`` by name."""

    SWEEPS: Mapping[str, Sweep] = load_sweeps(datasets=CATALOG)
    """Every sweep of ``data/sweeps`` by name."""

EXPERIMENTS: Mapping[str, Experiment] = experiments_by_name(SWEEPS)
"""Every experiment of every sweep by name."""

dataset_partitions = dg.StaticPartitionsDefinition(list(CATALOG))
experiment_partitions = dg.StaticPartitionsDefinition(list(EXPERIMENTS))
trainer_partitions = dg.StaticPartitionsDefinition(list(trainer_names()))


def _experiments_by(keys: Callable[[Experiment], Iterable[str]]) -> dict[str, list[str]]:
    """Names of experiments by the keys of each."""
    names: dict[str, list[str]] = defaultdict(list)
    for experiment in EXPERIMENTS.values():
        for key in keys(experiment):
            names[key].append(experiment.name)
    return names


dataset_to_experiments = dg.StaticPartitionMapping(
    _experiments_by(lambda experiment: [dataset.name for dataset in experiment.datasets])
)
"""Each dataset's partition to the partitions of the experiments that train on it, alone or with
others."""

trainer_to_experiments = dg.StaticPartitionMapping(
    _experiments_by(lambda experiment: [experiment.trainer])
)
"""Each trainer's partition to the partitions of the experiments that it trains."""
