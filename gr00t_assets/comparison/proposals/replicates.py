"""Proposals of further seeds: the whole design for an effect, the leaders for the best."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gr00t_assets.comparison.proposals.control_runs import Proposal
from gr00t_assets.comparison.proposals.outlook import (
    best_is_settled,
    chances,
    chances_of_best,
    is_settled,
    look_level,
)
from gr00t_assets.comparison.proposals.rounds import MOST_RUNS, Round, next_round
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.speed import Speeds
from gr00t_assets.comparison.statistics.effects import FEWEST_DEGREES, Effect
from gr00t_assets.comparison.statistics.factors import (
    Configuration,
    configuration_key,
    configurations,
)
from gr00t_assets.comparison.statistics.pairs import Pair, changes
from gr00t_assets.comparison.statistics.ranking import ComparabilityClass
from gr00t_assets.comparison.wording import factor_words, listed
from gr00t_assets.experiments.sweep_file import BEST
from gr00t_assets.experiments.sweep_rounds import MOST_SEEDS

WORTH = 0.6
"""Chance to be settled within five seeds that makes a question worth a third seed; the second one
is always worth it, and so is any where hardly a degree of freedom tells the noise."""

CONTENDERS = 4
"""Configurations at most that are repeated to find the best one."""

RIVAL = 0.1
"""Chance to be the best that makes a configuration a contender."""


@dataclass(frozen=True)
class Outlook:
    """Chances that a question is settled after one, two, ... further rounds; none: unknown.

    ``degrees`` of freedom are those of the noise.
    """

    question: str
    chances: Sequence[float]
    degrees: int

    @property
    def rounds(self) -> int:
        """The fewest rounds whose chance is at least ``WORTH``, or all of them."""
        enough = (count for count, chance in enumerate(self.chances, 1) if chance >= WORTH)
        return next(enough, len(self.chances))

    def is_worth(self, design: Round) -> bool:
        """Whether the next round is to be proposed."""
        unknown = design.seeds < 2 or self.degrees < FEWEST_DEGREES
        return unknown or max(self.chances, default=1.0) >= WORTH


def replicates(
    effects: Mapping[str, Sequence[Effect]],
    factors: Sequence[str],
    runs: Sequence[Run],
    speeds: Speeds,
    confidence: float,
) -> list[Proposal]:
    """The next round of every design in which one of these factors is open, and worth it."""
    level = look_level(confidence)
    every = [effect for group in effects.values() for effect in group if effect.p is not None]
    by_class: dict[object, list[Effect]] = {}
    for factor in factors:
        effect = effects[factor][0]
        if effect.verdict != "confounded" and not is_settled(effect, level) and effect.runs:
            by_class.setdefault(effect.runs[0].comparable, []).append(effect)
    made = []
    for key, group in by_class.items():
        same = [run for run in runs if run.comparable == key]
        members = _design(group)
        design = next_round(members, same, speeds)
        size = len(design.experiments) + len(design.begun)
        if not 0 < size <= MOST_RUNS or design.seeds >= MOST_SEEDS:
            continue
        outlooks = []
        for effect in group:
            tests = sum((other.p or 0.0) >= (effect.p or 0.0) for other in every)
            chance = chances(effect, design, tests, level)
            outlooks.append(Outlook(effect.factor, chance, effect.spread.degrees))
        worth = [item for item in outlooks if item.is_worth(design)]
        worth.sort(key=lambda item: -max(item.chances, default=1.0))
        if worth:
            taken = [run for item in members for run in item.runs]
            made.append(_proposal("replicates", worth, design, taken, _why(worth, group, level)))
    return made


def _design(effects: Sequence[Effect]) -> list[Configuration]:
    """The whole class; where nothing tells the noise what differs in one asked factor alone."""
    members = configurations(effects[0].runs)
    pairs = [effect.pair for effect in effects if effect.p is None and effect.pair is not None]
    if len(pairs) < len(effects):
        return members

    def belongs(item: Configuration, pair: Pair) -> bool:
        low = next(other for other in members if other.first is pair.low[0])
        differ = changes(low, item, pair.factor)
        return all(x.factor == pair.factor or x.implied or not x.material for x in differ)

    return [item for item in members if any(belongs(item, pair) for pair in pairs)]


def best_proposals(
    classes: Sequence[ComparabilityClass], speeds: Speeds, confidence: float
) -> list[Proposal]:
    """The leader of each class and its strongest challengers once more, where the best is open.

    Top-two allocation: runs go where they tell the best from the second best (D. Russo, "Simple
    Bayesian Algorithms for Best-Arm Identification", Operations Research 68, 2020).
    """
    made = []
    for item in classes:
        if len(item.ranking) < 2 or best_is_settled(item, confidence):
            continue
        first, *others = item.ranking
        others.sort(key=lambda place: -(place.chance_best or 0.0))
        rivals = [place for place in others if (place.chance_best or 0.0) > RIVAL] or others[:1]
        contenders = [first, *rivals[: CONTENDERS - 1]]
        keys = {configuration_key(place.run) for place in contenders}
        members = [x for x in item.members if configuration_key(x.first) in keys]
        design = next_round(members, item.runs, speeds)
        if not design.added or design.seeds >= MOST_SEEDS:
            continue
        chance = chances_of_best(item, contenders, design, confidence)
        outlook = Outlook(BEST, chance, item.spread.degrees)
        if outlook.is_worth(design):
            names = listed([place.run.name for place in contenders[1:]])
            why = f"{first.run.name} has the lowest loss; {names} may be lower."
            made.append(_proposal("best", [outlook], design, item.finished, why))
    return made


def _proposal(
    kind: Literal["replicates", "best"],
    outlooks: Sequence[Outlook],
    design: Round,
    runs: Sequence[Run],
    why: str,
) -> Proposal:
    expected, rounds, reason = outlooks[0].chances, outlooks[0].rounds, why
    if design.experiments:
        seeds = {str(item.changes["seed"]) for item in design.experiments}
        reason += f" Once more with seed {listed(sorted(seeds))}, common to all of them."
    if design.begun:
        begun = listed([f"{run.name} ({run.run_id}), {run.status}" for run in design.begun])
        reason += f" To be finished first: {begun}."
    if expected:
        reason += f" The chance that this settles it is {math.floor(100 * expected[0])} percent"
        within = math.floor(100 * expected[rounds - 1])
        reason += f", with {rounds} such rounds {within}." if rounds > 1 else "."
    return Proposal(
        questions=tuple(item.question for item in outlooks),
        kind=kind if design.experiments else "continue",
        reason=reason,
        experiments=design.experiments,
        runs=tuple(run.run_id for run in runs),
        chance=expected[0] if expected else None,
        runs_after=len(runs) + len(design.experiments) + len(design.begun),
    )


def _why(outlooks: Sequence[Outlook], effects: Sequence[Effect], level: float) -> str:
    names = listed([factor_words(item.question) for item in outlooks])
    first = next(effect for effect in effects if effect.factor == outlooks[0].question)
    if first.p_adjusted is None:
        unknown = "How much two runs of one configuration differ is not known"
        return f"{unknown}, so no difference in {names} counts yet."
    return (
        f"The difference that is seen in {names} may be noise: p is {first.p_adjusted:.2g}, and of "
        f"one of {MOST_SEEDS} looks, after each seed, {level:.2g} counts."
    )
