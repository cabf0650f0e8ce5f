"""What a sweep would run: its partitions, which of them are done, and what the rest costs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gr00t_assets.comparison.all_runs import from_store
from gr00t_assets.comparison.speed import Estimate, Speeds, manifests
from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.project_files import read_project
from gr00t_assets.experiments.sweeps import Sweep, find_sweep, load_sweep
from gr00t_assets.modality.config import load_modality_config
from gr00t_assets.modality.mixture import epoch_samples, sampling_shares
from gr00t_assets.planning.next_step import NextStep, next_step
from gr00t_assets.runs.spec import SPEC, hash_of_spec
from gr00t_assets.runs.stored_run import Status, StoredRun, read_runs
from gr00t_assets.runs.training_data import RunDataset

ACTIONS: dict[Status, tuple[str, str]] = {
    "finished": ("nothing", "it is finished"),
    "pruned": ("nothing", "it was given up as hopeless; take pruning out of the file to go on"),
    "interrupted": ("continue", "go on from its last checkpoint"),
    "unfinished": ("continue", "go on from its last checkpoint"),
    "failed": ("try again", "go on from its last checkpoint, where it has one"),
    "unreadable": ("look first", "what is in its run directory cannot be read"),
    "missing": ("train", ""),
    "stale": ("train anew", "its configuration or data changed; the older run is kept"),
}
"""What materialising it would do, in a word and in words, by status."""


@dataclass(frozen=True)
class PlanRow:
    """One partition of a plan, with the status of its newest run."""

    experiment: Experiment
    status: Status
    samples: int  # Of the whole run, over all GPUs
    samples_left: int  # Still to be done
    epochs: float | None  # None where the dataset is not there
    estimate: Estimate | None  # None where no run resembles it
    equal_to: str | None = None  # An experiment with a run of the very same configuration
    shares: Mapping[str, float] = field(default_factory=dict)  # Of samples, by dataset of a mixture

    @property
    def mixture(self) -> str:
        """``a 1 + b 1: of all samples 75.0% of a, 25.0% of b``."""
        shares = ", ".join(f"{share:.1%} of {name}" for name, share in self.shares.items())
        return f"{self.experiment.dataset_name}: of all samples {shares}"

    @property
    def hours_left(self) -> float | None:
        """GPU-hours, or hours of a CPU; 0 where nothing is left and None where it is unknown."""
        if not self.samples_left:
            return 0.0
        return self.estimate.hours(self.samples_left) if self.estimate else None


@dataclass(frozen=True)
class SweepPlan:
    """What a sweep would run, with a row for each of its experiments in its order."""

    sweep: Sweep
    rows: tuple[PlanRow, ...]
    next_step: NextStep | None = None  # What one with ``until`` does when these have finished

    @property
    def gpu_hours_left(self) -> float:
        """Sum over what is to be trained on GPUs and has an estimate."""
        return sum(row.hours_left or 0.0 for row in self.rows if row.estimate and row.estimate.gpus)

    @property
    def cpu_hours_left(self) -> float:
        """Sum over what is to be trained on a CPU and has an estimate."""
        on_cpu = [row for row in self.rows if row.estimate and not row.estimate.gpus]
        return sum(row.hours_left or 0.0 for row in on_cpu)

    @property
    def unknown(self) -> int:
        """Experiments with something left to train and no estimate."""
        return sum(row.hours_left is None for row in self.rows)


def named_sweep(name: str) -> Sweep:
    """A sweep by its name, or by its file, which may lie outside the project.

    Raises:
        SweepError: There is no such sweep, or its file is wrong.
    """
    if name.endswith((".yaml", ".yml")):
        return load_sweep(Path(name), read_project().datasets)
    return find_sweep(name, read_project().sweeps)


def make_plan(sweep: Sweep, store: Store, device: str | None = None) -> SweepPlan:
    """Hold a sweep against a store, whose runs also tell the speed on the named device.

    Without a name it is the device of this machine.
    """
    runs: dict[str, StoredRun] = {}
    stored = read_runs(sweep.experiments, store, curves=False)
    for run in stored:
        runs.setdefault(run.name, run)
    speeds = Speeds.of_store(store, device)
    lengths = {name: training_rows(name, store) for name in sweep.datasets}
    missing = any(run.status == "missing" for run in runs.values())
    trained = _trained(store) if missing else {}
    rows = []
    for experiment in sweep.experiments:
        run, settings = runs[experiment.name], experiment.hyperparameters
        samples = settings.max_steps * settings.samples_per_step
        epoch, shares = _epoch(experiment, lengths)
        left = max(0, settings.max_steps - _steps_done(experiment, run))
        pruned = run.status == "pruned" and not experiment.pruning
        rows.append(
            PlanRow(
                experiment=experiment,
                status="interrupted" if pruned else run.status,
                samples=samples,
                samples_left=left * settings.samples_per_step,
                epochs=samples / epoch if epoch else None,
                estimate=speeds.estimate(
                    experiment.trainer, experiment.base_model, settings.model_dump()
                ),
                equal_to=trained.get(run.config_hash or "") if run.status == "missing" else None,
                shares=shares,
            )
        )
    return SweepPlan(sweep, tuple(rows), next_step(sweep, from_store(stored)))


def _epoch(
    experiment: Experiment, lengths: Mapping[str, int | None]
) -> tuple[int | None, dict[str, float]]:
    """Samples of an epoch, and the shares of a mixture; neither where a dataset is not there."""
    rows = [count for dataset in experiment.datasets if (count := lengths[dataset.name])]
    if len(rows) < len(experiment.datasets):
        return None, {}
    weights = [dataset.weight for dataset in experiment.datasets]
    balanced = experiment.hyperparameters.weights_count_for_each_row
    shares = sampling_shares(weights, rows, balanced)
    names = [dataset.name for dataset in experiment.datasets]
    mixture = dict(zip(names, shares, strict=True)) if len(names) > 1 else {}
    return epoch_samples(weights, rows, shares), mixture


def training_rows(dataset: str, store: Store) -> int | None:
    """Rows of the episodes that are trained on; None where the dataset is not there.

    A dataset whose files are gone has those of a run that trained on it.
    """
    try:
        return RunDataset(load_modality_config(dataset, store), 1.0, store).rows
    except (Gr00tAssetsError, OSError):
        trained = (item for _, item in manifests(store) if item.dataset == dataset)
        newest = max(trained, key=lambda item: item.finished_at, default=None)
        return newest.dataset_frames or None if newest else None


def _trained(store: Store) -> dict[str, str]:
    """Name of an experiment by the config hash of its run; equal hashes train equal weights."""
    files = sorted((store.root / "runs").glob("[!.]*/[!.]*/manifest.json"))
    hashes = {file: hash_of_spec(file.with_name(SPEC)) for file in files}
    return {value: file.parts[-3] for file, value in hashes.items() if value}


def _steps_done(experiment: Experiment, run: StoredRun) -> int:
    """Steps that need not be trained again: those before the last checkpoint, by save_steps."""
    taken_over = experiment.continued_steps[-1] if experiment.continued_steps else 0
    settings = experiment.hyperparameters
    if run.stale or run.steps is None or run.status in ("unreadable", "missing"):
        return taken_over
    if run.status == "finished" or (run.status == "pruned" and experiment.pruning):
        return settings.max_steps
    return max(taken_over, run.steps // settings.save_steps * settings.save_steps)
