"""What to run next: for every open question of a class the runs that settle it soonest."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from gr00t_assets.comparison.proposals import rounds
from gr00t_assets.comparison.proposals.control_runs import Proposal, control_proposals
from gr00t_assets.comparison.run import Run, grouped
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
from gr00t_assets.experiments.expansion import MOST_SEEDS
from gr00t_assets.experiments.sweep_file import BEST

WORTH = 0.6
"""Chance to be settled within five seeds that makes a question worth a third seed; the second one
is always worth it, and so is any where hardly a degree of freedom tells the noise."""

CONTENDERS = 4  # Configurations at most that are repeated to find the best one
RIVAL = 0.1  # Chance to be the best that makes a configuration a contender


def _replicates(
    effects: Sequence[Effect], tested: Sequence[float], runs: Sequence[Run], level: float
) -> list[Proposal]:
    """The next round of every design in which one of these effects is open, and worth it.

    ``tested`` are the p-values of all tests, ``level`` is that of each look.
    """
    told_apart = [effect for effect in effects if effect.verdict != "confounded"]
    unsettled = [effect for effect in told_apart if not rounds.is_settled(effect, level)]
    proposed = []
    for key, group in grouped(unsettled, lambda effect: effect.runs[0].comparable).items():
        members = _design(group)
        design = rounds.next_round(members, [run for run in runs if run.comparable == key])
        size = len(design.experiments) + len(design.begun)
        if not 0 < size <= rounds.MOST_RUNS or design.seeds >= MOST_SEEDS:
            continue
        worth: dict[str, list[float]] = {}
        for effect in group:
            tests = sum(p >= (effect.p or 0.0) for p in tested)
            expected = rounds.chances(effect, design, tests, level)
            if _is_worth(design, expected, effect.spread.degrees):
                worth[effect.factor] = expected
        if worth:
            factors = sorted(worth, key=lambda name: -max(worth[name], default=1.0))
            first = next(effect for effect in group if effect.factor == factors[0])
            taken = [run for item in members for run in item.runs]
            why = _why(factors, first, level)
            proposed.append(_proposal("replicates", factors, worth[factors[0]], design, taken, why))
    return proposed


def _is_worth(design: rounds.Round, expected: Sequence[float], degrees: int) -> bool:
    """By the chances after one, two, ... rounds, and the noise's degrees of freedom."""
    unknown = design.seeds < 2 or degrees < FEWEST_DEGREES
    return unknown or max(expected, default=1.0) >= WORTH


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


def _best(classes: Sequence[ComparabilityClass], confidence: float) -> list[Proposal]:
    """The leader of each class and its strongest challengers once more, where the best is open.

    Top-two allocation: runs go where they tell the best from the second best (D. Russo, "Simple
    Bayesian Algorithms for Best-Arm Identification", Operations Research 68, 2020).
    """
    proposed = []
    for item in classes:
        if len(item.ranking) < 2 or rounds.best_is_settled(item, confidence):
            continue
        first, *others = item.ranking
        others.sort(key=lambda place: -(place.chance_best or 0.0))
        rivals = [place for place in others if (place.chance_best or 0.0) > RIVAL] or others[:1]
        contenders = [first, *rivals[: CONTENDERS - 1]]
        keys = {configuration_key(place.run) for place in contenders}
        members = [x for x in item.members if configuration_key(x.first) in keys]
        design = rounds.next_round(members, item.runs)
        if not design.added or design.seeds >= MOST_SEEDS:
            continue
        expected = rounds.chances_of_best(item, contenders, design, confidence)
        if _is_worth(design, expected, item.spread.degrees):
            names = listed([place.run.name for place in contenders[1:]])
            why = f"{first.run.name} has the lowest loss; {names} may be lower."
            proposed.append(_proposal("best", [BEST], expected, design, item.finished, why))
    return proposed


def _proposal(
    kind: Literal["replicates", "best"],
    questions: Sequence[str],
    expected: Sequence[float],
    design: rounds.Round,
    runs: Sequence[Run],
    reason: str,
) -> Proposal:
    if design.experiments:
        seeds = {str(item.changes["seed"]) for item in design.experiments}
        reason += f" Once more with seed {listed(sorted(seeds))}, common to all of them."
    if design.begun:
        begun = listed([f"{run.name} ({run.run_id}), {run.status}" for run in design.begun])
        reason += f" To be finished first: {begun}."
    if expected:
        enough = (place for place, chance in enumerate(expected, 1) if chance >= WORTH)
        count = next(enough, len(expected))
        reason += f" The chance that this settles it is {math.floor(100 * expected[0])} percent"
        within = math.floor(100 * expected[count - 1])
        reason += f", with {count} such rounds {within}." if count > 1 else "."
    return Proposal(
        questions=tuple(questions),
        kind=kind if design.experiments else "continue",
        reason=reason,
        experiments=design.experiments,
        runs=tuple(run.run_id for run in runs),
        chance=expected[0] if expected else None,
        runs_after=len(runs) + len(design.experiments) + len(design.begun),
    )


def _why(factors: Sequence[str], first: Effect, level: float) -> str:
    names = listed([factor_words(name) for name in factors])
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
    runs: Sequence[Run],  # Of any number of classes; only finished ones are built upon
    effects: Mapping[str, Sequence[Effect]] | None = None,  # Of these runs, where they are at hand
    classes: Sequence[ComparabilityClass] | None = None,
    question: str | None = None,  # A factor, or ``best``; every open question where left out
    speeds: Speeds | None = None,
    confidence: float = LEVEL,  # Of an answer over all the looks at it, one after each round
) -> list[Proposal]:
    """For every open question the next runs towards its answer, those that settle most first.

    A confounded question has one run that differs from a finished one in that factor only. One
    whose runs are too few has the whole design once more with a common seed, if five seeds are
    likely to settle it. Where all of a class is answered but which configuration is the best, its
    leaders are repeated. A run that exists is not proposed: unfinished, it is to be continued.
    """
    effects = all_effects(runs) if effects is None else effects
    classes = comparability_classes(runs) if classes is None else classes
    speeds = Speeds.of_runs(runs) if speeds is None else speeds
    by_factor = {name: group for name, group in effects.items() if name not in NOT_ASKED}
    controls = control_proposals((group[0] for group in by_factor.values()), runs)
    asked = [group[0] for name, group in by_factor.items() if question in (None, name)]
    tested = [effect.p for group in effects.values() for effect in group if effect.p is not None]
    again = _replicates(asked, tested, runs, rounds.look_level(confidence))
    best = _best(classes, confidence)
    if question is None:
        comparable = {run.run_id: run.comparable for run in runs}
        told = {comparable[item.runs[0]] for item in (*controls, *again)}
        # Factors that are told apart at equal values of all others tell the best, too.
        every = [effect for group in by_factor.values() for effect in group]
        others = {x.runs[0].comparable for x in every if not x.clean or x.p is None}
        told |= {x.runs[0].comparable for x in every} - others
        best = [item for item in best if comparable[item.runs[0]] not in told]
    proposed = [item for item in (*controls, *again, *best) if question in (None, *item.questions)]
    proposed.sort(key=lambda item: (-len(item.questions), len(item.experiments)))
    return [item.with_hours(speeds) for item in proposed]
