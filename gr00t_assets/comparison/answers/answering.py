"""From finished runs to answers."""

import math
from collections.abc import Mapping, Sequence

from gr00t_assets.comparison.answers import sentences
from gr00t_assets.comparison.answers.answer import Answer
from gr00t_assets.comparison.answers.limits import limits
from gr00t_assets.comparison.answers.words import question_words
from gr00t_assets.comparison.contrasts.collinear import Collinear, collinear
from gr00t_assets.comparison.contrasts.contrast import Change, Contrast, Verdict
from gr00t_assets.comparison.contrasts.contrasts import all_contrasts, contrasts
from gr00t_assets.comparison.contrasts.factors import QUESTIONS, factor_named
from gr00t_assets.comparison.contrasts.observation import Observation

_ORDER: tuple[Verdict, ...] = ("controlled", "inconclusive", "within_noise", "confounded")
"""What an answer's verdict is taken from, the first that any contrast has."""

_EVIDENCE = 12
"""Contrasts that an answer lists at most."""


def answer(observations: Sequence[Observation], factor: str) -> Answer:
    """What the runs say of one factor.

    Args:
        observations: Of any status and class; only finished ones are evidence.
        factor: Its name, or another word for it: ``steps``, ``warm-up``.

    Raises:
        ComparisonError: There is no such factor.

    Example:
        ``answer(read_table(path), "batch_size").sentence``
    """
    name = _known(observations, factor)
    return _answer(observations, name, contrasts(observations, name))


def all_answers(observations: Sequence[Observation]) -> list[Answer]:
    """The answers to the questions that people ask, and to those of every other varying factor."""
    return answers_from(observations, all_contrasts(observations))


def answers_from(
    observations: Sequence[Observation],
    found: Mapping[str, Sequence[Contrast]],
    series: Mapping[str, Collinear | None] | None = None,
) -> list[Answer]:
    """As :func:`all_answers`, where the contrasts, and the collinear series, are at hand."""
    return [
        _answer(observations, factor, found.get(factor) or (), series)
        for factor in dict.fromkeys([*QUESTIONS, *found])
    ]


def _known(observations: Sequence[Observation], factor: str) -> str:
    """A factor's name; a column that only this table has is one too."""
    word = factor.strip()
    if any(word in run.settings for run in observations) and not word.startswith(("tune_", "lora")):
        return word
    return factor_named(word)


def _answer(
    observations: Sequence[Observation],
    factor: str,
    found: Sequence[Contrast],
    known: Mapping[str, Collinear | None] | None = None,
) -> Answer:
    by_verdict: dict[Verdict, list[Contrast]] = {}
    for one in found:
        by_verdict.setdefault(one.verdict, []).append(one)
    present: list[Verdict] = [name for name in _ORDER if by_verdict.get(name)]
    verdict: Verdict = present[0] if present else "not_comparable"
    evidence = sorted(by_verdict.get(verdict, []), key=_says_most)
    series = None
    if verdict == "confounded":
        series = known[factor] if known is not None else collinear(observations, factor)
    clean = sum(len(by_verdict.get(name, [])) for name in _ORDER[:3])
    return Answer(
        factor=factor,
        question=question_words(factor),
        sentence=_sentence(observations, factor, verdict, evidence, series, clean),
        verdict=verdict,
        evidence=tuple(evidence[:_EVIDENCE]),
        limits=limits(observations, evidence[:_EVIDENCE], factor),
        collinear=series,
    )


def _sentence(
    observations: Sequence[Observation],
    factor: str,
    verdict: Verdict,
    evidence: Sequence[Contrast],
    series: Collinear | None,
    clean: int,
) -> str:
    if factor == "seed" and evidence and (spread := sentences.seed_spread(observations)):
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
    return sentences.nothing_to_compare(factor, observations)


def _says_most(one: Contrast) -> tuple[bool, int, int, float, float]:
    """Of one class first, fewest confounders, fewest changes, nearest ones, largest difference."""
    others = [change for change in one.changes if change.factor in one.confounders]
    return (
        "trainable_parts" in one.confounders,
        len(others),
        sum(change.material for change in one.changes),
        sum(map(_distance, others)),
        -abs(math.log(one.ratio)) if one.ratio else 0.0,
    )


def _distance(change: Change) -> float:
    """How far a confounder's values are apart, on the log where they are numbers above zero."""
    low, high = change.low, change.high
    if isinstance(low, int | float) and isinstance(high, int | float) and low > 0 and high > 0:
        return abs(math.log(high / low))
    return 1.0
