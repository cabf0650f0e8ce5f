"""Configurations by their success in rollouts; whether loss and open-loop error agree with it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product, zip_longest
from statistics import mode
from typing import NamedTuple, TypeVar

from gr00t_assets.comparison.curves import Loss
from gr00t_assets.comparison.run import Run, grouped
from gr00t_assets.comparison.statistics.factors import Configuration
from gr00t_assets.comparison.statistics.ranking import ComparabilityClass, RankedConfiguration
from gr00t_assets.comparison.statistics.success import (
    BetweenRuns,
    Outcomes,
    SuccessEstimate,
    SuccessPair,
    against_first,
    between_runs,
    compared,
)
from gr00t_assets.comparison.statistics.success_agreement import (
    MEASURES,
    Measure,
    MeasuredSuccess,
    SuccessAgreement,
    success_agreement,
)
from gr00t_assets.comparison.wording import first_label
from gr00t_assets.evaluation.intervals import SuccessRate
from gr00t_assets.evaluation.paired_errors import ConfigurationError, configuration_error
from gr00t_assets.evaluation.result import Evaluation
from gr00t_assets.evaluation.rollouts.result import EpisodeOutcome, Rollouts
from gr00t_assets.runs.final_loss import Answer

Value = TypeVar("Value")

_BEATEN = {"yes": "beaten", "no": "not beaten", "cannot be told": "not shown to be beaten"}


class BaselineVerdict(NamedTuple):
    """A rule without a model in the same episodes, and whether the policy succeeds more often."""

    name: str
    rate: SuccessRate
    p_value: float
    beaten: Answer


@dataclass(frozen=True)
class RolledConfiguration:
    """One configuration with rollouts."""

    ranked: RankedConfiguration
    class_id: str
    rollouts: tuple[Rollouts, ...]  # Of each of its seeds that was rolled out
    success: SuccessEstimate
    baselines: tuple[BaselineVerdict, ...]  # Of the first of them
    place: int = 0  # By success among all of the environment
    against_first: SuccessPair | None = None  # That with most success; None: itself, or far down

    @property
    def name(self) -> str:
        """What people call it."""
        return first_label(self.ranked.runs)

    @property
    def tied(self) -> bool:
        """Whether it cannot be told from the first, and is not it."""
        return self.against_first is not None and not self.against_first.told_apart

    @property
    def words(self) -> str:
        """``27 of 50 (54 %, 40 to 67 %)``; of several runs the interval is that of new runs."""
        return self.success.counts.words(interval=self.success.interval)

    @property
    def best_baseline(self) -> BaselineVerdict | None:
        """The rule that succeeds most often."""
        return max(self.baselines, key=lambda item: item.rate.rate, default=None)

    @property
    def beats_baselines(self) -> Answer:
        """Whether it beats every rule, each at 5 percent; for all no correction is needed."""
        answers = {item.beaten for item in self.baselines}
        return "no" if "no" in answers else "yes" if answers == {"yes"} else "cannot be told"

    @property
    def episodes_more(self) -> int | None:
        """Episodes more of each side that would tell it from the first; None: none, or too many."""
        pair = self.against_first
        if not pair or not self.tied or not pair.rollouts or pair.sequential_p is None:
            return None
        more = pair.rollouts - self.success.counts.episodes
        return int(float(f"{more:.2g}")) if more > 0 else None

    @property
    def broken(self) -> int:
        """Episodes that ended with an error or at a limit of time; none of them is a success."""
        ends = [item.end for one in self.rollouts for item in one.policy]
        return sum(end in ("error", "time limit", "bad action") for end in ends)


@dataclass(frozen=True)
class SuccessRanking:
    """The configurations that were rolled out in one environment, most success first; not none.

    Success may be set side by side across comparability classes: the environment is the same.
    """

    environment: str
    environment_hash: str
    rows: tuple[RolledConfiguration, ...]
    between: BetweenRuns  # What runs of one configuration differ by
    agreements: tuple[SuccessAgreement, ...]  # In a class: of loss, of open-loop error where known

    @property
    def headline(self) -> str:
        """The most success against the best rule without a model, and whether that is beaten."""
        first, others = self.rows[0], self.rows[1:]
        text = f"{'Most success' if others else 'Success'} in {self.environment}: "
        text += f"{first.name}, {first.words}"
        if rule := first.best_baseline:
            text += f"; best rule without a model: {rule.name}, {rule.rate.words()}, "
            text += _BEATEN[first.beats_baselines]
        return f"{text}."

    @property
    def known(self) -> str:
        """Whether the first is known to succeed most often; '' where it is alone."""
        others = self.rows[1:]
        tied = [row for row in others if row.tied]
        if not tied:
            return "Every other one succeeds less often, beyond chance." if others else ""
        text = f"{len(tied)} of {len(others)} others cannot be told from it"
        if more := tied[0].episodes_more:
            text += f"; at these rates about {more:,} more episodes each would tell {tied[0].name}"
        return f"{text}."

    @property
    def verdict(self) -> str:
        """All of it: headline, whether it is known, and whether loss agrees."""
        return " ".join(filter(None, (self.headline, self.known, self.agreement.sentence)))

    @property
    def agreement(self) -> SuccessAgreement:
        """Whether a lower loss meant more success: of the class with most configurations."""
        largest = mode(row.class_id for row in self.rows)
        return next(item for item in self.agreements if item.class_id == largest)

    @property
    def limits(self) -> list[str]:
        """What belongs beside the numbers."""
        limits = [
            f"{row.name}: {row.broken} episodes broke off with an error or at a time limit, and "
            "count as failed."
            for row in self.rows
            if row.broken
        ]
        if self.between.degrees:
            percent = 100 * math.sqrt(self.between.variance)
            limits.append(
                "Of several training seeds the run is the unit: near one half their rates differ "
                f"by a standard deviation of {percent:.0f} in 100, chance of the episodes included."
            )
        if any(len(row.rollouts) == 1 for row in self.rows):
            limits.append("With one training seed, a row is this one policy: others may differ.")
        if len({row.rollouts[0].settings.model_dump_json() for row in self.rows}) > 1:
            limits.append("Not all were rolled out with the same settings.")
        return limits

    def place(self, ranked: RankedConfiguration) -> RolledConfiguration | None:
        """The row of a configuration; None where it was not rolled out."""
        return next((row for row in self.rows if row.ranked.run is ranked.run), None)


def success_rankings(
    classes: Sequence[ComparabilityClass],
    rollouts: Mapping[str, Sequence[Rollouts]],  # Of final weights, by run id
    evaluations: Mapping[str, Evaluation],  # By run id
) -> tuple[SuccessRanking, ...]:
    """One for each version of an environment, that with most configurations first."""
    every = [(run_id, item) for run_id, items in rollouts.items() for item in items]
    groups = grouped(every, lambda pair: (pair[1].environment, pair[1].environment_hash))
    rankings = [
        _ranking(classes, dict(reversed(pairs)), evaluations, environment)
        for environment, pairs in sorted(groups.items())
    ]
    return tuple(sorted(filter(None, rankings), key=lambda ranking: -len(ranking.rows)))


def _ranking(
    classes: Sequence[ComparabilityClass],
    rollouts: Mapping[str, Rollouts],
    evaluations: Mapping[str, Evaluation],
    environment: tuple[str, str],
) -> SuccessRanking | None:
    rolled = []
    for class_id, place in [(item.id, place) for item in classes for place in item.ranking]:
        # Two runs with one seed are one policy: the first with rollouts counts.
        if by_seed := tuple(seed[0] for seed in measured_by_seed(place.runs, rollouts)):
            outcomes = tuple(_outcomes(one.policy) for one in by_seed)
            rolled.append((class_id, place, by_seed, outcomes))
    if not rolled:
        return None
    between = between_runs([runs for *_, runs in rolled])
    rows = []
    for class_id, place, by_seed, runs in rolled:
        success = SuccessEstimate(runs, between)
        baselines = _baselines(success, by_seed[0])
        rows.append(RolledConfiguration(place, class_id, by_seed, success, baselines))
    rows.sort(key=lambda row: -row.success.rate)
    pairs = [None, *against_first([row.success for row in rows])]
    placed = enumerate(zip_longest(rows, pairs), start=1)
    rows = [replace(row, place=place, against_first=pair) for place, (row, pair) in placed]
    agreements = []
    for class_id, measure in product([item.id for item in classes], MEASURES):
        of_class = [row for row in rows if row.class_id == class_id]
        found = (measured_success(row, measure, evaluations) for row in of_class)
        if measured := [*filter(None, found)]:
            agreements.append(success_agreement(measure, class_id, measured))
    return SuccessRanking(*environment, tuple(rows), between, tuple(agreements))


def measured_by_seed(runs: Sequence[Run], measured: Mapping[str, Value]) -> list[list[Value]]:
    """What is known of runs by their id, by seed: two runs with one seed count as one."""
    seeds = Configuration(tuple(runs), {}).by_seed
    known = [[measured[x.run_id] for x in of_seed if x.run_id in measured] for of_seed in seeds]
    return [of_seed for of_seed in known if of_seed]


def measured_success(
    row: RolledConfiguration, measure: Measure, evaluations: Mapping[str, Evaluation]
) -> MeasuredSuccess | None:
    """Loss or open-loop error of a row beside its success; None where it was not evaluated."""
    value: Loss | ConfigurationError = row.ranked.loss
    if measure != "loss":
        held_out = {run_id: item for run_id, item in evaluations.items() if item.held_out}
        if not (known := measured_by_seed(row.ranked.runs, held_out)):
            return None
        value = configuration_error(known)
    return MeasuredSuccess(row.name, value.mean, value.standard_error, row.success)


def _baselines(success: SuccessEstimate, rollouts: Rollouts) -> tuple[BaselineVerdict, ...]:
    verdicts = []
    for name, episodes in rollouts.baselines.items():
        rule = SuccessEstimate((_outcomes(episodes),))
        pair = compared(rule, success)
        better: Answer = "yes" if pair.difference > 0 else "no"
        beaten = better if pair.told_apart else "cannot be told"
        verdicts.append(BaselineVerdict(name, rule.counts, pair.p_value, beaten))
    return tuple(verdicts)


def _outcomes(episodes: Sequence[EpisodeOutcome]) -> Outcomes:
    return {episode.seed: episode.success for episode in episodes}
