"""What a sweep with ``until`` does next: wait, ask for another round, or stop, and why."""

from collections.abc import Sequence
from dataclasses import dataclass

from gr00t_assets.comparison.answers.answers import answer
from gr00t_assets.comparison.answers.headline import class_headline
from gr00t_assets.comparison.proposals.control_runs import Proposal
from gr00t_assets.comparison.proposals.outlook import best_is_settled, is_settled, look_level
from gr00t_assets.comparison.proposals.proposals import proposals
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.speed import Speeds
from gr00t_assets.comparison.statistics.factor_tests import all_effects
from gr00t_assets.comparison.statistics.ranking import comparability_classes
from gr00t_assets.comparison.wording import factor_words, names_in_words
from gr00t_assets.core.text import counted
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.sweep_file import BEST, Until
from gr00t_assets.experiments.sweep_rounds import MOST_SEEDS
from gr00t_assets.experiments.sweeps import Sweep


@dataclass(frozen=True)
class NextStep:
    """What is done next.

    Attributes:
        words: What it waits for, what it asks for, or why it has stopped.
        experiments: Those of the next round; none where it waits or has stopped.
        hours: GPU-hours that these are expected to take, of the CPU where there is no GPU.
        proposal: What they were taken from.
    """

    question: str
    words: str
    experiments: tuple[Experiment, ...] = ()
    hours: float = 0.0
    proposal: Proposal | None = None


def next_step(sweep: Sweep, runs: Sequence[Run]) -> NextStep | None:
    """What follows from the runs of a sweep; None of one without ``until``.

    A round is asked for when every run of those before has finished.

    Args:
        sweep: With the rounds that were asked for.
        runs: Its own, of any status, as the comparison takes them.
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
    """The answer, where the question is settled."""
    if until.question == BEST:
        ranked = [item for item in comparability_classes(runs) if len(item.ranking) > 1]
        settled = bool(ranked) and all(best_is_settled(x, until.confidence) for x in ranked)
        return class_headline(ranked[0]) if settled else None
    effects = all_effects(runs).get(until.question)
    settled = bool(effects) and is_settled(effects[0], look_level(until.confidence))
    return answer(runs, until.question).sentence if settled else None


def _next_round(sweep: Sweep, until: Until, runs: Sequence[Run]) -> NextStep:
    """The round that is asked for, or why none is."""
    question, confidence = until.question, until.confidence
    asked = "which is best" if question == BEST else factor_words(question)
    command = f"gr00t-assets sweep propose --sweep {sweep.name} --question {question}"
    speeds = Speeds.of_runs(runs)
    made = proposals(runs, question=question, speeds=speeds, confidence=confidence)
    proposal = next((item for item in made if item.kind in ("replicates", "best")), None)
    if proposal is None:
        words = f"open: {MOST_SEEDS} seeds are not likely to settle {asked}"
        words = f"open: it needs other runs than further seeds, see {command}" if made else words
        return NextStep(question, f"stopped, {words}")
    experiments = _experiments(sweep, proposal)
    if len(experiments) < len(proposal.experiments):
        words = f"stopped, open: it has not the seeds that are needed, see {command}"
        return NextStep(question, words)
    spent, hours = [_hours(run) for run in runs], proposal.gpu_hours
    if hours is None:
        hours = len(experiments) * sum(spent) / len(spent)
    count = counted(len(experiments), "run")
    if sum(spent) + hours > until.max_gpu_hours:
        words = (
            f"stopped, open: the next round of {count} takes {hours:.2g} hours, "
            f"{sum(spent):.2g} are spent, and max_gpu_hours is {until.max_gpu_hours:g}"
        )
        return NextStep(question, words)
    words = f"asks for {count}, about {hours:.2g} hours: {proposal.reason}"
    return NextStep(question, words, experiments, hours, proposal)


def _hours(run: Run) -> float:
    """GPU-hours, of the CPU where it had no GPU."""
    return run.gpu_hours or (run.wall_seconds or 0.0) / 3600


def _experiments(sweep: Sweep, proposal: Proposal) -> tuple[Experiment, ...]:
    """Those of the sweep's further experiments that a proposal asks for."""
    by_name = {item.name: item for item in sweep.experiments}
    further = {_identity(item): item for item in sweep.further}
    found = []
    for asked in proposal.experiments:
        like = by_name[asked.reference.name]
        settings = like.hyperparameters.model_copy(update=dict(asked.changes))
        item = further.get(_identity(like.model_copy(update={"hyperparameters": settings})))
        if item is not None:
            found.append(item)
    return tuple(found)


def _identity(item: Experiment) -> str:
    return item.model_dump_json(exclude={"name", "hypothesis", "tags", "priority"})
