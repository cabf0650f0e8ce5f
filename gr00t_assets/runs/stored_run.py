"""Runs read back from the store: finished, failed, stale, or not there."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from gr00t_assets.core.checksums import one_line
from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.project import Store, materialize_command
from gr00t_assets.core.text import shown_setting
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.runs.checkpoint_layout import metrics_problem
from gr00t_assets.runs.final_loss import RULE, LossWindow, final_window, first_window
from gr00t_assets.runs.manifest import MANIFEST, Manifest, load_manifest
from gr00t_assets.runs.metrics import METRICS, NO_METRICS, MetricTable, missing_losses, read_metrics
from gr00t_assets.runs.spec import SPEC, TrainingSpec, hash_of_spec, load_spec, run_name
from gr00t_assets.runs.training_data import TrainingData, find_training_data

T = TypeVar("T")

Status = Literal[
    "finished", "pruned", "failed", "interrupted", "unfinished", "unreadable", "missing", "stale"
]

STATUS_WORDS: dict[Status, str] = {
    "finished": "the run did all its steps",
    "pruned": "the run was given up as hopeless; its sweep asks for pruning",
    "failed": "the run ended with an error",
    "interrupted": "the run was stopped; materialising it again continues it",
    "unfinished": "the run has no manifest: it is training, or it was killed",
    "unreadable": "the run's manifest cannot be read or belongs to another run",
    "missing": "there is no run",
    "stale": "the run was made with an older configuration or older data",
}


@dataclass(frozen=True)
class StoredRun:
    """One run directory as found, or the place of one that is missing.

    The experiment is as its sweep file has it now. ``config_hash`` is the directory's name: of a
    missing run that which it would have, None where the data is not there to tell. ``manifest`` is
    None where none can be trusted; ``problems`` are of the files, one sentence each.
    """

    experiment: Experiment
    config_hash: str | None
    status: Status
    manifest: Manifest | None = None
    metrics: MetricTable = NO_METRICS
    problems: tuple[str, ...] = ()
    spec: TrainingSpec | None = None

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.experiment.name

    @property
    def stale(self) -> bool:
        """Whether it was made with another configuration or other data than are asked for now."""
        return self.status == "stale"

    @property
    def hyperparameters(self) -> Hyperparameters | None:
        """What this run was made with; None for a stale run that has lost its spec."""
        if not self.stale:
            return self.experiment.hyperparameters
        return self.spec.experiment.hyperparameters if self.spec else None

    @property
    def steps(self) -> int | None:
        """Optimizer steps done."""
        if self.manifest:
            return self.manifest.steps
        return self.metrics.last.step if self.metrics.last else None

    @property
    def samples_seen(self) -> int | None:
        """Samples of all steps done."""
        last = self.manifest or self.metrics.last
        return last.samples_seen if last else None

    @property
    def first_loss(self) -> LossWindow | None:
        """Window at the start; from the metrics where no manifest has it as it is computed now."""
        return self._window(self.manifest and self.manifest.first_loss, first_window)

    @property
    def final_loss(self) -> LossWindow | None:
        """Window at the end, or so far; from the metrics as ``first_loss``."""
        return self._window(self.manifest and self.manifest.final_loss, final_window)

    @property
    def failed_checks(self) -> tuple[str, ...]:
        """Names of the checks that the run did not pass."""
        checks = self.manifest.checks if self.manifest else {}
        return tuple(name for name, passed in checks.items() if not passed)

    @property
    def rankable(self) -> bool:
        """Finished, current, complete, with a final loss that is a finite number."""
        return self.status == "finished" and unrankable(self.manifest) is None

    @property
    def changes(self) -> tuple[str, ...]:
        """What a stale run was made with and the experiment has otherwise now, in words."""
        if not self.stale or self.spec is None:
            return ()
        old, new = self.spec.experiment.settings, self.experiment.settings
        changed = [
            f"{name} {shown_setting(old[name])}, now {shown_setting(new[name])}"
            for name in new
            if old[name] != new[name]
        ]
        return tuple(changed) or ("the dataset or its modality config",)

    @property
    def command(self) -> str:
        """What to run to have this experiment trained, or continued."""
        return materialize_command("checkpoint", self.name)

    def _window(
        self, recorded: LossWindow | None, window: Callable[[np.ndarray, int], LossWindow | None]
    ) -> LossWindow | None:
        if self.manifest:
            outdated = recorded is not None and recorded.rule != RULE
            if not outdated or len(self.metrics.losses) != self.manifest.steps:
                return recorded
        samples = self.hyperparameters.samples_per_step if self.hyperparameters else 0
        return window(self.metrics.losses, samples)


def unrankable(manifest: Manifest | None) -> str | None:
    """Why a run that says it finished has no place in a ranking; None where it has one."""
    if manifest is None or manifest.status != "finished":
        return "it is not finished"
    if manifest.steps < manifest.max_steps:
        return f"its manifest says finished at step {manifest.steps} of {manifest.max_steps}"
    window = manifest.final_loss
    if window is None:
        return "its manifest has no final loss"
    if window.of_steps not in (None, manifest.steps):
        return f"its final loss is of {window.of_steps} losses, and it did {manifest.steps} steps"
    finite = math.isfinite(window.mean) and 0 <= (window.standard_error or 0.0) < math.inf
    return None if finite else "its final loss is not a finite number"


def read_runs(
    experiments: Sequence[Experiment], store: Store, curves: bool = True
) -> list[StoredRun]:
    """Every run directory of the experiments, and a placeholder for each that has none.

    An experiment's current run comes first and its stale ones after it, newest first. A current
    run that is missing has a placeholder only where there is no stale one either. Nothing that
    is wrong with a file raises: it is among the run's ``problems``. Without ``curves`` a run with a
    manifest has only that, which is all that its status needs.
    """
    return [
        run
        for experiment, data in find_training_data(experiments, store)
        for run in _experiment_runs(experiment, store, data, curves)
    ]


def _experiment_runs(
    experiment: Experiment, store: Store, data: TrainingData | str, curves: bool
) -> list[StoredRun]:
    doubt = (data,) if isinstance(data, str) else ()
    current = None if isinstance(data, str) else run_name(experiment, data, store)
    parent = store.root / "runs" / experiment.name
    stored = [
        _read_run(experiment, folder, curves)
        for folder in (sorted(parent.glob("[!.]*")) if parent.is_dir() else ())
        if folder.is_dir() and any(folder.iterdir())
    ]
    stored.sort(key=lambda run: run.manifest.finished_at if run.manifest else "", reverse=True)
    if current is None:
        current = next((run.config_hash for run in stored if _asks_the_same(run, store)), None)
    runs = [run if run.config_hash == current else replace(run, status="stale") for run in stored]
    runs.sort(key=lambda run: run.stale)
    if not runs:
        return [StoredRun(experiment, current, "missing", problems=doubt)]
    first, *others = runs
    return [replace(first, problems=(*first.problems, *doubt)), *others]


def _read_run(experiment: Experiment, folder: Path, curves: bool) -> StoredRun:
    problems: list[str] = []

    def attempt(file: str, read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except (Gr00tAssetsError, ValueError, OSError) as error:
            problems.append(f"{folder / file} cannot be read: {one_line(error)}")
            return otherwise

    manifest = attempt(MANIFEST, lambda: load_manifest(folder), None)
    status: Status = manifest.status if manifest else "unreadable" if problems else "unfinished"
    if manifest and (manifest.experiment, manifest.config_hash) != (experiment.name, folder.name):
        problems.append(
            f"manifest.json is of {manifest.experiment} {manifest.config_hash}, "
            f"and stands in the directory of {experiment.name} {folder.name}."
        )
        manifest, status = None, "unreadable"
    if manifest and not curves:
        return StoredRun(experiment, folder.name, status, manifest)
    metrics = attempt(METRICS, lambda: read_metrics(folder), NO_METRICS)
    spec = attempt(SPEC, lambda: load_spec(folder / SPEC), None)
    if spec and (spec.experiment.name, spec.config_hash) != (experiment.name, folder.name):
        problems.append(f"{folder / SPEC} is of {spec.experiment.name} {spec.config_hash}.")
        spec = None
    finished = manifest if status == "finished" else None
    if manifest and (damage := metrics_problem(manifest, folder)):
        problems.append(f"{folder}: {damage}. Its loss is the manifest's, its curve is left out.")
        metrics = NO_METRICS
    elif lost := missing_losses(metrics, finished and finished.steps):
        problems.append(f"{folder / METRICS}: {lost}.")
    if finished and (reason := unrankable(finished)):
        problems.append(f"It is not ranked: {reason}.")
    return StoredRun(experiment, folder.name, status, manifest, metrics, tuple(problems), spec)


def _asks_the_same(run: StoredRun, store: Store) -> bool:
    """Whether a run has the experiment's present settings, whatever its data was."""
    if run.manifest:
        data = (run.manifest.dataset_version, run.manifest.modality_hash)
    elif run.spec:
        data = (run.spec.data.version, run.spec.data.modality_hash)
    else:
        return False
    spec = store.run_directory(run.name, str(run.config_hash)) / SPEC
    return run.experiment.config_hash(*data) == (hash_of_spec(spec) or run.config_hash)
