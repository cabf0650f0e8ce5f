"""Samples a second of one and of two processes of the native trainer.

``python -m benchmarks.processes [--batch N] [--steps N]`` trains the synthetic dataset, one torch
thread a process, in turn as often as asked: one process, two with the same ``batch_size`` in each,
and two that share its samples. Two trainings that share nothing, each with half of the samples, say
how much two of these cores do at most. It needs as many cores as processes. The time of the first
steps, in which processes meet, is left out.
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
    parser.add_argument("--batch", type=int, default=32, help="samples of a step of one")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        prepare(root)
        kinds = ("2 processes", "sharing them", "2 trainings")
        print("round  1 process" + "".join(f"  {kind:>12}  ratio" for kind in kinds), flush=True)
        ratios = []
        for number in range(options.repeat):
            one, *others = (
                samples_per_second(root, f"{number}-{name}", count, size, options.steps)
                for name, count, size in (
                    ("one", 1, options.batch),
                    ("two", 2, options.batch),
                    ("sharing", 2, options.batch // 2),
                )
            )
            with ThreadPoolExecutor() as pool:
                halves = pool.map(
                    lambda half, number=number: samples_per_second(
                        root, f"{number}-{half}", 1, options.batch // 2, options.steps
                    ),
                    range(2),
                )
                others.append(sum(halves))
            ratios.append([speed / one for speed in others])
            columns = zip(others, ratios[-1], strict=True)
            cells = "".join(f"  {speed:>12.1f}  {ratio:>5.2f}" for speed, ratio in columns)
            print(f"{number:>5}  {one:>9.1f}{cells}", flush=True)
        medians = [statistics.median(column) for column in zip(*ratios, strict=True)]
        print("median          " + "".join(f"{median:>21.2f}" for median in medians))


def samples_per_second(root: Path, name: str, count: int, batch_size: int, steps: int) -> float:
    """Of a training with so many processes and samples in each, from its own clock."""
    settings = NativeHyperparameters(
        num_gpus=count,
        batch_size=batch_size,
        max_steps=WARM_UP + steps,
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
    return count * batch_size * steps / float(seconds[-1] - seconds[0])


if __name__ == "__main__":
    main()
