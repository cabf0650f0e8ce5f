"""Effects as the page draws them: badges of verdicts, intervals on an axis, residuals."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gr00t_assets.comparison.answers.answers import Answer
from gr00t_assets.comparison.statistics.effects import Effect, LevelEstimate, SimpleEffect, Verdict
from gr00t_assets.comparison.statistics.questions import additive_question
from gr00t_assets.comparison.statistics.ranking import ComparabilityClass
from gr00t_assets.comparison.wording import factor_words, label, percent_words, said_once
from gr00t_assets.datasets.videos import spread_positions

MOST_LEVELS = 12  # Values of a factor that are drawn, evenly apart in their order
MOST_CLASSES = 6  # Of one question on the page; ``gr00t-assets compare --json`` has them all
WIDEST = 30.0  # Times beyond the outermost estimates at which an axis ends at the latest


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


_BADGES: dict[Verdict, tuple[str, str, str]] = {
    "controlled": ("✓", "controlled", "all else equal, and the difference is not noise"),
    "within_noise": ("≈", "within noise", "all else equal; noise covers the difference"),
    "inconclusive": ("?", "inconclusive",
                     "repeats are needed to tell the difference from the spread between runs"),
    "confounded": ("⇄", "confounded", "more than the factor changed"),
    "not_comparable": ("\N{EN DASH}", "nothing to compare", "no two finished runs answer it"),
}  # fmt: skip
BADGES = {verdict: VerdictBadge(verdict, *shown) for verdict, shown in _BADGES.items()}
"""Every verdict's badge, the most telling verdict first."""


def answered(answer: Answer) -> bool:
    """Whether any runs bear on the question."""
    return answer.verdict != "not_comparable"


def answered_first(answers: Sequence[Answer]) -> list[Answer]:
    """The answers in their order, those without evidence last."""
    return sorted(answers, key=lambda answer: not answered(answer))


def answer_limits(answers: Sequence[Answer]) -> list[str]:
    """What limits the answers with evidence, each sentence once; of which where not of all."""
    settled = [answer for answer in answers if answered(answer)] or answers
    return said_once([(factor_words(answer.factor), answer.limits) for answer in settled])


class IntervalAxis(NamedTuple):
    """A logarithmic, or even, axis for intervals in a table's cells, between two ends."""

    low: float
    high: float
    is_logarithmic: bool = True

    def percent(self, value: float) -> float:
        """Where a value is on the axis, from 0 to 100; what lies beyond an end is at it."""
        value = min(max(value, self.low), self.high)
        if not self.is_logarithmic:
            return round(100 * (value - self.low) / (self.high - self.low), 1)
        return round(100 * math.log(value / self.low) / math.log(self.high / self.low), 1)


def interval_axis(
    shown: Iterable[tuple[float, tuple[float, float] | None]], *marks: float
) -> IntervalAxis | None:
    """The axis of estimates, their intervals and marks; None without a logarithm or a width."""
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
    interval = " ({:.3g} to {:.3g})".format(*item.interval) if item.interval else ""
    return f"\N{MULTIPLICATION SIGN}{item.ratio:.3g}{interval}"


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
    places = spread_positions(len(effect.levels), MOST_LEVELS)
    return tuple(effect.levels[place] for place in places)


class Residual(NamedTuple):
    """By how much the loss of a run, or of equal runs, is above the fitted one."""

    name: str
    fitted: float
    percent: float


def residuals(of_class: ComparabilityClass) -> list[Residual]:
    """What the additive model of a class leaves over; empty where that is nothing."""
    question = additive_question(of_class.members)
    model = question.additive if question else None
    if question is None or model is None or model.residual_degrees < 1 or not any(model.residuals):
        return []
    names = [label(of_class.members[cell].first) for cell in question.cells]
    return [
        Residual(name, math.exp(loss), 100 * math.expm1(left))
        for name, loss, left in zip(names, model.fitted, model.residuals, strict=True)
    ]
