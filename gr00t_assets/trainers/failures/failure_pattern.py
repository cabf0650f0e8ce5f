"""A failure that is recognised by the text it prints: patterns are data, in files of YAML."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from re import MULTILINE, Pattern
from re import compile as compile_pattern

import yaml
from pydantic import Field

from gr00t_assets.core.files import FrozenModel

Groups = dict[str, str]
"""Text by name of the named groups of a pattern; empty for a group that did not match."""

RESUMES = "materialise it again: it resumes from its last complete checkpoint"
"""What to do after a failure that another attempt may not meet."""


@dataclass(frozen=True)
class Explanation:
    """What happened in a sentence, and what it means and asks for."""

    problem: str
    details: tuple[str, ...] = ()


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
        return Explanation(self.problem.format(**names), tuple(filter(None, lines)))


@cache
def load_patterns(file: Path) -> tuple[FailurePattern, ...]:
    """The patterns of a file, in the order in which they are tried."""
    return tuple(FailurePattern.model_validate(item) for item in yaml.safe_load(file.read_text()))
