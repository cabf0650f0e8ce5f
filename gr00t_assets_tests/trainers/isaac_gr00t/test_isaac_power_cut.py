"""Power cuts under Isaac-GR00T's trainer, whose launcher syncs in a process of its own."""

import sys
from pathlib import Path

from gr00t_assets.trainers.isaac_gr00t.environment import CHECKOUT, PYTHON
from gr00t_assets_tests.harness.power_cuts import after_power_cuts
from gr00t_assets_tests.trainers.isaac_gr00t.launching import variables

MODULE = "gr00t_assets.trainers.isaac_gr00t.isaac_run"


def test_isaac_loses_nothing(
    small_data: Path, small_checkout: Path, small_base: Path, tmp_path: Path
) -> None:
    experiment = {
        "trainer": "isaac-gr00t",
        "base_model": str(small_base),
        "hyperparameters": {"max_steps": 5, "save_steps": 2, "dataloader_num_workers": 0},
    }
    around = variables(**{CHECKOUT: str(small_checkout), PYTHON: sys.executable})
    after_power_cuts(small_data, tmp_path, MODULE, 45, experiment, **around)
