"""What is not as it must be when a soak is over."""

import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.gpu.slot_files import holders
from gr00t_assets.gpu.wait_queue import waiting
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets.runs.spec import make_spec
from gr00t_assets.runs.stored_run import StoredRun, read_runs
from gr00t_assets_tests.defs import fault_trainer, faults
from gr00t_assets_tests.defs.project import Project

REAL = "real"
"""Tag of experiments that are real trainings."""


def soak_faults(project: Project, experiments: Iterable[Experiment]) -> list[str]:
    """One sentence for each thing that is left, lost, repeated or otherwise than undisturbed."""
    asked = list(experiments)
    real = [experiment for experiment in asked if REAL in experiment.tags]
    return [
        *_left_behind(project),
        *_of_runs(project.store, asked),
        *(fault for experiment in real for fault in _of_training(project, experiment)),
    ]


def _left_behind(project: Project) -> Iterator[str]:
    with suppress(AssertionError):
        faults.until(lambda: not faults.training(project), lambda: "", 90)
    for process in faults.training(project):
        yield f"process {process.pid} is left: {process.command[:120]}"
    for holder in holders(project.store):
        yield f"slot {holder} is held"
    for waiter in waiting(project.store):
        yield f"{waiter.experiment} still waits"


def _of_runs(store: Store, experiments: list[Experiment]) -> Iterator[str]:
    for run in read_runs(experiments, store):
        if not run.rankable:
            yield f"{run.name} has no place in the comparison: {run.status}"
        steps = run.metrics.columns["step"].tolist()
        if steps != list(range(1, run.experiment.hyperparameters.max_steps + 1)):
            yield f"{run.name} has the steps {steps}"
        elif not _is_unbroken(run):
            yield f"{run.name} has other losses than an unbroken run"
        directory = store.run_directory(run.name, str(run.config_hash))
        if list(directory.rglob(".*partial*")):
            yield f"{run.name} has half written files"


def _is_unbroken(run: StoredRun) -> bool:
    """Of the trainer that counts; real trainings are held against others."""
    asked = run.experiment.hyperparameters
    unbroken = fault_trainer.unbroken(asked.max_steps, asked.seed)
    return REAL in run.experiment.tags or run.metrics.losses.tolist() == unbroken


def _of_training(project: Project, experiment: Experiment) -> Iterator[str]:
    """A real training against the same one that nothing happens to."""
    with tempfile.TemporaryDirectory() as folder:
        other = Store(Path(folder) / "store")
        shutil.copytree(
            project.store.root,
            other.root,
            ignore=shutil.ignore_patterns("runs", "slots", "run_workers"),
        )
        spec = make_spec(experiment, other)
        done = project.run(sys.executable, "-m", faults.NATIVE, str(place_spec(spec)), timeout=600)
        if done.returncode:
            yield f"{experiment.name} alone: {done.stdout[-300:]}"
            return
        mine = project.store.run_directory(experiment.name, spec.config_hash)
        if faults.losses(mine) != faults.losses(spec.run_directory):
            yield f"{experiment.name} has other losses than an unbroken run"
