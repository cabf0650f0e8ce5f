"""Samples a second of one and of two processes of the native trainer, at one global batch.

``python -m benchmarks.processes [--batch N] [--steps N]`` trains the synthetic dataset with each,
one torch thread a process, in turn as often as asked, and prints the ratio. Two trainings that
share nothing, each with half of the samples, say how much two of these cores do at most. It needs
as many cores as processes. The time of the first steps, in which processes meet, is left out.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
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
        ratios, at_most = [], []
        print("round  1 process  2 processes  ratio  2 trainings  ratio   samples/s")
        for number in range(options.repeat):
            one = samples_per_second(root, f"{number}-one", 1, options.batch, options)
            two = samples_per_second(root, f"{number}-two", 2, options.batch // 2, options)
            with ThreadPoolExecutor() as pool:
                halves = [
                    pool.submit(
                        samples_per_second, root, f"{number}-{half}", 1, options.batch // 2, options
                    )
                    for half in range(2)
                ]
                apart = sum(half.result() for half in halves)
            ratios.append(two / one)
            at_most.append(apart / one)
            line = f"{number:>5} {one:>10.1f} {two:>12.1f} {two / one:>6.2f}"
            print(f"{line} {apart:>12.1f} {apart / one:>6.2f}", flush=True)
        medians = statistics.median(ratios), statistics.median(at_most)
        print("median ratio {:.2f}, of two trainings that share nothing {:.2f}".format(*medians))


def samples_per_second(
    root: Path, name: str, count: int, batch_size: int, options: argparse.Namespace
) -> float:
    """Of a training with so many processes and samples in each, from its own clock."""
    settings = NativeHyperparameters(
        num_gpus=count,
        batch_size=batch_size,
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
    return count * batch_size * options.steps / float(seconds[-1] - seconds[0])


if __name__ == "__main__":
    main()
