"""Verdicts with their symbols, and the contrasts of one question in the order of the page."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gr00t_assets.comparison.answers.answers import Answer
from gr00t_assets.comparison.contrasts.contrast import Contrast, Verdict
from gr00t_assets.comparison.wording import factor_words, said_once, value_words

SHOWN = 6
"""Contrasts of one question that the page shows at once."""

FOLDED = 10
"""More of them behind a fold; the others are counted."""


class VerdictBadge(NamedTuple):
    """How a verdict is shown: by a symbol and a word, so that colour says nothing alone."""

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


def answer_limits(answers: Sequence[Answer]) -> list[str]:
    """What limits the answers with evidence, each sentence once; of which where not of all."""
    told = [answer for answer in answers if answer.evidence] or answers
    return said_once([(factor_words(answer.factor), answer.limits) for answer in told])


@dataclass(frozen=True)
class ContrastTable:
    """The contrasts of one question, those that its answer rests on first.

    Some are shown at once, more are behind a fold, and the number of the others is ``hidden``;
    ``counts`` has how many there are of each verdict.
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
    asked = contrast.changes[0]
    if asked.factor != contrast.factor:
        return ""
    return value_words(asked.high if high else asked.low)


def other_changes(contrast: Contrast) -> list[str]:
    """What else changed and does not confound: it follows from the factor, or cannot matter."""
    return [
        f"{factor_words(change.factor)} {value_words(change.low)} → {value_words(change.high)} "
        f"({'follows' if change.implied else 'immaterial'})"
        for change in contrast.changes
        if change.factor != contrast.factor and (change.implied or not change.material)
    ]


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


def _signed(value: float) -> str:
    digits = f"{abs(value):#.2g}".rstrip(".")
    return ("\N{MINUS SIGN}" if value < 0 else "+") + digits
