"""Answers: what the finished runs say of one factor, with the evidence and its limits."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from gr00t_assets.comparison.answers import sentences
from gr00t_assets.comparison.answers.cautions import limits
from gr00t_assets.comparison.contrasts.collinear import CollinearSeries, collinear_series
from gr00t_assets.comparison.contrasts.contrast import Change, Contrast, Verdict
from gr00t_assets.comparison.contrasts.contrasts import all_contrasts, contrasts
from gr00t_assets.comparison.contrasts.factors import QUESTIONS, factor_named
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.wording import question_words

_ORDER: tuple[Verdict, ...] = ("controlled", "inconclusive", "within_noise", "confounded")
"""What an answer's verdict is taken from, the first that any contrast has."""

_EVIDENCE = 12
"""Contrasts that an answer lists at most."""


@dataclass(frozen=True)
class Answer:
    """What may be said of one factor, and what not.

    Attributes:
        factor: What is asked about.
        question: For a reader, such as ``Does batch size help?``.
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
    """What the runs say of one factor.

    Args:
        runs: Of any status and class; only finished ones are evidence.
        factor: Its name, or another word for it: ``steps``, ``warm-up``.

    Raises:
        ComparisonError: There is no such factor.

    Example:
        ``answer(read_table(path), "batch_size").sentence``
    """
    name = _factor(runs, factor)
    return _answer(runs, name, contrasts(runs, name), collinear_series(runs, name))


def all_answers(
    runs: Sequence[Run],
    by_factor: Mapping[str, Sequence[Contrast]] | None = None,
    series: Mapping[str, CollinearSeries | None] | None = None,
) -> list[Answer]:
    """The answers to the questions that people ask, and to those of every other varying factor.

    Args:
        runs: Of any status and class.
        by_factor: Their contrasts, where they are at hand.
        series: Their collinear series by factor, where they are at hand.
    """
    by_factor = all_contrasts(runs) if by_factor is None else by_factor
    if series is None:
        series = {factor: collinear_series(runs, factor) for factor in by_factor}
    return [
        _answer(runs, factor, by_factor.get(factor) or (), series.get(factor))
        for factor in dict.fromkeys([*QUESTIONS, *by_factor])
    ]


def _factor(runs: Sequence[Run], text: str) -> str:
    """A factor's name; a column that only this table has is one too."""
    name = text.strip()
    if any(name in run.settings for run in runs) and not name.startswith(("tune_", "lora")):
        return name
    return factor_named(name)


def _answer(
    runs: Sequence[Run],
    factor: str,
    factor_contrasts: Sequence[Contrast],
    series: CollinearSeries | None,
) -> Answer:
    by_verdict: dict[Verdict, list[Contrast]] = {}
    for contrast in factor_contrasts:
        by_verdict.setdefault(contrast.verdict, []).append(contrast)
    present: list[Verdict] = [name for name in _ORDER if by_verdict.get(name)]
    verdict: Verdict = present[0] if present else "not_comparable"
    evidence = sorted(by_verdict.get(verdict, []), key=_says_most)
    series = series if verdict == "confounded" else None
    clean = sum(len(by_verdict.get(name, [])) for name in _ORDER[:3])
    return Answer(
        factor=factor,
        question=question_words(factor),
        sentence=_sentence(runs, factor, verdict, evidence, series, clean),
        verdict=verdict,
        evidence=tuple(evidence[:_EVIDENCE]),
        limits=limits(runs, evidence[:_EVIDENCE], factor),
        collinear=series,
    )


def _sentence(
    runs: Sequence[Run],
    factor: str,
    verdict: Verdict,
    evidence: Sequence[Contrast],
    series: CollinearSeries | None,
    clean: int,
) -> str:
    if factor == "seed" and evidence and (spread := sentences.seed_spread(runs)):
        return spread
    match verdict:
        case "controlled":
            return sentences.controlled(factor, evidence, clean)
        case "inconclusive":
            return sentences.inconclusive(evidence)
        case "within_noise":
            return sentences.within_noise(evidence)
        case "confounded":
            return sentences.confounded(factor, evidence, series)
    return sentences.nothing_to_compare(factor, runs)


def _says_most(contrast: Contrast) -> tuple[bool, int, int, float, float]:
    """Of one class first, fewest confounders, fewest changes, nearest ones, largest difference."""
    others = [change for change in contrast.changes if change.factor in contrast.confounders]
    return (
        "trainable_parts" in contrast.confounders,
        len(others),
        sum(change.material for change in contrast.changes),
        sum(map(_distance, others)),
        -abs(math.log(contrast.ratio)) if contrast.ratio else 0.0,
    )


def _distance(change: Change) -> float:
    """How far a confounder's values are apart, on the log where they are numbers above zero."""
    low, high = change.low, change.high
    if isinstance(low, int | float) and isinstance(high, int | float) and low > 0 and high > 0:
        return abs(math.log(high / low))
    return 1.0
