"""Answers: what the finished runs say of one factor, with the evidence and its limits."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from gr00t_assets.comparison.answers.headline import failures, limits
from gr00t_assets.comparison.run import Run, grouped
from gr00t_assets.comparison.statistics.effects import Effect, Pair, Verdict
from gr00t_assets.comparison.statistics.factor_tests import all_effects
from gr00t_assets.comparison.statistics.factors import (
    QUESTIONS,
    configurations,
    factor_named,
    factor_value,
    material_settings,
    order_of,
    repeated_spread,
)
from gr00t_assets.comparison.wording import (
    SENTENCES,
    group_label,
    in_words,
    label,
    listed,
    loss_words,
    names_in_words,
    percent_words,
    spread_words,
    times,
    value_words,
)

WIDEST = 1e4  # A ratio of an interval's ends beyond which it says nothing, and is left out
_SERIES = 8  # Runs of a series that a sentence lists at most
_SENTENCES = SENTENCES["answers"]


@dataclass(frozen=True)
class Answer:
    """What may be said of one factor, and what not."""

    factor: str
    question: str
    sentence: Annotated[str, Field(serialization_alias="answer")]  # Of the class that says most
    verdict: Verdict  # Of the same
    effects: tuple[Effect, ...] = ()  # Of each class, the same first
    limits: tuple[str, ...] = ()  # What it does not cover, one sentence each

    @model_serializer(mode="wrap")
    def _with_estimate(self, fields: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """In JSON it has the numbers of the class that says most, too."""
        content = fields(self)
        first = content["effects"][0] if content["effects"] else {}
        estimated = first.get("ratio") is not None
        names = ("low", "high", "ratio", "percent", "interval")
        content["estimate"] = {name: first[name] for name in names} if estimated else None
        return content | {name: first.get(name) for name in ("p", "p_adjusted", "spread")}


def answer(runs: Sequence[Run], factor: str) -> Answer:
    """What the finished runs say of one factor, by any word for it or a column of this table.

    Raises:
        ComparisonError: There is no such factor.
    """
    name = factor.strip()
    if name.startswith(("tune_", "lora")) or not any(name in run.settings for run in runs):
        name = factor_named(name)
    return _answer(runs, name, all_effects(runs, [name]).get(name, ()))


def all_answers(runs: Sequence[Run], effects: Mapping[str, Sequence[Effect]]) -> list[Answer]:
    """The answers to the questions that people ask, and to those of every other varying factor."""
    factors = dict.fromkeys([*QUESTIONS, *effects])
    return [_answer(runs, factor, effects.get(factor, ())) for factor in factors]


def _answer(runs: Sequence[Run], factor: str, effects: Sequence[Effect]) -> Answer:
    verdict: Verdict = effects[0].verdict if effects else "not_comparable"
    if factor == "seed":
        sentence, verdict = _seed(runs)
    elif effects:
        sentence = _sentence(effects[0], runs)
    else:
        sentence = _nothing_to_compare(factor, runs)
    question = SENTENCES["questions"].get(factor, f"Does {factor} matter?")
    limited = limits(runs, effects[:1], factor)
    return Answer(factor, question, sentence, verdict, tuple(effects), limited)


def _sentence(effect: Effect, runs: Sequence[Run]) -> str:
    factor, spread = effect.factor, f" ({spread_words(effect.spread)})"
    shown, order = _effect_words(effect), partial(order_of, factor)
    noise = {"spread": spread, "failures": failures(effect, runs)}
    if other := effect.depends_on:
        simple = "; ".join(
            f"at {other} {value_words(item.value)} {_ratio_words(effect, item.ratio)}"
            for item in effect.at
            if item.shown
        )
        hidden = listed([value_words(item.value) for item in effect.at if not item.shown])
        rest = f"; at {hidden} no difference is shown" if hidden else ""
        return _SENTENCES["depends"].format(other=other, simple=simple, rest=rest, **noise)
    if effect.verdict == "controlled":
        claims = [
            f"{factor} {value_words(value)} ends lower than "
            f"{listed([value_words(other) for other in sorted(lower, key=order)])}"
            for value, lower in effect.lower.items()
        ]
        claim = listed(claims) or f"{factor} changes the loss, though no two values are told apart"
        equal = "and nothing else changed" if effect.clean else "all else held equal by the model"
        return _SENTENCES["controlled"].format(claims=claim, effect=shown, equal=equal, **noise)
    if effect.verdict == "confounded":
        return _confounded(effect)
    if effect.needed is not None and effect.pair is not None:
        form = "explained" if effect.verdict == "within_noise" else "no_spread"
        return _SENTENCES[form].format(
            pair=_pair_words(effect.pair),
            percent=percent_words(100 * math.expm1(abs(math.log(effect.pair.ratio)))),
            needed=percent_words(100 * math.expm1(effect.needed)),
        )
    if effect.ratio is None:
        single = listed([f"{factor} {value_words(value)}" for value in effect.single])
        return _SENTENCES["single"].format(single=single or factor)
    degrees = f"{effect.spread.degrees} degree{'s' if effect.spread.degrees > 1 else ''} of freedom"
    return _SENTENCES[effect.verdict].format(effect=shown, degrees=degrees, spread=spread)


def _effect_words(effect: Effect) -> str:
    """The loss at the highest value of the factor beside that at the lowest."""
    text = _ratio_words(effect, effect.ratio or 1.0)
    if effect.interval is None or effect.interval[1] > WIDEST * effect.interval[0]:
        return text
    return f"{text} ({times(effect.interval[0])} to {times(effect.interval[1])} at 95 percent)"


def _ratio_words(effect: Effect, ratio: float) -> str:
    high, low = value_words(effect.high), value_words(effect.low)
    return f"the loss with {effect.factor} {high} is {times(ratio)} times that with {low}"


def _confounded(effect: Effect) -> str:
    factor, pair, together = effect.factor, effect.pair, _series_words(effect)
    if pair is None or not pair.confounders:
        also = listed(list(effect.confounders))
        return _SENTENCES["aliased"].format(factor=factor, also=also, series=together)
    samples, also = "", [item for item in pair.changes if item.factor in pair.confounders]
    if equal := pair.equal_samples:
        samples = f"; where both had seen {equal[0]:,} samples it is {times(equal[1])} times"
    pairs = f"the only pair that differs in {factor}"
    if len(effect.runs) > len(pair.runs):
        pairs = f"each pair that differs in {factor} changes more than that; the nearest one"
    words = {"pairs": pairs, "pair": _pair_words(pair), "also": in_words(also)}
    return _SENTENCES["confounded"].format(factor=factor, samples=samples, series=together, **words)


def _pair_words(pair: Pair) -> str:
    change = pair.changes[0]
    return " against ".join(
        f"{group_label(runs)} ({pair.factor} {value_words(value)}, loss {loss_words(runs)})"
        for runs, value in ((pair.low, change.low), (pair.high, change.high))
    )


def _series_words(effect: Effect) -> str:
    """Factors that move together over three values or more, all else equal, lowest loss first."""
    pair = effect.pair
    names = [effect.factor, *(pair.confounders if pair else effect.confounders)]
    first = pair.low[0] if pair else effect.runs[0]
    equal = [name for name in material_settings(first) if name not in (*names, "max_steps")]
    fixed = {name: factor_value(first, name) for name in equal}
    runs = [x for x in effect.runs if all(factor_value(x, name) == fixed[name] for name in fixed)]
    runs.sort(key=lambda run: run.loss.mean if run.loss else 0.0)
    if len({factor_value(run, effect.factor) for run in runs}) < 3:
        return ""
    columns = [
        f"{name} ({', '.join(value_words(factor_value(run, name)) for run in runs[:_SERIES])})"
        for name in names
    ]
    named = ", ".join(f"{label(run)} {loss_words([run])}" for run in runs[:_SERIES])
    return f"; {listed(columns)} move together over {named}, lowest loss first"


def _nothing_to_compare(factor: str, runs: Sequence[Run]) -> str:
    values = grouped(runs, lambda run: factor_value(run, factor))
    values.pop(None, None)
    if not values:
        return _SENTENCES["no_value"].format(factor=factor)
    if len(values) == 1:
        ((value, of_value),) = values.items()
        which = "Every run" if len(of_value) == len(runs) else "Every run that says so"
        return _SENTENCES["one_value"].format(which=which, factor=factor, value=value_words(value))
    groups = []
    for value in sorted(values, key=partial(order_of, factor)):
        names = [label(run) + ("" if run.finished else f" ({run.status})") for run in values[value]]
        groups.append(f"{value_words(value)}: {names_in_words(names, 6)}")
    return _SENTENCES["no_pair"].format(factor=factor, groups="; ".join(groups))


def _seed(runs: Sequence[Run]) -> tuple[str, Verdict]:
    """How much runs differ that differ in the seed alone; it is noise by what it is."""
    spread = repeated_spread(configurations(runs))
    if spread.percent is not None:
        words = percent_words(spread.percent)
        return _SENTENCES["seed_spread"].format(spread=words, runs=spread.runs), "within_noise"
    seeds = {factor_value(run, "seed") for run in runs} - {None}
    every = f" (every run has {value_words(seeds.pop())})" if len(seeds) == 1 else ""
    return _SENTENCES["seed_unknown"].format(every=every), "not_comparable"
