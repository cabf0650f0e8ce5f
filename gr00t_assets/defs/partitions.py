"""Partitions from the checked-in files: one per dataset, experiment and trainer.

The files are read when the definitions are loaded, so that every key is there without a Dagster
instance, and a wrong file stops the load with its line.
"""

from collections import defaultdict
from collections.abc import Mapping

import dagster as dg

from gr00t_assets.datasets.catalog import CatalogEntry, load_catalog
from gr00t_assets.defs.failures import explained_load
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.registry import trainer_names
from gr00t_assets.experiments.sweeps import Sweep, load_sweeps

with explained_load():
    _catalog = load_catalog()
    _sweeps = load_sweeps(datasets=_catalog)

CATALOG: Mapping[str, CatalogEntry] = _catalog
"""Every dataset of ``data/datasets.yaml`` by name."""

SWEEPS: Mapping[str, Sweep] = _sweeps
"""Every sweep of ``data/sweeps`` by name."""

EXPERIMENTS: Mapping[str, Experiment] = {
    experiment.name: experiment for sweep in SWEEPS.values() for experiment in sweep.experiments
}
"""Every experiment of every sweep by name."""

dataset_partitions = dg.StaticPartitionsDefinition(list(CATALOG))
experiment_partitions = dg.StaticPartitionsDefinition(list(EXPERIMENTS))
trainer_partitions = dg.StaticPartitionsDefinition(list(trainer_names()))


def _experiments_by(field: str) -> dict[str, list[str]]:
    """Names of experiments by what a field of them says."""
    names: dict[str, list[str]] = defaultdict(list)
    for experiment in EXPERIMENTS.values():
        names[getattr(experiment, field)].append(experiment.name)
    return names


dataset_to_experiments = dg.StaticPartitionMapping(_experiments_by("dataset"))
"""Each dataset's partition to the partitions of the experiments that train on it."""

trainer_to_experiments = dg.StaticPartitionMapping(_experiments_by("trainer"))
"""Each trainer's partition to the partitions of the experiments that it trains."""
