"""Effects as the page draws them: badges of verdicts, intervals on an axis, residuals."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gr00t_assets.comparison.answers.answers import Answer
from gr00t_assets.comparison.statistics.effects import Effect, LevelEstimate, SimpleEffect, Verdict
from gr00t_assets.comparison.statistics.factor_tests import factors_of_members
from gr00t_assets.comparison.statistics.questions import ClassModel, QuestionModel
from gr00t_assets.comparison.statistics.ranking import ComparabilityClass
from gr00t_assets.comparison.statistics.spread import Spread
from gr00t_assets.comparison.wording import (
    factor_words,
    label,
    percent_words,
    said_once,
    value_words,
)

MOST_LEVELS = 12
"""Values of a factor that are drawn; of more, so many that are evenly apart in their order."""

MOST_CLASSES = 6
"""Classes of one question on the page; the others are in ``gr00t-assets compare --json``."""

WIDEST = 30.0
"""Times above the highest and below the lowest estimate at which an axis ends at the latest."""


TIMES = "\N{MULTIPLICATION SIGN}"


class VerdictBadge(NamedTuple):
    """How a verdict is shown: by a symbol and a word, so that colour says nothing alone."""

    verdict: Verdict
    symbol: str
    word: str
    meaning: str

    @property
    def text(self) -> str:
        """Symbol and word."""
        return f"{self.symbol} {self.word}"


_BADGES: tuple[tuple[Verdict, str, str, str], ...] = (
    ("controlled", "✓", "controlled", "all else equal, and the difference is not noise"),
    ("within_noise", "≈", "within noise", "all else equal; noise covers the difference"),
    ("inconclusive", "?", "inconclusive",
     "repeats are needed to tell the difference from the spread between runs"),
    ("confounded", "⇄", "confounded", "more than the factor changed"),
    ("not_comparable", "\N{EN DASH}", "nothing to compare", "no two finished runs answer it"),
)  # fmt: skip
BADGES = {verdict: VerdictBadge(verdict, *shown_as) for verdict, *shown_as in _BADGES}
"""Every verdict's badge, the most telling verdict first."""


def answer_badge(answer: Answer) -> VerdictBadge:
    """The badge of an answer's verdict."""
    return BADGES[answer.verdict]


def answered(answer: Answer) -> bool:
    """Whether any runs bear on the question."""
    return answer.verdict != "not_comparable"


def answered_first(answers: Sequence[Answer]) -> list[Answer]:
    """The answers in their order, those without evidence last."""
    return sorted(answers, key=lambda answer: not answered(answer))


def answer_limits(answers: Sequence[Answer]) -> list[str]:
    """What limits the answers with evidence, each sentence once; of which where not of all."""
    told = [answer for answer in answers if answered(answer)] or answers
    return said_once([(factor_words(answer.factor), answer.limits) for answer in told])


class IntervalAxis(NamedTuple):
    """A logarithmic axis for intervals in a table's cells; ``low`` and ``high`` are its ends."""

    low: float
    high: float

    def percent(self, value: float) -> float:
        """Where a value is on the axis, from 0 to 100; what lies beyond an end is at it."""
        value = min(max(value, self.low), self.high)
        return round(100 * math.log(value / self.low) / math.log(self.high / self.low), 1)


def interval_axis(
    shown: Iterable[tuple[float, tuple[float, float] | None]], *marks: float
) -> IntervalAxis | None:
    """The axis of estimates and their intervals; None where they have no logarithm or one value.

    Args:
        shown: Estimates with their intervals.
        marks: Other values that are on it.
    """
    pairs = list(shown)
    means = [*(mean for mean, _ in pairs), *marks]
    if not means or not all(math.isfinite(mean) and mean > 0 for mean in means):
        return None
    ends = [*means, *(end for _, interval in pairs for end in interval or ())]
    low = max(min(ends), min(means) / WIDEST)
    high = min(max(ends), max(means) * WIDEST)
    return IntervalAxis(low, high) if low < high else None


def loss_axis(estimates: Iterable[LevelEstimate]) -> IntervalAxis | None:
    """The axis of the losses at the levels of one effect."""
    return interval_axis((item.loss, item.interval) for item in estimates)


