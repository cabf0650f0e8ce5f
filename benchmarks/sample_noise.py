"""The noise of one sample's loss: standard deviation over mean, at the end of a run with batch 1.

``python -m benchmarks.sample_noise [RUN_DIRECTORY]`` prints it for a run that there is; without one
it trains the built-in tiny model for 2,000 steps on synthetic demonstrations, two minutes on a
CPU. ``gr00t_assets.comparison.curves.SAMPLE_CV`` is taken from it.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.small_data import prepare
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.runs.spec import make_spec
from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters

STEPS = 2_000
SETTINGS = NativeHyperparameters(
    batch_size=1, max_steps=STEPS, save_steps=STEPS, learning_rate=1e-3, augmentation="none"
)


def trained(root: Path) -> Path:
    """The run directory of a tiny model trained one sample at a time."""
    from gr00t_assets.trainers.native.__main__ import main as train

    os.environ["WANDB_MODE"] = "disabled"
    store = Store(root)
    prepare(store)
    item = Experiment(
        name="noise", sweep="noise", dataset="small", hyperparameters=SETTINGS, report_to="none"
    )
    spec = make_spec(item, store)
    file = root / "spec.json"
    file.write_text(spec.model_dump_json())
    if train([str(file)]) != 0:
        raise SystemExit("the training failed")
    return spec.run_directory


def show(run_directory: Path) -> None:
    """Print the table for a run whose steps had one sample each."""
    losses = read_metrics(run_directory).losses
    print(f"{'last steps':>10}{'mean':>9}{'sd / mean':>11}{'next step':>11}{'of 10 steps':>13}")
    for share in (0.1, 0.25):
        window = losses[-max(20, int(share * len(losses))) :]
        tens = window[: len(window) // 10 * 10].reshape(-1, 10).mean(axis=1)
        mean = window.mean()
        print(f"{len(window):>10}{mean:>9.4f}{window.std(ddof=1) / mean:>11.3f}"
              f"{np.corrcoef(window[:-1], window[1:])[0, 1]:>11.3f}"
              f"{tens.std(ddof=1) / mean:>13.3f}")  # fmt: skip


def main() -> None:
    """Print the noise of the run that is named, or of one that is made."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run_directory", nargs="?", type=Path)
    asked = parser.parse_args().run_directory
    if asked:
        show(asked)
        return
    with tempfile.TemporaryDirectory() as folder:
        show(trained(Path(folder) / "store"))


if __name__ == "__main__":
    main()
