"""Verdicts with their symbols, and the contrasts of one question in the order of the page."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gr00t_assets.comparison.answers.answers import Answer
from gr00t_assets.comparison.contrasts.contrast import Contrast, Verdict
from gr00t_assets.comparison.run import Change
from gr00t_assets.comparison.wording import factor_words, shown
from gr00t_assets.core.units import shown_setting

SHOWN = 6
"""Contrasts of one question that the page shows at once."""

FOLDED = 10
"""More of them behind a fold; the others are counted."""


class VerdictBadge(NamedTuple):
    """How a verdict is shown: by a symbol and a word, so that colour says nothing alone.

    Attributes:
        symbol: One character, different for each verdict.
        word: The verdict in words.
        meaning: What it says of the factor, for a legend.
    """

    verdict: str
    symbol: str
    word: str
    meaning: str

    @property
    def text(self) -> str:
        """Symbol and word."""
        return f"{self.symbol} {self.word}"


_BADGES: tuple[tuple[Verdict, str, str, str], ...] = (
    ("controlled", "✓", "controlled", "one factor changed, and the difference is not noise"),
    ("within_noise", "≈", "within noise", "one factor changed; noise covers the difference"),
    ("inconclusive", "?", "inconclusive",
     "one factor changed; repeats are needed to tell it from the spread between runs"),
    ("confounded", "⇄", "confounded", "more than the factor changed"),
    ("not_comparable", "≠", "not comparable", "losses of two kinds, never set side by side"),
)  # fmt: skip
BADGES = {verdict: VerdictBadge(verdict, *shown_as) for verdict, *shown_as in _BADGES}
"""Every verdict's badge, the most telling verdict first."""

NO_EVIDENCE = VerdictBadge(
    "none", "\N{EN DASH}", "nothing to compare", "no two finished runs answer it"
)


def answer_badge(answer: Answer) -> VerdictBadge:
    """The badge of an answer's verdict; that of nothing to compare where it has no evidence."""
    return BADGES[answer.verdict] if answer.evidence else NO_EVIDENCE


def shared_limits(answers: Sequence[Answer]) -> list[str]:
    """What limits every one of several answers, so that it is said once."""
    if len(answers) < 2:
        return []
    return [
        limit for limit in answers[0].limits if all(limit in answer.limits for answer in answers)
    ]


def answered_first(answers: Sequence[Answer]) -> list[Answer]:
    """The answers with evidence, then those without."""
    return sorted(answers, key=lambda answer: not answer.evidence)


@dataclass(frozen=True)
class ContrastTable:
    """The contrasts of one question, those that its answer rests on first.

    Attributes:
        shown: Contrasts that are shown at once.
        folded: More contrasts, behind a fold.
        hidden: How many are not on the page.
        counts: How many there are of each verdict.
    """

    shown: tuple[Contrast, ...]
    folded: tuple[Contrast, ...]
    hidden: int
    counts: tuple[tuple[VerdictBadge, int], ...]

    @property
    def intervals(self) -> list[tuple[float, float]]:
        """The intervals of everything on the page."""
        contrasts = (*self.shown, *self.folded)
        return [contrast.interval for contrast in contrasts if contrast.interval is not None]


def contrast_table(answer: Answer, contrasts: Sequence[Contrast]) -> ContrastTable:
    """The table of one answer, of all contrasts of its factor.

    The answer's evidence comes first; without any, every contrast is behind the fold.
    """
    evidence = {id(contrast) for contrast in answer.evidence}
    others = [contrast for contrast in contrasts if id(contrast) not in evidence]
    on_page = [*answer.evidence, *sorted(others, key=telling_order)][: SHOWN + FOLDED]
    at_once = SHOWN if answer.evidence else 0
    counts = Counter(contrast.verdict for contrast in contrasts)
    return ContrastTable(
        shown=tuple(on_page[:at_once]),
        folded=tuple(on_page[at_once:]),
        hidden=max(0, len(contrasts) - len(on_page)),
        counts=tuple((badge, counts[name]) for name, badge in BADGES.items() if counts[name]),
    )


def telling_order(contrast: Contrast) -> tuple[int, int, float, tuple[str, ...]]:
    """Sort key: the strongest verdict first, then few confounders, then a large effect."""
    return (
        list(BADGES).index(contrast.verdict),
        len(contrast.confounders),
        -abs(contrast.effect or 0.0),
        contrast.runs,
    )


def side_value(contrast: Contrast, high: bool) -> str:
    """The asked factor's value on one side of a contrast; '' where it did not change."""
    asked = _asked_change(contrast)
    return value_text(asked.high if high else asked.low, asked.factor) if asked else ""


def other_changes(contrast: Contrast) -> list[str]:
    """What else changed and does not confound: it follows from the factor, or cannot matter."""
    asked = _asked_change(contrast)
    return [
        change_text(change)
        for change in contrast.changes
        if change is not asked and (change.implied or not change.material)
    ]


def value_text(value: object, factor: str) -> str:
    """A changed factor's value as one reads it."""
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(map(str, value)) or "none"
    return shown(value, factor) if isinstance(value, int | float) else shown_setting(value)


def change_text(change: Change) -> str:
    """One change in words, marked where it follows from the factor or cannot matter."""
    low, high = (value_text(value, change.factor) for value in (change.low, change.high))
    mark = " (follows)" if change.implied else "" if change.material else " (immaterial)"
    return f"{factor_words(change.factor)} {low} → {high}{mark}"


def effect_text(contrast: Contrast) -> str:
    """The difference of the losses with its interval; '' where it means nothing.

    Examples:
        >>> print(effect_text(Contrast("seed", (), (), (), 0.0206, (0.0113, 0.0297), 1.4,
        ...                            "controlled", "")))
        +0.021 (+0.011 to +0.030)
    """
    if contrast.effect is None:
        return ""
    interval = f" ({' to '.join(map(_signed, contrast.interval))})" if contrast.interval else ""
    return _signed(contrast.effect) + interval


def _asked_change(contrast: Contrast) -> Change | None:
    return next((change for change in contrast.changes if change.factor == contrast.factor), None)


def _signed(value: float) -> str:
    digits = f"{abs(value):#.2g}".rstrip(".")
    return ("\N{MINUS SIGN}" if value < 0 else "+") + digits
