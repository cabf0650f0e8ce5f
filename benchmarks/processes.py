"""Samples a second of one and of two processes of the native trainer, at one global batch.

``python -m benchmarks.processes [--batch N] [--steps N]`` trains the synthetic dataset with each,
one torch thread a process, in turn as often as asked, and prints the ratio. It needs as many cores
as processes. The time of the first steps, in which processes meet, is left out.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.training_step import prepare
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.runs.run_directory import SPEC, place_spec
from gr00t_assets.runs.spec import make_spec
from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters

WARM_UP = 10
"""Steps; also between two logged losses, as by default."""


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, default=32, help="samples of a step")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        prepare(root)
        ratios = []
        print(f"{'round':>5} {'1 process':>12} {'2 processes':>12} {'ratio':>6}   samples/s")
        for number in range(options.repeat):
            one, two = (
                samples_per_second(root, f"{number}-{count}", count, options) for count in (1, 2)
            )
            ratios.append(two / one)
            print(f"{number:>5} {one:>12.1f} {two:>12.1f} {two / one:>6.2f}")
        print(f"median ratio {statistics.median(ratios):.2f}")


def samples_per_second(root: Path, name: str, count: int, options: argparse.Namespace) -> float:
    """Of a training with so many processes, from its own clock."""
    settings = NativeHyperparameters(
        num_gpus=count,
        batch_size=options.batch // count,
        max_steps=WARM_UP + options.steps,
        save_steps=10_000,
        logging_steps=WARM_UP,
        augmentation="none",
    )
    experiment = Experiment(
        name=f"run-{name}",
        sweep="benchmark",
        dataset="synthetic-pick-n-place",
        hyperparameters=settings,
    )
    spec = make_spec(experiment, Store(root))
    place_spec(spec)
    command = [sys.executable, "-m", "gr00t_assets.trainers.native"]
    subprocess.run([*command, str(spec.run_directory / SPEC)], check=True, capture_output=True)
    seconds = read_metrics(spec.run_directory).columns["wall_seconds"]
    return options.batch * options.steps / float(seconds[-1] - seconds[0])


if __name__ == "__main__":
    main()
