"""The repository's own table of runs."""

from pathlib import Path

import gr00t_assets
from gr00t_assets.comparison.curves import Loss
from gr00t_assets.comparison.run import Run

TABLE = Path(gr00t_assets.__file__).parents[1] / "data" / "examples" / "journal" / "runs.csv"
FRAMES = {"robot_sim.PickNPlace": 2096}


def loss_of(run: Run) -> Loss:
    assert run.loss is not None
    return run.loss
