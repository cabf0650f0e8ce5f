"""Configurations by their success in rollouts; whether loss and open-loop error agree with it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product, zip_longest
from statistics import mode
from typing import Literal, NamedTuple, get_args

from gr00t_assets.comparison.curves import Loss
from gr00t_assets.comparison.run import grouped
from gr00t_assets.comparison.statistics.factors import known_by_seed
from gr00t_assets.comparison.statistics.ranking import ComparabilityClass, RankedConfiguration
from gr00t_assets.comparison.statistics.success import (
    SuccessEstimate,
    SuccessPair,
    against_first,
    between_runs,
    compared,
    rank_correlation,
)
from gr00t_assets.comparison.wording import first_label
from gr00t_assets.evaluation.intervals import Interval, SuccessRate, Variance
from gr00t_assets.evaluation.paired_errors import ConfigurationError, configuration_error
from gr00t_assets.evaluation.result import Evaluation
from gr00t_assets.evaluation.rollouts.result import Rollouts
from gr00t_assets.runs.final_loss import Answer

Measure = Literal["loss", "open-loop error"]
FEWEST = 5  # Configurations whose orders can be compared
_BEATEN = {"yes": "beaten", "no": "not beaten", "cannot be told": "not shown to be beaten"}


class SuccessAgreement(NamedTuple):
    """Whether a lower loss, or open-loop error, meant more success in one class."""

    measure: Measure
    class_id: str
    answer: Answer
    correlation: float | None  # Spearman's; None of fewer than ``FEWEST``, or if one never differs
    interval: Interval | None  # Of it at 95 percent
    sentence: str


class MeasuredSuccess(NamedTuple):
    """Loss or open-loop error of a configuration, with its standard error, beside its success."""

    name: str
    value: float
    error: float | None
    success: SuccessEstimate


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
        ends = [item.end for rollout in self.rollouts for item in rollout.policy]
        return sum(end in ("error", "time limit", "bad action") for end in ends)


@dataclass(frozen=True)
class SuccessRanking:
    """The configurations that were rolled out in one environment, most success first; not none.

    Success may be set side by side across comparability classes: the environment is the same.
    """

    environment: str
    environment_hash: str
    rows: tuple[RolledConfiguration, ...]
    between: Variance  # What runs of one configuration differ by
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
        others = [row for row in self.rows[1:] if row.against_first]
        some = len(others) < len(self.rows) - 1  # Those far down are held against none
        tied = [row for row in others if row.tied]
        if not tied:
            which = f"Each of the next {len(others)}" if some else "Every other one"
            return f"{which} succeeds less often, beyond chance." if others else ""
        of = f"the next {len(others)}" if some else f"{len(others)} others"
        text = f"{len(tied)} of {of} cannot be told from it"
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
        variance, degrees = self.between
        if degrees:
            percent = 100 * math.sqrt(variance)
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
        if by_seed := tuple(known[0] for known in known_by_seed(place.runs, rollouts)):
            outcomes = tuple({x.seed: x.success for x in rollout.policy} for rollout in by_seed)
            rolled.append((class_id, place, by_seed, outcomes))
    if not rolled:
        return None
    between = between_runs([runs for *_, runs in rolled])
    rows = []
    for class_id, place, by_seed, runs in rolled:
        success = SuccessEstimate(runs, between)
        baselines = tuple(_baselines(success, by_seed[0]))
        rows.append(RolledConfiguration(place, class_id, by_seed, success, baselines))
    rows.sort(key=lambda row: -row.success.rate)
    pairs = [None, *against_first([row.success for row in rows])]
    placed = enumerate(zip_longest(rows, pairs), start=1)
    rows = [replace(row, place=place, against_first=pair) for place, (row, pair) in placed]
    agreements = []
    for class_id, measure in product([item.id for item in classes], get_args(Measure)):
        of_class = [row for row in rows if row.class_id == class_id]
        successes = (measured_success(row, measure, evaluations) for row in of_class)
        if measured := [*filter(None, successes)]:
            agreements.append(success_agreement(measure, class_id, measured))
    return SuccessRanking(*environment, tuple(rows), between, tuple(agreements))


def measured_success(
    row: RolledConfiguration, measure: Measure, evaluations: Mapping[str, Evaluation]
) -> MeasuredSuccess | None:
    """Loss or open-loop error of a row beside its success; None where it was not evaluated."""
    value: Loss | ConfigurationError = row.ranked.loss
    if measure != "loss":
        held_out = {run_id: item for run_id, item in evaluations.items() if item.held_out}
        if not (known := known_by_seed(row.ranked.runs, held_out)):
            return None
        value = configuration_error(known)
    return MeasuredSuccess(row.name, value.mean, value.standard_error, row.success)


def _baselines(success: SuccessEstimate, rollouts: Rollouts) -> Iterator[BaselineVerdict]:
    for name, episodes in rollouts.baselines.items():
        rule = SuccessEstimate(({episode.seed: episode.success for episode in episodes},))
        pair = compared(rule, success)
        better: Answer = "yes" if pair.difference > 0 else "no"
        beaten = better if pair.told_apart else "cannot be told"
        yield BaselineVerdict(name, rule.counts, pair.p_value, beaten)


def success_agreement(
    measure: Measure, class_id: str, rows: Sequence[MeasuredSuccess]
) -> SuccessAgreement:
    """Whether those with lower values succeed more often; ``rows`` are of one class, not none.

    The answer is no also where the configuration with the lowest value succeeds less often than
    the one with the most success, both beyond chance, whatever the others do.
    """
    values, rates = [row.value for row in rows], [row.success.rate for row in rows]
    lowest, most = min(rows, key=lambda row: row.value), max(rows, key=lambda row: row.success.rate)
    correlation, interval, order = None, None, f"from {len(rows)} configurations"
    if len(rows) >= FEWEST and len(set(rates)) > 1 and len(set(values)) > 1:
        correlation, interval = rank_correlation([-value for value in values], rates)
        order = f"rank correlation {correlation:.2f} ({interval[0]:.2f} to {interval[1]:.2f})"
        order += f" over {len(rows)} configurations"
    answer: Answer = "cannot be told"
    against = f"{lowest.name} has the lowest {measure} and {most.name} the most success"
    if lowest.error is not None and most.error is not None and len(rows) > 1:
        apart = abs(lowest.value - most.value) > 1.96 * math.hypot(lowest.error, most.error)
        if apart and compared(lowest.success, most.success).p_value * (len(rows) - 1) < 0.05:
            answer, order = "no", f"{against}, both beyond chance{f'; {order}' * bool(interval)}"
    if answer != "no" and interval is not None:
        answer = "yes" if interval[0] > 0 else "no" if interval[1] < 0 else answer
    if answer != "cannot be told":
        verb = "did" if answer == "yes" else "did not"
        sentence = f"Lower {measure} {verb} mean more success here: {order}."
    elif len(rows) == 1:
        sentence = f"One configuration does not tell whether lower {measure} means more success."
    else:
        if len(set(rates)) == 1:
            against = "all succeed equally often"
        elif lowest.success.rate == most.success.rate:
            against = f"{lowest.name} has the lowest {measure} and the most success"
        join = " " if interval is None else ": "
        sentence = f"Whether lower {measure} meant more success here cannot be told{join}{order}; "
        sentence += f"{against}."
    return SuccessAgreement(measure, class_id, answer, correlation, interval, sentence)
