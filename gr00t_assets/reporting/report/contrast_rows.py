"""Contrasts grouped by the question they answer, put into cells."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gr00t_assets.comparison.answers.words import label
from gr00t_assets.comparison.contrasts.contrast import Change, Contrast
from gr00t_assets.comparison.contrasts.observation import Observation
from gr00t_assets.comparison.formatting import shown, shown_setting
from gr00t_assets.reporting.report.verdicts import MARKS, Mark, mark

if TYPE_CHECKING:
    from gr00t_assets.comparison.answers.answer import Answer


SHOWN = 6
"""Contrasts of one question that the page shows at once."""

FOLDED = 10
"""More of them behind a fold; the rest is counted."""


@dataclass(frozen=True)
class ContrastRow:
    """One contrast.

    Attributes:
        low: Name and value of the reference.
        high: Name and value of the other.
        effect: Difference of the losses with its interval, in words; '' where it means nothing.
        span: Low end, effect and high end of the interval in percent of an axis on which zero is
            at ``zero``; None without an interval.
        also: What else changed and does not confound.
        basis: Where in the runs the losses are taken, where that is not the end.
    """

    mark: Mark
    low: tuple[str, str]
    high: tuple[str, str]
    effect: str
    ratio: str
    span: tuple[float, float, float] | None
    zero: float
    also: tuple[str, ...]
    reason: str
    basis: str


@dataclass(frozen=True)
class Question:
    """The contrasts of one question, those that the answer rests on first.

    Attributes:
        counts: How many there are of each verdict.
        folded: More contrasts, behind a fold.
        more: How many are not shown.
    """

    factor: str
    question: str
    sentence: str
    mark: Mark
    limits: tuple[str, ...]
    rows: tuple[ContrastRow, ...]
    folded: tuple[ContrastRow, ...]
    counts: tuple[tuple[Mark, int], ...]
    more: int


def questions(
    answers: "Sequence[Answer]", contrasts: Mapping[str, Sequence[Contrast]]
) -> list[Question]:
    """One for each answer, in their order; :func:`shared_limits` has what limits them all."""
    shared = set(shared_limits(answers))
    return [_question(each, contrasts.get(each.factor, ()), shared) for each in answers]


def answer_mark(answer: "Answer") -> Mark:
    """The mark of its verdict; that of nothing to compare where it has no evidence."""
    return mark(answer.verdict if answer.evidence else None)


def shared_limits(answers: "Sequence[Answer]") -> list[str]:
    """What limits every one of several answers, so that it is said once."""
    if len(answers) < 2:
        return []
    first, *others = answers
    return [limit for limit in first.limits if all(limit in each.limits for each in others)]


def _question(answer: "Answer", contrasts: Sequence[Contrast], shared: Collection[str]) -> Question:
    held = {id(each) for each in answer.evidence}
    order = {verdict: place for place, verdict in enumerate(MARKS)}
    rest = sorted(
        (each for each in contrasts if id(each) not in held),
        key=lambda each: (
            order[each.verdict],
            len(each.confounders),
            -abs(each.effect or 0.0),
            each.runs,
        ),
    )
    ordered = [*answer.evidence, *rest][: SHOWN + FOLDED]
    spans, zero = _spans(ordered)
    rows = [_row(each, span, zero) for each, span in zip(ordered, spans, strict=True)]
    shown_now = SHOWN if answer.evidence else 0
    counts = Counter(each.verdict for each in contrasts)
    return Question(
        factor=answer.factor,
        question=answer.question,
        sentence=answer.sentence,
        mark=answer_mark(answer),
        limits=tuple(limit for limit in answer.limits if limit not in shared),
        rows=tuple(rows[:shown_now]),
        folded=tuple(rows[shown_now:]),
        counts=tuple((each, counts[name]) for name, each in MARKS.items() if counts[name]),
        more=max(0, len(contrasts) - len(ordered)),
    )


def _row(contrast: Contrast, span: tuple[float, float, float] | None, zero: float) -> ContrastRow:
    asked = next((each for each in contrast.changes if each.factor == contrast.factor), None)
    return ContrastRow(
        mark=mark(contrast.verdict),
        low=(side_name(contrast.low), value_words(asked.low, asked.factor) if asked else ""),
        high=(side_name(contrast.high), value_words(asked.high, asked.factor) if asked else ""),
        effect=effect_words(contrast),
        ratio=f"\N{MULTIPLICATION SIGN}{contrast.ratio:.2f}" if contrast.ratio is not None else "",
        span=span,
        zero=zero,
        also=tuple(
            change_words(each)
            for each in contrast.changes
            if each is not asked and (each.implied or not each.material)
        ),
        reason=contrast.reason,
        basis="" if contrast.basis == "end" else contrast.basis,
    )


def side_name(runs: Sequence[Observation]) -> str:
    """The name of one side; of replicates the first, and how many there are."""
    if not runs:
        return ""
    name = label(runs[0])
    return name if len(runs) == 1 else f"{name} ({len(runs)} runs)"


def value_words(value: object, factor: str) -> str:
    """A changed factor's value as one reads it."""
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(map(str, value)) or "none"
    return shown(value, factor) if isinstance(value, int | float) else shown_setting(value)


def change_words(change: Change) -> str:
    """One change in words, marked where it follows from the factor or cannot matter."""
    factor = change.factor.replace("_", " ")
    low, high = (value_words(each, change.factor) for each in (change.low, change.high))
    text = f"{factor} {low} → {high}"
    if change.implied:
        return f"{text} (follows)"
    return text if change.material else f"{text} (immaterial)"


def effect_words(contrast: Contrast) -> str:
    """The difference of the losses with its interval; '' where it means nothing.

    Example:
        >>> print(effect_words(Contrast("seed", (), (), (), 0.0206, (0.0113, 0.0297), 1.4,
        ...                             "controlled", "")))
        +0.021 (+0.011 to +0.030)
    """
    if contrast.effect is None:
        return ""
    text = _signed(contrast.effect)
    if contrast.interval is None:
        return text
    low, high = contrast.interval
    return f"{text} ({_signed(low)} to {_signed(high)})"


def _signed(value: float) -> str:
    digits = f"{abs(value):#.2g}".rstrip(".")
    return ("\N{MINUS SIGN}" if value < 0 else "+") + digits


def _spans(rows: Sequence[Contrast]) -> tuple[list[tuple[float, float, float] | None], float]:
    """Where to draw each interval on one axis that holds zero, in percent, and where zero is."""
    found = [
        (each.interval[0], each.effect, each.interval[1])
        for each in rows
        if each.interval is not None and each.effect is not None
    ]
    low = min((0.0, *(span[0] for span in found)))
    high = max((0.0, *(span[2] for span in found)))
    if not low < high:
        return [None] * len(rows), 50.0

    def place(value: float) -> float:
        return round(100 * (value - low) / (high - low), 1)

    spans = [
        (place(each.interval[0]), place(each.effect), place(each.interval[1]))
        if each.interval is not None and each.effect is not None
        else None
        for each in rows
    ]
    return spans, place(0.0)
