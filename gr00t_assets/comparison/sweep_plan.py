"""What a sweep would run: its partitions, which of them are done, and what the rest costs."""

from dataclasses import dataclass
from pathlib import Path

from gr00t_assets.comparison.speed import Estimate, Speeds, manifests
from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import load_catalog
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.sweeps import Sweep, find_sweep, load_sweep, load_sweeps
from gr00t_assets.modality.config import load_modality_config
from gr00t_assets.runs.spec import SPEC, hash_of_spec
from gr00t_assets.runs.stored_run import Status, StoredRun, read_runs

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
    """One partition of a plan.

    Attributes:
        status: Of its newest run.
        samples: Of the whole run: steps times samples per step, over all GPUs.
        samples_left: Of the steps that are still to be done.
        epochs: ``samples`` over those of an epoch; None where the dataset is not there.
        estimate: The speed that is expected; None where no run resembles it.
        equal_to: Another experiment with a run of the very same configuration; training this one
            would repeat that one digit by digit.
    """

    experiment: Experiment
    status: Status
    samples: int
    samples_left: int
    epochs: float | None
    estimate: Estimate | None
    equal_to: str | None = None

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
        return load_sweep(Path(name), load_catalog())
    return find_sweep(name, load_sweeps())


def make_plan(sweep: Sweep, store: Store, device: str | None = None) -> SweepPlan:
    """Hold a sweep against a store, whose runs also tell the speed on the named device.

    Without a name it is the device of this machine.
    """
    runs: dict[str, StoredRun] = {}
    for run in read_runs(sweep.experiments, store, curves=False):
        runs.setdefault(run.name, run)
    speeds = Speeds.of_store(store, device)
    epochs = {name: epoch_samples(name, store) for name in sweep.datasets}
    trained = _trained(store)
    rows = []
    for experiment in sweep.experiments:
        run, settings = runs[experiment.name], experiment.hyperparameters
        samples, epoch = settings.max_steps * settings.samples_per_step, epochs[experiment.dataset]
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
            )
        )
    return SweepPlan(sweep, tuple(rows))


def epoch_samples(dataset: str, store: Store) -> int | None:
    """Samples of an epoch: rows of the episodes that are trained on; None where it is not there.

    A dataset whose files are gone has those of a run that trained on it.
    """
    from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset

    try:
        config = load_modality_config(dataset, store)
        folder = store.dataset_directory(dataset, config.dataset_version)
        episodes = LeRobotDataset.open(folder, dataset).episodes
    except (Gr00tAssetsError, OSError):
        trained = (item for _, item in manifests(store) if item.dataset == dataset)
        newest = max(trained, key=lambda item: item.finished_at, default=None)
        return newest.dataset_frames or None if newest else None
    return sum(item.length for item in episodes if item.index not in config.held_out_episodes)


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
