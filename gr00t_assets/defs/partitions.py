"""Partitions from the checked-in files: one per dataset, one per experiment.

The files are read when the definitions are loaded, so that every key is there without a Dagster
instance, and a wrong file stops the load with its line.
"""

from collections import defaultdict
from collections.abc import Mapping

import dagster as dg

from gr00t_assets.datasets.catalog import CatalogEntry, load_catalog
from gr00t_assets.defs.failures import explained_load
from gr00t_assets.experiments.experiment import Experiment
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


def _experiments_by_dataset() -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for experiment in EXPERIMENTS.values():
        found[experiment.dataset].append(experiment.name)
    return found


dataset_to_experiments = dg.StaticPartitionMapping(_experiments_by_dataset())
"""Each dataset's partition to the partitions of the experiments that train on it."""
