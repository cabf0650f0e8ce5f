"""Answers: what the finished runs say of one factor, with the evidence and its limits."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from gr00t_assets.comparison.answers.headline import limits
from gr00t_assets.comparison.contrasts.collinear import CollinearSeries, collinear_series
from gr00t_assets.comparison.contrasts.contrast import Contrast, Verdict
from gr00t_assets.comparison.contrasts.contrasts import all_contrasts, contrasts
from gr00t_assets.comparison.contrasts.factors import (
    QUESTIONS,
    configurations,
    factor_named,
    factor_value,
    order_of,
)
from gr00t_assets.comparison.contrasts.noise import ASSUMED_SPREAD, spread_of
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.wording import (
    SENTENCES,
    group_label,
    in_words,
    label,
    listed,
    loss_words,
    names_in_words,
    question_words,
    times,
    value_words,
)

_ORDER: tuple[Verdict, ...] = ("controlled", "inconclusive", "within_noise", "confounded")
"""What an answer's verdict is taken from, the first that any contrast has."""

_EVIDENCE = 12
"""Contrasts that an answer lists at most."""

_SERIES = 8
"""Runs of a series that a sentence lists at most."""

_SENTENCES = SENTENCES["answers"]


@dataclass(frozen=True)
class Answer:
    """What may be said of one factor, and what not.

    Attributes:
        sentence: The answer in one sentence, with the runs and the losses that it rests on.
        verdict: The best that any contrast has; ``not_comparable`` where no two finished runs of
            one class differ in the factor, which is to say, there is nothing to compare.
        evidence: The contrasts that the sentence rests on, the one that says most first.
        limits: What the answer does not cover, one sentence each.
        collinear: Factors that move together with this one over a series; None where none do.
    """

    factor: str
    question: str
    sentence: Annotated[str, Field(serialization_alias="answer")]
    verdict: Verdict
    evidence: tuple[Contrast, ...] = ()
    limits: tuple[str, ...] = ()
    collinear: CollinearSeries | None = None


def answer(runs: Sequence[Run], factor: str) -> Answer:
    """What the finished ones among the runs say of one factor.

    The factor may be given by another word for it, ``steps`` or ``warm-up``; a column that only
    this table has is one too.

    Raises:
        ComparisonError: There is no such factor.
    """
    name = factor.strip()
    if name.startswith(("tune_", "lora")) or not any(name in run.settings for run in runs):
        name = factor_named(name)
    return _answer(runs, name, contrasts(runs, name), collinear_series(runs, name))


def all_answers(
    runs: Sequence[Run],
    by_factor: Mapping[str, Sequence[Contrast]] | None = None,
    series: Mapping[str, CollinearSeries | None] | None = None,
) -> list[Answer]:
    """The answers to the questions that people ask, and to those of every other varying factor.

    The contrasts and the collinear series of these runs may be given where they are at hand.
    """
    by_factor = all_contrasts(runs) if by_factor is None else by_factor
    if series is None:
        series = {factor: collinear_series(runs, factor) for factor in by_factor}
    return [
        _answer(runs, factor, by_factor.get(factor) or (), series.get(factor))
        for factor in dict.fromkeys([*QUESTIONS, *by_factor])
    ]


def _answer(
    runs: Sequence[Run],
    factor: str,
    factor_contrasts: Sequence[Contrast],
    series: CollinearSeries | None,
) -> Answer:
    present = {contrast.verdict for contrast in factor_contrasts}
    shown: list[Verdict] = [name for name in _ORDER if name in present]
    verdict: Verdict = shown[0] if shown else "not_comparable"
    evidence = [item for item in factor_contrasts if item.verdict == verdict]
    evidence.sort(key=_says_most)
    series = series if verdict == "confounded" else None
    if factor == "seed" and evidence and (spread := _seed_spread(runs)):
        sentence = spread
    elif verdict == "controlled":
        clean = sum(item.verdict in _ORDER[:3] for item in factor_contrasts)
        sentence = _controlled(factor, evidence, clean)
    elif shown:
        sentence = _not_shown(factor, verdict, evidence, series)
    else:
        sentence = _nothing_to_compare(factor, runs)
    return Answer(
        factor=factor,
        question=question_words(factor),
        sentence=sentence,
        verdict=verdict,
        evidence=tuple(evidence[:_EVIDENCE]),
        limits=limits(runs, evidence[:_EVIDENCE], factor),
        collinear=series,
    )


def _says_most(contrast: Contrast) -> tuple[bool, int, int, float, float]:
    """Of one class first, fewest confounders, fewest changes, nearest ones, largest difference."""
    others = [change for change in contrast.changes if change.factor in contrast.confounders]
    return (
        "trainable_parts" in contrast.confounders,
        len(others),
        sum(change.material for change in contrast.changes),
        sum(1.0 if change.width is None else change.width for change in others),
        -abs(math.log(contrast.ratio or 1.0)),
    )


