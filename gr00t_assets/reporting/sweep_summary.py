"""One sweep in the report: what was expected, what to be warned of, and runs without a rank."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gr00t_assets.comparison.all_runs import from_stored_run
from gr00t_assets.comparison.answers.limits import cautions
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.wording import names_in_words
from gr00t_assets.core.text import shown_setting
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.planning.next_step import next_step
from gr00t_assets.runs.stored_run import StoredRun


@dataclass(frozen=True)
class SweepSummary:
    """What the report says of one sweep by itself.

    ``runs`` has one an experiment: its present run, else its newest stale one, else its
    placeholder. ``older_runs`` are stale ones that others replaced. ``next_step`` is what one with
    ``until`` does next, or why it has stopped.
    """

    sweep: Sweep
    runs: tuple[Run, ...]
    older_runs: tuple[StoredRun, ...]
    cautions: tuple[str, ...]
    next_step: str = ""

    @property
    def counts(self) -> Counter[str]:
        """Experiments by the status of their run."""
        return Counter(map(stored_status, self.runs))

    @property
    def hypotheses(self) -> list[tuple[str, str]]:
        """Each hypothesis with the names of its experiments."""
        names: dict[str, list[str]] = {}
        for experiment in self.sweep.experiments:
            names.setdefault(experiment.hypothesis or "none written", []).append(experiment.name)
        return [(hypothesis, names_in_words(group, 8)) for hypothesis, group in names.items()]

    @property
    def common_settings(self) -> list[str]:
        """Settings that all experiments share and that are not their trainer's defaults."""
        settings = [item.hyperparameters.changed() for item in self.sweep.experiments]
        return [
            f"{name} {shown_setting(value)}"
            for name, value in (settings[0] if settings else {}).items()
            if all(name in other and other[name] == value for other in settings)
        ]


def stored_status(run: Run) -> str:
    """What became of a run: of one of the store, what its directory says."""
    return run.stored.status if run.stored else run.status


def status_counts(statuses: Iterable[str]) -> str:
    """Counts in words: ``3 finished, 1 failed``."""
    return ", ".join(f"{count:,} {status}" for status, count in Counter(statuses).items())


def sweep_summary(sweep: Sweep, stored: Sequence[StoredRun], runs: Sequence[Run]) -> SweepSummary:
    """The summary of a sweep from its ``stored`` runs, placeholders of missing ones among them.

    ``runs`` are those of the whole project as the comparison takes them.
    """
    compared = {id(run.stored): run for run in runs}
    newest: dict[str, StoredRun] = {}
    for item in stored:
        if item.name not in newest or (newest[item.name].stale and not item.stale):
            newest[item.name] = item
    shown = {id(item) for item in newest.values()}
    present = [compared[id(item)] for item in stored if id(item) in compared]
    step = next_step(sweep, present)
    return SweepSummary(
        sweep=sweep,
        runs=tuple(compared.get(id(item)) or from_stored_run(item) for item in newest.values()),
        older_runs=tuple(item for item in stored if item.stale and id(item) not in shown),
        cautions=tuple(cautions(present)),
        next_step=f"Until {step.question} is known: {step.words}" if step else "",
    )
