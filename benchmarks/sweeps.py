"""Seconds to plan a sweep and to write the loss comparison, by number of finished runs.

``python -m benchmarks.sweeps [--counts 500,1000,2000] [--profile plan|report]``. Target: each under
10 s with 2,000 finished runs, and no faster growth than that of their number.

The store is made of real files by the same models that a trainer uses, one run in eight of them
with an older configuration beside it, and each with a curve of 100 logged lines.
"""

import argparse
import cProfile
import io
import json
import pstats
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console

from gr00t_assets.comparison.plan import make_plan
from gr00t_assets.comparison.plan_output import print_plan
from gr00t_assets.comparison.report import write_report
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.modality.config import (
    ModalityConfig,
    Statistics,
    VectorKey,
    VideoKey,
    save_modality_config,
)
from gr00t_assets.project import Store
from gr00t_assets.training.loss_window import final_window, first_window
from gr00t_assets.training.manifest import Manifest
from gr00t_assets.training.spec import TrainingSpec

COUNTS = "500,1000,2000"
TARGET = 10.0
LINES, LOGGING_STEPS, FRAMES = 100, 10, 200_000


def keys(column: str) -> tuple[VectorKey, ...]:
    """Four slices of a column with statistics, so that a spec is as long as a real one."""
    numbers = tuple(index / 7 for index in range(13))
    statistics = Statistics(min=numbers, max=numbers, mean=numbers, std=numbers, q01=numbers,
                            q99=numbers)  # fmt: skip
    return tuple(
        VectorKey(
            key=f"part_{index}",
            original_key=column,
            start=13 * index,
            end=13 * index + 13,
            statistics=statistics,
        )
        for index in range(4)
    )


MODALITY = ModalityConfig(
    dataset="demo",
    dataset_version="0123456789abcdef",
    data_config="fourier_gr1_arms_only",
    embodiment_tag="gr1",
    embodiment_id=24,
    video=(VideoKey(key="ego_view", original_key="ego", height=256, width=256, fps=20.0),),
    state=keys("observation.state"),
    action=keys("action"),
    language="annotation.human.action.task_description",
    observation_indices=(0,),
    action_indices=tuple(range(16)),
    state_dim=26,
    action_dim=26,
    max_state_dim=64,
    max_action_dim=32,
)


def experiment(index: int, older: bool = False) -> Experiment:
    """One of a random search over learning rate, batch size and weight decay."""
    settings = Hyperparameters(
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
    config_hash = item.config_hash(MODALITY.dataset_version, MODALITY.content_hash())
    spec = TrainingSpec(
        store=str(store.root), experiment=item, modality_config=MODALITY, config_hash=config_hash
    )
    folder = spec.run_directory
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(spec.model_dump_json())
    steps, per_step = LINES * LOGGING_STEPS, item.hyperparameters.samples_per_step
    noise = np.random.default_rng(seed)
    final = 0.05 + 0.2 * noise.random()
    fall = np.exp(-np.arange(steps) / (0.12 * steps))
    losses = ((final + (1.1 - final) * fall) * noise.lognormal(0, 0.1, steps)).reshape(LINES, -1)
    with (folder / "metrics.jsonl").open("w") as file:
        for line, values in enumerate(losses.tolist(), start=1):
            step = line * LOGGING_STEPS
            metric = {
                "step": step,
                "samples_seen": step * per_step,
                "epoch": step * per_step / FRAMES,
                "loss": sum(values) / len(values),
                "losses": values,
                "grad_norm": 0.8,
                "learning_rate": item.hyperparameters.learning_rate,
                "wall_seconds": 0.3 * step,
            }
            file.write(json.dumps(metric) + "\n")
    manifest = Manifest(
        experiment=item.name,
        sweep=item.sweep,
        config_hash=config_hash,
        status="finished",
        trainer=item.trainer,
        trainer_revision="0.1.0",
        base_model=item.base_model,
        dataset=item.dataset,
        dataset_version=MODALITY.dataset_version,
        data_config=MODALITY.data_config,
        modality_hash=MODALITY.content_hash(),
        steps=steps,
        max_steps=steps,
        samples_seen=steps * per_step,
        dataset_frames=FRAMES,
        epochs=steps * per_step / FRAMES,
        first_loss=first_window(losses.ravel(), per_step),
        final_loss=final_window(losses.ravel(), per_step),
        wall_seconds=0.3 * steps,
        gpu_seconds=0.0,
        peak_memory_bytes=1_200_000_000,
        samples_per_second=per_step / 0.3,
        device="cpu",
        versions={"python": "3.11.9", "torch": "2.13.0"},
        parameters=900_000,
        trainable_parameters={"projector": 120_000, "diffusion_model": 480_000},
        frames_verified=True,
        attempts=1,
        started_at="2026-01-01T10:00:00+00:00",
        finished_at="2026-01-01T10:02:00+00:00",
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json())


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
    write_report([sweep], store)


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
    found: dict[int, dict[str, tuple[float, float]]] = {}
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            store, sweep = make_store(Path(folder) / "store", count)
            set_up = time.perf_counter() - started
            if arguments.profile and count == counts[-1]:
                with cProfile.Profile() as profile:
                    MEASURED[arguments.profile](sweep, store)
                pstats.Stats(profile).sort_stats("cumulative").print_stats(45)
            found[count] = {name: seconds(work, sweep, store) for name, work in MEASURED.items()}
            size = (store.reports / "loss_comparison.html").stat().st_size / 1e6
        (wall, cpu), (report_wall, report_cpu) = found[count].values()
        print(f"{count:>6}  {set_up:>8.1f}  {wall:>7.2f}  {cpu:>6.2f}  {report_wall:>8.2f}"
              f"  {report_cpu:>6.2f}  {size:>6.1f}")  # fmt: skip
    low, high = counts[0], counts[-1]
    for name in MEASURED:
        growth = found[high][name][1] / found[low][name][1]
        print(f"{name}: {growth:.1f} times the CPU seconds for {high / low:.1f} times the runs")
    slowest = max(wall for wall, _ in found[high].values())
    print(f"target: each under {TARGET:.0f} s at {high}; slowest {slowest:.2f} s")
    return 0 if slowest < TARGET else 1


if __name__ == "__main__":
    raise SystemExit(main())
