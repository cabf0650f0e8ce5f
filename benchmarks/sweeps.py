"""Seconds to plan a sweep and to write the loss comparison, by number of finished runs.

``python -m benchmarks.sweeps [--counts 500,1000,2000] [--profile plan|report]``. Target: each under
10 s with 2,000 finished runs, and no faster growth than that of their number.

The store is made of real files by the same models that a trainer uses, one run in eight of them
with an older configuration beside it, and each with a curve of 100 logged lines.
"""

import argparse
import cProfile
import io
import pstats
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.finished_runs import MODALITY, falling, write_finished
from gr00t_assets.cli.sweep_plan import print_plan
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.modality.config import save_modality_config
from gr00t_assets.planning.sweep_plan import make_plan
from gr00t_assets.reporting.report import make_report
from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters

COUNTS = "500,1000,2000"
TARGET = 10.0
LINES, LOGGING_STEPS = 100, 10


def experiment(index: int, older: bool = False) -> Experiment:
    """One of a random search over learning rate, batch size and weight decay."""
    settings = NativeHyperparameters(
        learning_rate=float(f"{1e-5 * 1.002**index * (1 + older):.3g}"),
        batch_size=(1, 8, 32)[index % 3],
        weight_decay=(0.0, 1e-5)[index % 2],
        max_steps=LINES * LOGGING_STEPS,
        logging_steps=LOGGING_STEPS,
        seed=index,
    )
    return Experiment(
        name=f"search-{index:04d}", sweep="search", dataset="demo", hyperparameters=settings
    )


def write_run(item: Experiment, store: Store, seed: int) -> None:
    """The run directory of a finished run."""
    draw = np.random.default_rng(seed)
    losses = falling(0.05 + 0.2 * draw.random(), item.hyperparameters.max_steps, 0.1, draw)
    write_finished(item, store, losses)


def make_store(root: Path, count: int) -> tuple[Store, Sweep]:
    """A store with ``count`` finished runs, and the sweep that asks for them."""
    store = Store(root)
    save_modality_config(MODALITY, store)
    experiments = tuple(experiment(index) for index in range(count))
    for index, item in enumerate(experiments):
        write_run(item, store, index)
        if index % 8 == 0:
            write_run(experiment(index, older=True), store, index)
    sweep = Sweep(
        name="search",
        file=root / "search.yaml",
        description="",
        schedule=None,
        experiments=experiments,
    )
    return store, sweep


def plan(sweep: Sweep, store: Store) -> None:
    """What ``sweep plan`` does after the file is read."""
    print_plan(make_plan(sweep, store), Console(file=io.StringIO(), width=160))


def report(sweep: Sweep, store: Store) -> None:
    """What the asset ``loss_comparison`` does to write the report."""
    make_report([sweep], store).write()


MEASURED: dict[str, Callable[[Sweep, Store], None]] = {"plan": plan, "report": report}


def seconds(
    work: Callable[[Sweep, Store], None], sweep: Sweep, store: Store
) -> tuple[float, float]:
    """Wall and CPU seconds; the second says more where other work runs beside."""
    started, before = time.perf_counter(), time.process_time()
    work(sweep, store)
    return time.perf_counter() - started, time.process_time() - before


def main() -> int:
    """Print the table; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", default=COUNTS)
    parser.add_argument("--profile", choices=list(MEASURED))
    arguments = parser.parse_args()
    counts = [int(count) for count in arguments.counts.split(",")]
    with tempfile.TemporaryDirectory() as warm:
        store, sweep = make_store(Path(warm) / "store", 2)
        for work in MEASURED.values():
            work(sweep, store)
    print(f"{'runs':>6}  {'set up s':>8}  {'plan s':>7}  {'CPU':>6}  {'report s':>8}  {'CPU':>6}"
          f"  {'MB':>6}")  # fmt: skip
    measured: dict[int, dict[str, tuple[float, float]]] = {}
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            store, sweep = make_store(Path(folder) / "store", count)
            set_up = time.perf_counter() - started
            if arguments.profile and count == counts[-1]:
                with cProfile.Profile() as profile:
                    MEASURED[arguments.profile](sweep, store)
                pstats.Stats(profile).sort_stats("cumulative").print_stats(45)
            measured[count] = {name: seconds(work, sweep, store) for name, work in MEASURED.items()}
            size = (store.reports / "loss_comparison.html").stat().st_size / 1e6
        (wall, cpu), (report_wall, report_cpu) = measured[count].values()
        print(f"{count:>6}  {set_up:>8.1f}  {wall:>7.2f}  {cpu:>6.2f}  {report_wall:>8.2f}"
              f"  {report_cpu:>6.2f}  {size:>6.1f}")  # fmt: skip
    low, high = counts[0], counts[-1]
    for name in MEASURED:
        growth = measured[high][name][1] / measured[low][name][1]
        print(f"{name}: {growth:.1f} times the CPU seconds for {high / low:.1f} times the runs")
    slowest = max(wall for wall, _ in measured[high].values())
    print(f"target: each under {TARGET:.0f} s at {high}; slowest {slowest:.2f} s")
    return 0 if slowest < TARGET else 1


if __name__ == "__main__":
    raise SystemExit(main())
