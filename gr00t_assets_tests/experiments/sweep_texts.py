"""Sweep files for tests: written to a folder and read, and those of a project."""

from collections.abc import Collection
from pathlib import Path

import pytest

from gr00t_assets.core.errors import SweepError
from gr00t_assets.core.project import data_files
from gr00t_assets.core.yaml_files import VISIBLE_YAML
from gr00t_assets.datasets.catalog import load_catalog
from gr00t_assets.experiments.sweeps import Sweep, Sweeps, load_sweep, read_sweeps

DATASETS = ("demo", "other")


def load(folder: Path, text: str, name: str = "mine") -> Sweep:
    file = folder / f"{name}.yaml"
    file.write_text(text)
    return load_sweep(file, DATASETS)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(SweepError) as caught:
        load(folder, text)
    return str(caught.value).replace(f"{folder}/", "")


def load_sweeps(directory: Path | None = None, datasets: Collection[str] | None = None) -> Sweeps:
    """Every sweep of a folder, of the project where left out; raises what is wrong with a file."""
    own = data_files(f"sweeps/{VISIBLE_YAML}")
    files = sorted(directory.glob(VISIBLE_YAML)) if directory else own
    sweeps = read_sweeps(files, load_catalog() if datasets is None else datasets)
    for error in sweeps.faults.values():
        raise error
    return sweeps
