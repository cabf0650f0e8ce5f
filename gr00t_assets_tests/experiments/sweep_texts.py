"""Sweep files for tests: written to a folder and read."""

from pathlib import Path

import pytest

from gr00t_assets.core.errors import SweepError
from gr00t_assets.experiments.sweeps import Sweep, load_sweep

DATASETS = ("demo", "other")


def load(folder: Path, text: str, name: str = "mine") -> Sweep:
    file = folder / f"{name}.yaml"
    file.write_text(text)
    return load_sweep(file, DATASETS)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(SweepError) as caught:
        load(folder, text)
    return str(caught.value).replace(f"{folder}/", "")
