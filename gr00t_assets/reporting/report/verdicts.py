"""How a verdict is shown: by a symbol and a word, so that colour says nothing alone."""

from dataclasses import dataclass

from gr00t_assets.comparison.contrasts.contrast import Verdict


@dataclass(frozen=True)
class Mark:
    """A verdict as it is written on a page and in Markdown.

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


MARKS: dict[Verdict, Mark] = {
    mark.verdict: mark  # type: ignore[misc]
    for mark in (
        Mark(
            "controlled", "✓", "controlled", "one factor changed, and the difference is not noise"
        ),
        Mark(
            "within_noise", "≈", "within noise", "one factor changed; noise covers the difference"
        ),
        Mark(
            "inconclusive",
            "?",
            "inconclusive",
            "one factor changed; repeats are needed to tell it from the spread between runs",
        ),
        Mark("confounded", "⇄", "confounded", "more than the factor changed"),
        Mark(
            "not_comparable", "≠", "not comparable", "losses of two kinds, never set side by side"
        ),
    )
}
"""Every verdict's mark, the most telling first."""

UNKNOWN = Mark("none", "\N{EN DASH}", "nothing to compare", "no two finished runs answer it")


def mark(verdict: str | None) -> Mark:
    """The mark of a verdict; that of no answer where there is none.

    Example:
        >>> mark("controlled").text
        '✓ controlled'
    """
    return next((each for name, each in MARKS.items() if name == verdict), UNKNOWN)
