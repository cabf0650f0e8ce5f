"""The measures of a dataset's quality by name, and how one of them is said in words."""

from collections.abc import Sequence
from dataclasses import dataclass

LENGTHS = "episode lengths"
IDLE_START = "idle start"
IDLE_END = "idle end"
COPIES = "action equal to state"
OUTSIDE = "outside q01 to q99"
STRETCHED = "range and q01 to q99"
JUMPS = "jumps"
LANGUAGE = "instructions"
EXPOSURE = "brightness"
FLICKER = "flicker"
FROZEN = "frozen video"
FREEZES = "camera freezes"
BLACK = "black frames"
STUCK = "stuck joints"
LIMITS = "values at their limit"
LAG = "action to state lag"
JERK = "jerk"
REPEATS = "repeated episodes"
SCORES = "score of the episodes"

_NAMED = 5


@dataclass(frozen=True)
class Measure:
    """A row of the table.

    Attributes:
        name: One of the names above.
        subject: Column or camera, where there are several.
        figure: What was measured.
        warnings: For each threshold that is passed, what was found and what it does to a policy.
    """

    name: str
    subject: str
    figure: str
    warnings: tuple[str, ...]


def measure(name: str, subject: str, figure: str, *warnings: tuple[object, str]) -> Measure:
    """A measure with those of its warnings whose condition holds."""
    return Measure(name, subject, figure, tuple(text for is_past, text in warnings if is_past))


def named(items: Sequence[object]) -> str:
    """The first few of them, and how many there are besides."""
    shown = ", ".join(str(item) for item in items[:_NAMED])
    others = len(items) - _NAMED
    return f"{shown} and {others} more" if others > 0 else shown


def named_episodes(indices: Sequence[int]) -> str:
    """The same, of episodes."""
    return f"{'episode' if len(indices) == 1 else 'episodes'} {named(indices)}"
