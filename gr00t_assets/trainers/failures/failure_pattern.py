"""A failure that is recognised by the text it prints: patterns are data, in files of YAML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from re import MULTILINE, Pattern
from re import compile as compile_pattern

import yaml
from pydantic import Field

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.files import FrozenModel
from gr00t_assets.trainers.failures.log_tail import redacted

Groups = dict[str, str]
"""Text by name of the named groups of a pattern; empty for a group that did not match."""

RESUMES = "materialise it again: it resumes from its last complete checkpoint"
"""What to do after a failure that another attempt may not meet."""


MAX_TAIL_LINES = 12
"""Lines of the log that stand below a message; more of them are on the page."""

_MAX_CHARACTERS = 400
"""Characters of a line that are shown in a message."""


@dataclass(frozen=True)
class Explanation:
    """Why a trainer ended.

    Attributes:
        problem: One sentence that says what happened.
        details: What it means and what to do.
        name: The failure pattern; ``signal``, ``exception`` or ``silent`` where none matched.
        tail: The log's last lines, without secrets.
    """

    problem: str
    details: Sequence[str] = ()
    name: str = ""
    tail: Sequence[str] = ()

    def error(self, subject: str, log: str | None = None) -> TrainingError:
        """The error to raise: the message, where the whole log is, and its last lines.

        Args:
            subject: Name of the experiment.
            log: Path of the log; without it the last lines are left out as well.
        """
        below = []
        if log:
            last = [f"| {cut(line)}" for line in self.tail[-MAX_TAIL_LINES:]]
            below = [f"log: {log}", *(["its last lines:", *last] if last else [])]
        shown = [redacted(line) for line in self.details if line.strip()]
        return TrainingError(subject, redacted(self.problem), [*shown, *below])


def cut(line: str) -> str:
    """A line as long as a message shows it."""
    return line if len(line) <= _MAX_CHARACTERS else f"{line[:_MAX_CHARACTERS]} ..."


class FailurePattern(FrozenModel):
    """A failure that is recognised by its text.

    ``problem`` and ``details`` may name the groups of the texts, and what
    ``gr00t_assets.trainers.failures.explain.names_of`` gives of the spec.
    """

    name: str = Field(description="In kebab case, unique")
    texts: tuple[str, ...] = Field(
        description="Regular expressions; it is recognised where any of them matches"
    )
    problem: str = Field(default="", description="What happened; empty where code explains it")
    details: tuple[str, ...] = Field(default=(), description="What it means and what to do")
    anywhere: bool = Field(
        default=False, description="Whether the text is printed outside of an exception"
    )
    consequence: bool = Field(
        default=False, description="Whether it follows another failure, which is then reported"
    )

    @cached_property
    def _compiled(self) -> tuple[Pattern[str], ...]:
        return tuple(compile_pattern(text, MULTILINE) for text in self.texts)

    def match(self, text: str) -> Groups | None:
        """The named groups where the text matches; ``None`` where it does not."""
        names = [name for pattern in self._compiled for name in pattern.groupindex]
        for pattern in self._compiled:
            if match := pattern.search(text):
                groups = {name: value or "" for name, value in match.groupdict().items()}
                return dict.fromkeys(names, "") | groups
        return None

    def explanation(self, names: Mapping[str, str]) -> Explanation:
        """Problem and details with the names filled in; a detail of several lines is as many."""
        lines = [
            line.removeprefix("  ")
            for detail in self.details
            for line in detail.format(**names).split("\n")
        ]
        problem = self.problem.format(**names)
        return Explanation(problem, tuple(filter(None, lines)), self.name)


@cache
def load_patterns(file: Path) -> tuple[FailurePattern, ...]:
    """The patterns of a file, in the order in which they are tried."""
    return tuple(
        FailurePattern.model_validate(item)
        for item in yaml.safe_load(file.read_text(encoding="utf-8"))
    )