def _controlled(factor: str, evidence: Sequence[Contrast], clean: int) -> str:
    """Where the factor was changed alone in ``clean`` contrasts, and some are more than noise."""
    worse: dict[object, set[object]] = {}
    for contrast in evidence:
        change = contrast.changes[0]
        lower = (contrast.ratio or 1.0) < 1
        better, other = (change.high, change.low) if lower else (change.low, change.high)
        worse.setdefault(better, set()).add(other)
    first = evidence[0]
    effect = (
        f"{_side(first, high=True)} is {times(first.ratio or 1.0)} times that of "
        f"{_side(first, high=False)}{_basis(first)}, and nothing else changed"
    )
    share = f" ({len(evidence)} of {clean} such pairs are apart)" if clean > 1 else ""
    if any(better in worse.get(other, ()) for better in worse for other in worse[better]):
        return _SENTENCES["reversed"].format(effect=effect, share=share)
    lost = set().union(*worse.values())
    claims = []
    for value in worse:
        if value not in lost:
            others = sorted(worse[value], key=lambda other: order_of(factor, other))
            higher = listed([value_words(other) for other in others])
            claims.append(f"{factor} {value_words(value)} ends lower than {higher}")
    return _SENTENCES["controlled"].format(claims=listed(claims), effect=effect, share=share)


def _not_shown(
    factor: str, verdict: Verdict, evidence: Sequence[Contrast], series: CollinearSeries | None
) -> str:
    """Where noise covers the difference, may cover it, or something else changed as well."""
    first, count = evidence[0], len(evidence)
    interval = "the noise within the runs cannot be told"
    if first.interval is not None:
        low, high = first.interval
        interval = f"the difference is {low:+.2g} to {high:+.2g} at 95 percent"
    pairs = f"each of {count} pairs that differ in {factor} changes more than that; the nearest one"
    single = len(first.low) == 1 and len(first.high) == 1
    return _SENTENCES[verdict].format(
        factor=factor,
        which="the only clean pair" if count == 1 else f"the clearest of {count} clean pairs",
        pairs=f"the only pair that differs in {factor}" if count == 1 else pairs,
        pair=f"{_side(first, high=False)} against {_side(first, high=True)}",
        basis=_basis(first),
        ratio=times(first.ratio or 1.0),
        interval=interval,
        until=": nothing is known until it is repeated" if single else "",
        also=in_words([item for item in first.changes if item.factor in first.confounders]),
        series=f"; {_series_words(series)}" if series else "",
    )


def _series_words(series: CollinearSeries) -> str:
    """Factors that move together, with their values, the run of the lowest loss first."""
    losses = [(run.loss.mean, place, run) for place, run in enumerate(series.runs) if run.loss]
    runs = [run for _, _, run in sorted(losses)[:_SERIES]]
    columns = []
    for name in series.factors:
        values = ", ".join(value_words(factor_value(run, name)) for run in runs)
        columns.append(f"{name} ({values})")
    named = ", ".join(f"{label(run)} {loss_words([run])}" for run in runs)
    return f"{listed(columns)} move together over {named}, lowest loss first"


def _nothing_to_compare(factor: str, runs: Sequence[Run]) -> str:
    """Where no two finished runs of one class differ in the factor."""
    values: dict[object, list[Run]] = {}
    for run in runs:
        if (value := factor_value(run, factor)) is not None:
            values.setdefault(value, []).append(run)
    only = value_words(next(iter(values))) if len(values) == 1 else ""
    if factor == "seed":
        every = f" (every run has {only})" if only else ""
        return _SENTENCES["seed_unknown"].format(every=every, assumed=100 * ASSUMED_SPREAD)
    if not values:
        return _SENTENCES["no_value"].format(factor=factor)
    if only:
        known = sum(map(len, values.values()))
        which = "Every run" if known == len(runs) else "Every run that says so"
        return _SENTENCES["one_value"].format(which=which, factor=factor, value=only)
    groups = []
    for value in sorted(values, key=lambda value: order_of(factor, value)):
        names = [label(run) + ("" if run.finished else f" ({run.status})") for run in values[value]]
        groups.append(f"{value_words(value)}: {names_in_words(names, 6)}")
    return _SENTENCES["no_pair"].format(factor=factor, groups="; ".join(groups))


def _seed_spread(runs: Sequence[Run]) -> str | None:
    """How much runs differ that differ in the seed alone; None where none do."""
    repeated = [item for item in configurations(runs) if len(item.by_seed) > 1]
    spread = spread_of(repeated)
    if not spread.measured:
        return None
    return _SENTENCES["seed_spread"].format(
        spread=f"{100 * math.expm1(spread.between):.2g} percent",
        count=f"{len(repeated)} configuration" + ("s" if len(repeated) > 1 else ""),
        seeds=sum(len(item.by_seed) for item in repeated),
    )


def _side(contrast: Contrast, high: bool) -> str:
    change = contrast.changes[0]
    runs, value = (contrast.high, change.high) if high else (contrast.low, change.low)
    return f"{group_label(runs)} ({contrast.factor} {value_words(value)}, loss {loss_words(runs)})"


def _basis(contrast: Contrast) -> str:
    return "" if contrast.basis == "end" else f" at {contrast.basis}"
