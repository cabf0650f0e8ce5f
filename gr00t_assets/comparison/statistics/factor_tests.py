"""The tests of all factors of some runs, from the model of each class to verdicts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import Any, get_args

import numpy as np

from gr00t_assets.comparison.run import Run, grouped
from gr00t_assets.comparison.statistics.effects import (
    ALPHA,
    FEWEST_DEGREES,
    Effect,
    LevelEstimate,
    SimpleEffect,
    Verdict,
    holm,
    nearest_pairs,
)
from gr00t_assets.comparison.statistics.factors import (
    Configuration,
    configurations,
    factors_of,
    order_of,
    pooled,
    repeated_spread,
)
from gr00t_assets.comparison.statistics.linear_model import LinearModel
from gr00t_assets.comparison.statistics.questions import ClassModel, QuestionModel
from gr00t_assets.evaluation.intervals import student_t


def all_effects(runs: Sequence[Run], factors: Sequence[str] = ()) -> dict[str, list[Effect]]:
    """The effects of every factor that varies, by factor, those that say most first.

    Factors and interactions of all classes are tested together: Holm's step-down procedure
    (Scandinavian Journal of Statistics 6, 1979) keeps the chance of one false effect in the whole
    report at 5 percent. Only finished runs take part; ``factors`` are further ones to ask about.
    """
    by_class = grouped(configurations(runs), lambda item: item.first.comparable)
    own = {key: repeated_spread(group) for key, group in by_class.items()}
    tests: dict[tuple[object, ...], float] = {}
    drafts: list[tuple[Effect, QuestionModel]] = []
    for key, group in by_class.items():
        others = [other for other in by_class if other != key]
        similar = [own[other] for other in others if _kind(by_class[other]) == _kind(group)]
        model = ClassModel(group, pooled(similar))
        for factor in dict.fromkeys([*model.factors, *factors]):
            if factor == "seed" or len({item.value(factor) for item in group} - {None}) < 2:
                continue
            question = QuestionModel(model, factor)
            effect = _estimated(question)
            drafts.append((effect, question))
            if effect.p is not None:
                tests[key, factor] = effect.p
                for other, p in question.interactions.items():
                    tests.setdefault((key, *sorted((factor, other))), p)
    adjusted = dict(zip(tests, holm(list(tests.values())), strict=True))
    judged = [_judged(effect, question, adjusted) for effect, question in drafts]
    effects = grouped(judged, lambda effect: effect.factor)
    order = get_args(Verdict)
    for group in effects.values():
        group.sort(key=lambda effect: (order.index(effect.verdict), -len(effect.runs)))
    return {name: effects[name] for name in [*factors_of(runs), *factors] if name in effects}


def _kind(members: Sequence[Configuration]) -> list[str]:
    """Trainer and base model: runs of two classes that share them scatter alike."""
    data = members[0].first.data
    return [data.get(name, "").partition(" ")[0] for name in ("trainer", "base model")]


def _estimated(question: QuestionModel) -> Effect:
    """The effect before its p-value is adjusted."""
    model, factor = question.of_class, question.factor
    runs = tuple(run for item in model.members for run in item.runs)
    effect = Effect(
        factor=factor,
        class_id=runs[0].class_id,
        verdict="confounded" if question.varies and question.confounders else "inconclusive",
        spread=model.own_spread,
        single=tuple(sorted(question.single, key=partial(order_of, factor))),
        runs=runs,
    )
    if not question.varies or question.confounders:
        also = question.confounders if question.varies else ()
        pair = nearest_pairs(model.members, factor)[0]
        return replace(effect, confounders=also, pair=pair)
    levels, fitted = question.columns.levels, question.additive
    difference = question.difference(levels[0], levels[-1])
    effect = replace(
        effect,
        low=levels[0],
        high=levels[-1],
        ratio=math.exp(fitted.estimate(difference)),
        spread=fitted.spread,
        clean=question.clean,
        levels=tuple(_level(question, value) for value in levels),
    )
    test, contrast = fitted.test_term((factor,)), fitted.test(difference)
    if test is None or contrast is None:
        return _without_spread(effect, model)
    return replace(effect, p=test.p, interval=contrast.ratio_interval)


def _level(question: QuestionModel, value: object) -> LevelEstimate:
    factor, fitted = question.factor, question.additive
    weights = fitted.vector({(factor,): question.columns.code(value)}, constant=1.0)
    test = fitted.test(weights)
    members = [question.of_class.members[cell] for cell in dict.fromkeys(question.cells)]
    runs = tuple(run for item in members if item.value(factor) == value for run in item.runs)
    interval = test.ratio_interval if test else None
    return LevelEstimate(value, math.exp(fitted.estimate(weights)), interval, runs)


def _without_spread(effect: Effect, model: ClassModel) -> Effect:
    """Where nothing tells the noise between runs only a pair that differs in nothing else counts.

    With two runs of either side, and two of one configuration ``d`` apart, the standard error of
    the log ratio is ``d / sqrt(2)`` with two degrees of freedom.
    """
    pair = nearest_pairs(model.members, effect.factor)[0]
    if pair.confounders:
        return replace(
            effect, ratio=None, low=None, high=None, levels=(), verdict="confounded", pair=pair,
            confounders=pair.confounders,
        )  # fmt: skip
    return replace(
        effect,
        verdict="within_noise" if pair.within_noise else "inconclusive",
        needed=abs(math.log(pair.ratio)) * math.sqrt(2) / student_t(2),
        ratio=pair.ratio,
        low=pair.changes[0].low,
        high=pair.changes[0].high,
        pair=pair,
    )


def _judged(
    effect: Effect, question: QuestionModel, adjusted: Mapping[tuple[object, ...], float]
) -> Effect:
    key, factor = effect.runs[0].comparable, effect.factor
    if (p := adjusted.get((key, factor))) is None:
        return effect
    verdict: Verdict = "within_noise" if effect.spread.degrees >= FEWEST_DEGREES else "inconclusive"
    effect = replace(effect, verdict=verdict, p_adjusted=p)
    if p <= ALPHA:
        effect = replace(effect, verdict="controlled", lower=_lower(question))
    pairs = {other: adjusted[key, *sorted((factor, other))] for other in question.interactions}
    other = min(pairs, key=pairs.__getitem__, default="")
    fitted = question.with_interactions
    if fitted is None or (interaction_p := pairs.get(other, 1.0)) > ALPHA:
        return effect
    at = _simple_effects(question, fitted, other)
    if not any(item.shown for item in at):
        return effect
    return replace(
        effect,
        verdict="controlled",
        spread=fitted.spread,
        p_adjusted=min(p, interaction_p),
        depends_on=other,
        interaction_p=interaction_p,
        at=at,
    )


def _lower(question: QuestionModel) -> dict[Any, tuple[object, ...]]:
    """By value those with a higher loss, adjusted; of a curve of its ends and its lowest place."""
    levels, fitted = question.columns.levels, question.additive
    if question.columns.curve:
        losses = [fitted.estimate(question.difference(levels[0], value)) for value in levels]
        levels = tuple(dict.fromkeys([levels[0], levels[int(np.argmin(losses))], levels[-1]]))
    pairs = list(combinations(levels, 2))
    tests = [fitted.test(question.difference(a, b)) for a, b in pairs]
    adjusted = holm([test.p if test else 1.0 for test in tests])
    lower: dict[Any, tuple[object, ...]] = {}
    for (a, b), test, p in zip(pairs, tests, adjusted, strict=True):
        if test is not None and (p <= ALPHA or len(pairs) == 1):
            better, worse = (a, b) if test.estimate > 0 else (b, a)
            lower[better] = (*lower.get(better, ()), worse)
    return lower


def _simple_effects(
    question: QuestionModel, fitted: LinearModel, other: str
) -> tuple[SimpleEffect, ...]:
    """The effect of the factor at each value of another one; of a curve at its ends."""
    columns, second, name = question.columns, question.other_columns[other], question.factor

    def weights(value: object, at: object) -> np.ndarray:
        products = np.outer(columns.linear.code(value), second.linear.code(at)).ravel()
        return fitted.vector({(name,): columns.code(value), (name, other): products})

    low, high = columns.levels[0], columns.levels[-1]
    places = [second.levels[0], second.levels[-1]] if second.curve else list(second.levels)
    every = [fitted.test(weights(high, at) - weights(low, at)) for at in places]
    tests = [test for test in every if test is not None]
    return tuple(
        SimpleEffect(at, math.exp(test.estimate), test.ratio_interval, p)
        for at, test, p in zip(places, tests, holm([test.p for test in tests]), strict=True)
    )
