"""What to run next: for every open question of a class the runs that settle it soonest."""

from collections.abc import Mapping, Sequence

from gr00t_assets.comparison.differences import equal_run
from gr00t_assets.comparison.proposals.control_runs import (
    ControlRun,
    Proposal,
    control_reason,
    control_runs,
    distance,
    mean_loss,
    run_reason,
)
from gr00t_assets.comparison.proposals.replicates import best_proposals, replicates
from gr00t_assets.comparison.run import Run, samples_of
from gr00t_assets.comparison.speed import Speeds
from gr00t_assets.comparison.statistics.effects import Effect
from gr00t_assets.comparison.statistics.factor_tests import all_effects
from gr00t_assets.comparison.statistics.factors import configurations
from gr00t_assets.comparison.statistics.linear_model import LEVEL
from gr00t_assets.comparison.statistics.pairs import Pair, nearest_pairs
from gr00t_assets.comparison.statistics.ranking import ComparabilityClass, comparability_classes

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
    controls = _controls(effects, factors, runs, speeds)
    asked = [name for name in factors if question in (None, name)]
    again = replicates(effects, asked, runs, speeds, confidence)
    best = best_proposals(classes, speeds, confidence)
    if question is None:
        comparable = {run.run_id: run.comparable for run in runs}
        told = {comparable[item.runs[0]] for item in (*controls, *again)} | _factorial(effects)
        best = [item for item in best if comparable[item.runs[0]] not in told]
    made = sorted([*controls, *again, *best], key=lambda x: (-len(x.questions), len(x.experiments)))
    return [item for item in made if question is None or question in item.questions]


def _factorial(effects: Mapping[str, Sequence[Effect]]) -> set[tuple[object, ...]]:
    """Designs whose factors are told apart and compared at equal values of all the others.

    What is the best of them follows from their effects.
    """
    every = [effect for name in effects if name not in NOT_ASKED for effect in effects[name]]
    others = [effect for effect in every if not effect.clean or effect.p is None]
    return {x.runs[0].comparable for x in every} - {x.runs[0].comparable for x in others}


def _controls(
    effects: Mapping[str, Sequence[Effect]],
    factors: Sequence[str],
    runs: Sequence[Run],
    speeds: Speeds,
) -> list[Proposal]:
    """Greedily the runs that settle most of what is confounded, until each factor has one."""
    by_class: dict[object, dict[str, list[Pair]]] = {}
    for factor in factors:
        effect = effects[factor][0]
        if effect.verdict == "confounded" and effect.pair is not None:
            pairs = nearest_pairs(configurations(effect.runs), factor)
            fewest = min(map(distance, pairs))
            group = by_class.setdefault(effect.runs[0].comparable, {})
            group[factor] = [pair for pair in pairs if distance(pair) == fewest]
    made = []
    for key, confounded in by_class.items():
        members = [run for run in runs if run.comparable == key]
        possible, left = control_runs(confounded), list(confounded)
        while able := [item for item in possible if not item.settles.keys().isdisjoint(left)]:
            best = max(able, key=lambda item: _worth(item, left))
            possible.remove(best)
            equal = equal_run(best.run.settings, members)
            if equal is not None and equal.finished:
                continue
            questions = tuple(factor for factor in left if factor in best.settles)
            made.append(_control(best, questions, equal, speeds))
            left = [factor for factor in left if factor not in questions]
    return made


def _worth(control: ControlRun, unsettled: Sequence[str]) -> tuple[float, ...]:
    """Questions first, then pairs, then the width of the change, then what it costs.

    The width is the widest ratio of a factor's two values, on the log: wide changes stand out of
    noise.
    """
    settles = [group for name, group in control.settles.items() if name in unsettled]
    widths = [pair.changes[0].width or 0.0 for group in control.settles.values() for pair in group]
    return (
        len(settles),
        sum(map(len, settles)),
        round(max(widths), 6),
        -(samples_of(control.run.settings) or 0),
        -mean_loss(control.run.reference),
    )


def _control(
    control: ControlRun, questions: tuple[str, ...], equal: Run | None, speeds: Speeds
) -> Proposal:
    pairs = [item for factor in questions for item in control.settles[factor]]
    ids = tuple(dict.fromkeys(run for pair in pairs for run in pair.runs))
    reason = control_reason(control, questions)
    if equal is not None:
        reason = f"{reason} {equal.name} ({equal.run_id}) is that run and is {equal.status}."
        return Proposal(questions, "continue", reason, (), ids, runs_after=len(ids) + 1)
    experiment = control.run.told(run_reason(control.run, questions), speeds)
    return Proposal(questions, "control", reason, (experiment,), ids, runs_after=len(ids) + 1)
