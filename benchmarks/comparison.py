"""Seconds and peak memory to compare finished runs and write the report, by number of runs.

``python -m benchmarks.comparison [--counts 250,500,1000,2000] [--profile]``. Target: 2,000 runs
with curves of 1,000 points in under 20 s and 1 GB, and time that grows in proportion to the runs.

Half of the runs are a grid over learning rate, batch size, weight decay and warm-up with three
seeds each, as one plans them; the other half is a random search, where no two runs share a
learning rate. Every step is a logged line of its own, the longest file that a curve can have. Each
number of runs is measured in a process of its own, so that its peak memory is its own.
"""

import argparse
import cProfile
import itertools
import json
import pstats
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.finished_runs import MODALITY, falling, write_finished
from gr00t_assets.comparison.all_runs import from_store
from gr00t_assets.comparison.statistics.factor_tests import all_effects
from gr00t_assets.comparison.statistics.ranking import comparability_classes
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.registry import combined_hyperparameters
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.modality.config import save_modality_config
from gr00t_assets.reporting.report import make_report
from gr00t_assets.runs.stored_run import read_runs

COUNTS = "250,500,1000,2000"
SECONDS, MEGABYTES = 20.0, 1000.0
STEPS = 1_000
PARTS = ("read", "observe", "effects", "report")


def settings(index: int) -> dict[str, Any]:
    """Of one run: even ones are of the grid, odd ones of the random search."""
    draw = np.random.default_rng(index)
    if index % 2:
        return {
            "learning_rate": float(f"{10 ** draw.uniform(-5, -3):.6g}"),
            "batch_size": int(draw.choice([1, 8, 32])),
            "weight_decay": float(draw.choice([0.0, 1e-5])),
            "seed": index,
        }
    rates = [float(f"{10 ** (-5 + 0.02 * step):.4g}") for step in range(101)]
    grid = itertools.product(rates, (8, 32), (0.0, 1e-5), (0.0, 0.05))
    place, seed = divmod(index // 2, 3)
    rate, batch, decay, warmup = next(itertools.islice(grid, place, None))
    return {
        "learning_rate": rate,
        "batch_size": batch,
        "weight_decay": decay,
        "warmup_ratio": warmup,
        "seed": seed,
    }


def experiment(index: int) -> Experiment:
    """The experiment of a run."""
    asked = combined_hyperparameters()(max_steps=STEPS, logging_steps=1, **settings(index))
    return Experiment(
        name=f"search-{index:04d}", sweep="search", dataset="demo", hyperparameters=asked
    )


def write_run(item: Experiment, store: Store, seed: int) -> None:
    """The run directory of a finished run."""
    asked, draw = item.hyperparameters, np.random.default_rng(seed)
    final = 0.1 * (asked.learning_rate / 1e-4) ** -0.3 * draw.lognormal(0, 0.05)
    losses = falling(final, STEPS, asked.samples_per_step**-0.5, draw)
    write_finished(item, store, losses)


def measure(root: Path, count: int, profiled: bool) -> dict[str, float]:
    """Seconds of each part and what they left, for the first ``count`` runs of a store."""
    store = Store(root)
    items = tuple(experiment(index) for index in range(count))
    sweep = Sweep(
        name="search", file=root / "search.yaml", description="", schedule=None, experiments=items
    )
    found: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        started, before = time.perf_counter(), time.process_time()
        with cProfile.Profile() if profiled else _Nothing() as profile:
            result = work()
        found[name] = time.perf_counter() - started
        found[name + " CPU"] = time.process_time() - before
        if isinstance(profile, cProfile.Profile):
            pstats.Stats(profile, stream=sys.stderr).sort_stats("cumulative").print_stats(25)
        return result

    found["count"] = _compare(items, store, timed)
    timed("report", lambda: make_report([sweep], store).write())
    found["HTML MB"] = (store.reports / "loss_comparison.html").stat().st_size / 1e6
    found["peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return found


def _compare(
    items: tuple[Experiment, ...], store: Store, timed: Callable[[str, Callable[[], Any]], Any]
) -> int:
    """Read and compare the runs; they are let go of before the report reads them again."""
    stored = timed("read", lambda: read_runs(items, store))
    runs = timed("observe", lambda: from_store(stored))

    def everything() -> int:
        assert all(item.ranking for item in comparability_classes(runs))
        return sum(map(len, all_effects(runs).values()))

    return timed("effects", everything)


class _Nothing:
    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


def main() -> int:
    """Print the table; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", default=COUNTS)
    parser.add_argument("--profile", action="store_true", help="of the largest number, to stderr")
    parser.add_argument("--store", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    counts = [int(count) for count in arguments.counts.split(",")]
    if arguments.store:
        print(json.dumps(measure(arguments.store, counts[0], arguments.profile)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "store")
        save_modality_config(MODALITY, store)
        for index in range(max(counts)):
            write_run(experiment(index), store, index)
        results = {}
        print(f"{'runs':>6} " + "".join(f"{part + ' s':>13}" for part in PARTS)
              + f"{'effects':>11}{'peak MB':>9}{'HTML MB':>9}   (wall, CPU)")  # fmt: skip
        for count in counts:
            results[count] = found = _child(store.root, count, arguments, counts)
            cells = "".join(f"{found[p]:>7.2f}{found[p + ' CPU']:>6.2f}" for p in PARTS)
            print(f"{count:>6} {cells}{found['count']:>11,.0f}{found['peak MB']:>9.0f}"
                  f"{found['HTML MB']:>9.1f}", flush=True)  # fmt: skip
    return _verdict(results, counts)


def _child(
    root: Path, count: int, arguments: argparse.Namespace, counts: list[int]
) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.comparison", "--counts", str(count)]
    command += ["--store", str(root)]
    if arguments.profile and count == max(counts):
        command.append("--profile")
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def _verdict(results: dict[int, dict[str, float]], counts: list[int]) -> int:
    few, many = results[counts[0]], results[counts[-1]]
    times = counts[-1] / counts[0]
    for part in PARTS:
        ratio = many[part + " CPU"] / max(few[part + " CPU"], 1e-3)
        print(f"{part}: {ratio:.1f} times the CPU seconds for {times:.1f} times the runs")
    whole = many["report"]
    print(f"target: the report under {SECONDS:.0f} s and {MEGABYTES:.0f} MB at {counts[-1]}; "
          f"{whole:.1f} s and {many['peak MB']:.0f} MB")  # fmt: skip
    return 0 if whole < SECONDS and many["peak MB"] < MEGABYTES else 1


if __name__ == "__main__":
    raise SystemExit(main())
