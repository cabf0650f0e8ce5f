"""A project of a catalog and sweep files, with run directories as a trainer leaves them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gr00t_assets.core.project import Store
from gr00t_assets.experiments.sweeps import Sweep, load_sweep
from gr00t_assets_tests.comparison.run_factory import losses, store_with_data, write_run

CATALOG = """\
demo:
  description: Drawn demonstrations
  source: {kind: synthetic, robot: gr1_arms, episodes: 2}
  data_config: fourier_gr1_arms_only
  embodiment_tag: gr1
"""

DEFAULTS = """\
defaults:
  dataset: demo
  hyperparameters: {max_steps: 300, batch_size: 8, augmentation: none}
"""


@dataclass(frozen=True)
class SmallProject:
    """Its root and its store."""

    root: Path
    store: Store

    def file(self, name: str) -> Path:
        return self.root / "data" / "sweeps" / f"{name}.yaml"

    def sweep(self, name: str, text: str, defaults: str = DEFAULTS) -> Sweep:
        """Write a sweep file and read it."""
        self.file(name).write_text(defaults + text)
        return load_sweep(self.file(name), ["demo"])

    def trained(self, sweep: Sweep, finals: dict[str, float], **changes: Any) -> None:
        """Run directories of experiments that ended at these losses."""
        for item in sweep.experiments:
            if item.name in finals:
                steps = item.hyperparameters.max_steps
                curve = losses(steps, finals[item.name], seed=len(item.name))
                write_run(item, self.store, np.asarray(curve), **changes)


def make_project(folder: Path) -> SmallProject:
    root = folder / "project"
    (root / "data" / "sweeps").mkdir(parents=True)
    (root / "data" / "datasets.yaml").write_text(CATALOG)
    return SmallProject(root, store_with_data(folder / "store", "demo"))