def ratio_axis(answers: Iterable[Answer]) -> IntervalAxis | None:
    """The axis of all ratios that are shown; 1, no difference, is on it."""
    effects = [effect for answer in answers for effect in answer.effects[:MOST_CLASSES]]
    shown = [item for effect in effects for item in (effect, *effect.at)]
    ratios = [(item.ratio, item.interval) for item in shown if item.ratio is not None]
    return interval_axis(ratios, 1.0) if ratios else None


def ratio_text(item: Effect | SimpleEffect) -> str:
    """The ratio of the losses with its interval; '' where nothing can be estimated.

    Examples:
        >>> print(ratio_text(SimpleEffect(8, 0.8123, (0.75, 0.88), 0.01))[1:])
        0.812 (0.75 to 0.88)
    """
    if item.ratio is None:
        return ""
    interval = f" ({' to '.join(map(_digits, item.interval))})" if item.interval else ""
    return f"{TIMES}{_digits(item.ratio)}{interval}"


def p_text(p: float | None) -> str:
    """A p-value to two digits; '' where there is none.

    Examples:
        >>> p_text(0.03456), p_text(0.00001), p_text(None)
        ('0.035', '< 0.001', '')
    """
    if p is None:
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def compared_values(effect: Effect) -> tuple[str, str]:
    """The two values whose losses are held against each other; '' where there is no such pair."""
    low, high = effect.low, effect.high
    if effect.pair is not None and low is None:
        low, high = effect.pair.changes[0].low, effect.pair.changes[0].high
    return ("", "") if low is None else (value_words(low), value_words(high))


def spread_text(effect: Effect) -> str:
    """The run-to-run spread and its source, or how small it would have to be."""
    if effect.spread.percent is not None:
        return f"{percent_words(effect.spread.percent)} %, {effect.spread.source}"
    if effect.needed is None:
        return "not known"
    needed = percent_words(100 * math.expm1(effect.needed))
    return f"not known; the difference would count below {needed} %"


def shown_levels(effect: Effect) -> tuple[LevelEstimate, ...]:
    """The levels that are drawn, the lowest and the highest value among them."""
    levels, last = effect.levels, len(effect.levels) - 1
    if last < MOST_LEVELS:
        return levels
    places = {round(last * place / (MOST_LEVELS - 1)) for place in range(MOST_LEVELS)}
    return tuple(levels[place] for place in sorted(places))


def confounder_words(effect: Effect) -> str:
    """What changed with the factor, with the values in the nearest pair where there is one."""
    pair = effect.pair
    changes = [item for item in pair.changes if item.factor in pair.confounders] if pair else []
    words = [
        f"{factor_words(item.factor)} {value_words(item.low)} → {value_words(item.high)}"
        for item in changes
    ]
    return "; ".join(words or map(factor_words, effect.confounders))


class ResidualPoint(NamedTuple):
    """A run, or equal runs, in the plot of residuals; places in percent of its width and height.

    ``percent`` is how far the loss is above the ``fitted`` one.
    """

    x: float
    y: float
    name: str
    fitted: float
    percent: float


class Residuals(NamedTuple):
    """What the additive model of a class leaves over, against the fitted loss.

    ``low`` and ``high`` are the ends of the logarithmic axis of fitted losses, ``widest`` is the
    largest residual in percent.
    """

    points: tuple[ResidualPoint, ...]
    low: float
    high: float
    widest: float


def residuals(of_class: ComparabilityClass) -> Residuals | None:
    """The residuals of a class; None where its model leaves nothing over."""
    factors = [name for name in factors_of_members(of_class.members) if name != "seed"]
    if not factors:
        return None
    question = QuestionModel(ClassModel(of_class.members, factors, Spread()), factors[0])
    if not question.varies or question.additive.residual_degrees < 1:
        return None
    fitted = [math.exp(value) for value in question.additive.fitted]
    left = [100 * math.expm1(value) for value in question.additive.residuals]
    low, high, widest = min(fitted), max(fitted), max(map(abs, left))
    if not widest > 0:
        return None
    axis = IntervalAxis(low, high) if low < high else None
    points = [
        ResidualPoint(
            x=axis.percent(value) if axis else 50.0,
            y=round(50 - 50 * percent / widest, 1),
            name=label(question.of_class.members[cell].first),
            fitted=value,
            percent=percent,
        )
        for value, percent, cell in zip(fitted, left, question.cells, strict=True)
    ]
    return Residuals(tuple(points), low, high, widest)


def _digits(value: float) -> str:
    return f"{value:.3g}"
