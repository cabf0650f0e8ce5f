"""What a sweep would run, what is done of it, what the rest costs, and what follows ``until``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gr00t_assets.comparison.all_runs import from_store
from gr00t_assets.comparison.answers.answers import answer
from gr00t_assets.comparison.answers.headline import class_headline
from gr00t_assets.comparison.proposals.control_runs import Proposal
from gr00t_assets.comparison.proposals.proposals import proposals
from gr00t_assets.comparison.proposals.rounds import best_is_settled, is_settled, look_level
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.speed import Estimate, Speeds, manifests
from gr00t_assets.comparison.statistics.factor_tests import all_effects
from gr00t_assets.comparison.statistics.ranking import comparability_classes
from gr00t_assets.comparison.wording import factor_words, names_in_words
from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import counted
from gr00t_assets.experiments.expansion import MOST_SEEDS
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.project_files import read_project
from gr00t_assets.experiments.sweep_file import BEST, Until
from gr00t_assets.experiments.sweeps import Sweep, load_sweep
from gr00t_assets.modality.config import load_modality_config
from gr00t_assets.modality.mixture import epoch_samples, sampling_shares
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
class NextStep:
    """What is done next."""

    question: str
    words: str  # What it waits for, what it asks for, or why it has stopped
    experiments: tuple[Experiment, ...] = ()  # Of the next round; none if it waits or has stopped
    hours: float = 0.0  # GPU-hours of these, of the CPU where there is no GPU
    proposal: Proposal | None = None  # What they were taken from


@dataclass(frozen=True)
class SweepPlan:
    """What a sweep would run, with a row for each of its experiments in its order."""

    sweep: Sweep
    rows: tuple[PlanRow, ...]
    next_step: NextStep | None = None  # What one with ``until`` does when these have finished

    def hours_left(self, on_gpus: bool) -> float:
        """Sum over what is to be trained on GPUs, or on a CPU, and has an estimate."""
        estimated = [
            row for row in self.rows if row.estimate and (row.estimate.gpus > 0) == on_gpus
        ]
        return sum(row.hours_left or 0.0 for row in estimated)

    @property
    def unknown(self) -> int:
        """Experiments with something left to train and no estimate."""
        return sum(row.hours_left is None for row in self.rows)


def named_sweep(name: str) -> Sweep:
    """A sweep by its name, or by its file, which may lie outside the project.

    Raises:
        SweepError: There is no such sweep, or its file is wrong.
    """
    project, is_file = read_project(), name.endswith((".yaml", ".yml"))
    return load_sweep(Path(name), project.datasets) if is_file else project.sweeps[name]


def make_plan(sweep: Sweep, store: Store, device: str | None = None) -> SweepPlan:
    """Hold a sweep against a store; its runs tell the speed on a device, this machine's if None."""
    stored = read_runs(sweep.experiments, store, curves=False)
    runs = {run.name: run for run in reversed(stored)}  # The first of each name
    speeds = Speeds.of_store(store, device)
    lengths = {name: training_rows(name, store) for name in sweep.datasets}
    trained = _trained(store) if any(run.status == "missing" for run in stored) else {}
    rows = []
    for experiment in sweep.experiments:
        run, settings = runs[experiment.name], experiment.hyperparameters
        samples = settings.max_steps * settings.samples_per_step
        epoch, shares = _epoch(experiment, lengths)
        left = max(0, settings.max_steps - _steps_done(experiment, run))
        pruned = run.status == "pruned" and not experiment.pruning
        kind = experiment.trainer, experiment.base_model
        rows.append(
            PlanRow(
                experiment=experiment,
                status="interrupted" if pruned else run.status,
                samples=samples,
                samples_left=left * settings.samples_per_step,
                epochs=samples / epoch if epoch else None,
                estimate=speeds.estimate(*kind, settings.model_dump()),
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
    mixture = {x.name: share for x, share in zip(experiment.datasets, shares, strict=True)}
    return epoch_samples(weights, rows, shares), mixture if len(mixture) > 1 else {}


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


def next_step(sweep: Sweep, runs: Sequence[Run]) -> NextStep | None:
    """What follows from the runs of a sweep; None of one without ``until``.

    A round is asked for when every run of those before has finished; ``runs`` are of any status.
    """
    until = sweep.until
    if until is None:
        return None
    names = [item.name for item in sweep.experiments]
    own = [run for run in runs if run.name in set(names) and not run.stale]
    ended = {run.name for run in own if run.finished or run.status == "pruned"}
    status = {run.name: f" ({run.status})" for run in own}
    waiting = [f"{name}{status.get(name, '')}" for name in names if name not in ended]
    if waiting:
        return NextStep(until.question, f"waits for {names_in_words(waiting, 5)}")
    if settled := _settled(until, own):
        return NextStep(until.question, f"stopped, settled: {settled}")
    return _next_round(sweep, until, own)


def _settled(until: Until, runs: Sequence[Run]) -> str | None:
    if until.question == BEST:
        ranked = [item for item in comparability_classes(runs) if len(item.ranking) > 1]
        settled = bool(ranked) and all(best_is_settled(x, until.confidence) for x in ranked)
        return class_headline(ranked[0]) if settled else None
    effects = all_effects(runs).get(until.question)
    settled = effects and is_settled(effects[0], look_level(until.confidence))
    return answer(runs, until.question).sentence if settled else None


def _next_round(sweep: Sweep, until: Until, runs: Sequence[Run]) -> NextStep:
    question, confidence = until.question, until.confidence

    def stopped(why: str) -> NextStep:
        return NextStep(question, f"stopped, open: {why}")

    command = f"gr00t-assets sweep propose --sweep {sweep.name} --question {question}"
    speeds = Speeds.of_runs(runs)
    proposed = proposals(runs, question=question, speeds=speeds, confidence=confidence)
    proposal = next((item for item in proposed if item.kind in ("replicates", "best")), None)
    if proposal is None and proposed:
        return stopped(f"it needs other runs than further seeds, see {command}")
    if proposal is None:
        asked = "which is best" if question == BEST else factor_words(question)
        return stopped(f"{MOST_SEEDS} seeds are not likely to settle {asked}")
    experiments = _experiments(sweep, proposal)
    if len(experiments) < len(proposal.experiments):
        return stopped(f"it has not the seeds that are needed, see {command}")
    spent = sum(run.gpu_hours or (run.wall_seconds or 0.0) / 3600 for run in runs)
    hours, count = proposal.gpu_hours, counted(len(experiments), "run")
    if hours is None:
        hours = len(experiments) * spent / len(runs)
    if spent + hours > until.max_gpu_hours:
        return stopped(
            f"the next round of {count} takes {hours:.2g} hours, {spent:.2g} are spent, and "
            f"max_gpu_hours is {until.max_gpu_hours:g}"
        )
    words = f"asks for {count}, about {hours:.2g} hours: {proposal.reason}"
    return NextStep(question, words, experiments, hours, proposal)


def _experiments(sweep: Sweep, proposal: Proposal) -> tuple[Experiment, ...]:
    """Those of the sweep's further experiments that a proposal asks for."""
    by_name = {item.name: item for item in sweep.experiments}
    further = {_identity(item): item for item in sweep.further}
    named = []
    for asked in proposal.experiments:
        like = by_name[asked.reference.name]
        settings = like.hyperparameters.model_copy(update=dict(asked.changes))
        named.append(further.get(_identity(like.model_copy(update={"hyperparameters": settings}))))
    return tuple(filter(None, named))


def _identity(item: Experiment) -> str:
    return item.model_dump_json(exclude={"name", "hypothesis", "tags", "priority"})
