"""What to run next: for every open question of a class the runs that settle it soonest."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gr00t_assets.comparison.proposals.control_runs import Proposal, control_proposals
from gr00t_assets.comparison.proposals.rounds import (
    MOST_RUNS,
    Round,
    best_is_settled,
    chances,
    chances_of_best,
    is_settled,
    look_level,
    next_round,
)
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.speed import Speeds
from gr00t_assets.comparison.statistics.effects import FEWEST_DEGREES, Effect, Pair, changes
from gr00t_assets.comparison.statistics.factor_tests import all_effects
from gr00t_assets.comparison.statistics.factors import (
    Configuration,
    configuration_key,
    configurations,
)
from gr00t_assets.comparison.statistics.linear_model import LEVEL
from gr00t_assets.comparison.statistics.ranking import ComparabilityClass, comparability_classes
from gr00t_assets.comparison.wording import factor_words, listed
from gr00t_assets.experiments.sweep_file import BEST
from gr00t_assets.experiments.sweep_rounds import MOST_SEEDS

WORTH = 0.6
"""Chance to be settled within five seeds that makes a question worth a third seed; the second one
is always worth it, and so is any where hardly a degree of freedom tells the noise."""

CONTENDERS = 4  # Configurations at most that are repeated to find the best one
RIVAL = 0.1  # Chance to be the best that makes a configuration a contender


@dataclass(frozen=True)
class Outlook:
    """Chances to be settled after one, two, ... rounds, by the noise's ``degrees`` of freedom."""

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


def _replicates(
    effects: Mapping[str, Sequence[Effect]],
    factors: Sequence[str],
    runs: Sequence[Run],
    speeds: Speeds,
    confidence: float,
) -> list[Proposal]:
    """The next round of every design in which one of these factors is open, and worth it."""
    level = look_level(confidence)
    tested = [effect.p for group in effects.values() for effect in group if effect.p is not None]
    by_class: dict[object, list[Effect]] = {}
    for effect in (effects[factor][0] for factor in factors):
        if effect.verdict != "confounded" and not is_settled(effect, level):
            by_class.setdefault(effect.runs[0].comparable, []).append(effect)
    proposed = []
    for key, group in by_class.items():
        members = _design(group)
        design = next_round(members, [run for run in runs if run.comparable == key], speeds)
        size = len(design.experiments) + len(design.begun)
        if not 0 < size <= MOST_RUNS or design.seeds >= MOST_SEEDS:
            continue
        worth = []
        for effect in group:
            chance = chances(effect, design, sum(p >= (effect.p or 0.0) for p in tested), level)
            outlook = Outlook(effect.factor, chance, effect.spread.degrees)
            worth += [outlook] if outlook.is_worth(design) else []
        worth.sort(key=lambda item: -max(item.chances, default=1.0))
        if worth:
            taken = [run for item in members for run in item.runs]
            why = _why(worth, group, level)
            proposed.append(_proposal("replicates", worth, design, taken, why))
    return proposed


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


def _best(
    classes: Sequence[ComparabilityClass], speeds: Speeds, confidence: float
) -> list[Proposal]:
    """The leader of each class and its strongest challengers once more, where the best is open.

    Top-two allocation: runs go where they tell the best from the second best (D. Russo, "Simple
    Bayesian Algorithms for Best-Arm Identification", Operations Research 68, 2020).
    """
    proposed = []
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
            proposed.append(_proposal("best", [outlook], design, item.finished, why))
    return proposed


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


NOT_ASKED = frozenset({"seed", "samples_seen"})
"""No question of their own: one is noise, the other follows from steps and batch size."""


def proposals(
    runs: Sequence[Run],
    effects: Mapping[str, Sequence[Effect]] | None = None,
    classes: Sequence[ComparabilityClass] | None = None,
    question: str | None = None,
    speeds: Speeds | None = None,
    confidence: float = LEVEL,
) -> list[Proposal]:
    """For every open question the next runs towards its answer, those that settle most first.

    A confounded question has one run that differs from a finished one in that factor only; a run
    that settles two goes before one that settles one. A question whose runs are too few has the
    whole design once more with a common seed, if five seeds are likely to settle it. Where all of a
    class is answered but which configuration is the best, its leaders are repeated. A run that
    exists is never proposed: where it is not finished yet it is to be continued.

    Args:
        runs: Of any number of classes; only finished ones are built upon.
        effects: Of these runs, where they are at hand; so are ``classes`` and ``speeds``.
        question: A factor, or ``best``; every open question where left out.
        confidence: Of an answer over all the looks at it, one after each round.
    """
    effects = all_effects(runs) if effects is None else effects
    classes = comparability_classes(runs) if classes is None else classes
    speeds = Speeds.of_runs(runs) if speeds is None else speeds
    factors = [name for name in effects if name not in NOT_ASKED]
    controls = control_proposals(effects, factors, runs, speeds)
    asked = [name for name in factors if question in (None, name)]
    again = _replicates(effects, asked, runs, speeds, confidence)
    best = _best(classes, speeds, confidence)
    if question is None:
        comparable = {run.run_id: run.comparable for run in runs}
        told = {comparable[item.runs[0]] for item in (*controls, *again)} | _factorial(effects)
        best = [item for item in best if comparable[item.runs[0]] not in told]
    every = [*controls, *again, *best]
    every.sort(key=lambda item: (-len(item.questions), len(item.experiments)))
    return [item for item in every if question is None or question in item.questions]


def _factorial(effects: Mapping[str, Sequence[Effect]]) -> set[tuple[object, ...]]:
    """Designs whose factors are told apart at equal values of all others: that tells the best."""
    every = [effect for name in effects if name not in NOT_ASKED for effect in effects[name]]
    others = [effect for effect in every if not effect.clean or effect.p is None]
    return {x.runs[0].comparable for x in every} - {x.runs[0].comparable for x in others}
