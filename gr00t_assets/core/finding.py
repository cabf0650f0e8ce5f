"""What a check of a dataset found: one fault each, with the file and what to do."""

import reprlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from gr00t_assets.core.findings import FindingList

MOST_PER_CODE = 8
"""Findings of one code that are listed; the rest is counted in a last one."""

MOST_CHARACTERS = 400

Severity = Literal["error", "warning"]

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 80
_REPR.maxlevel = 3


class Finding(BaseModel):
    """One thing that is wrong or odd."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    severity: Severity = Field(description="An error keeps the dataset from being trained on")
    code: str = Field(description="Name of the fault, in kebab case: row-count")
    file: str | None = Field(description="Path inside the dataset; none where it is no file's")
    found: str
    expected: str
    remedy: str = Field(description="The one thing to do")


class Findings(FindingList[Finding]):
    """All that was found: errors first, by code and file.

    A code with more than ``MOST_PER_CODE`` findings of one severity ends in one whose ``found``
    says how many more there are, so that a thousand broken episodes give a list that can be read.
    """


class Collector:
    """Gathers findings in bounded memory while the checks run."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Severity, str], list[Finding]] = {}
        self._counts: dict[tuple[Severity, str], int] = {}

    def error(self, code: str, file: str | None, found: str, expected: str, remedy: str) -> None:
        """Add what keeps the dataset from being trained on."""
        self._add("error", code, file, found, expected, remedy)

    def warn(self, code: str, file: str | None, found: str, expected: str, remedy: str) -> None:
        """Add what is odd and yet usable."""
        self._add("warning", code, file, found, expected, remedy)

    def has(self, code: str) -> bool:
        """Whether there is a finding of this code."""
        return any(known == code for _, known in self._counts)

    def count(self, *codes: str) -> int:
        """How many findings there are of some codes."""
        return sum(count for (_, code), count in self._counts.items() if code in codes)

    @contextmanager
    def guard(self, file: str | None) -> Iterator[None]:
        """Turn what no check foresaw into a finding of the file that was being looked at."""
        try:
            yield
        except Exception as error:
            self.error(
                "check-failed",
                file,
                f"{type(error).__name__} while it was checked: {_first_line(error)}",
                "a file that can be read as LeRobot's format describes it",
                "look at the file: it is damaged in a way that has no name yet",
            )

    def findings(self) -> Findings:
        """All so far, in order, with the counts of what is not listed."""
        items: list[Finding] = []
        for severity, code in sorted(self._kept):
            kept = self._kept[severity, code]
            items += sorted(kept, key=lambda item: (item.file or "", item.found))
            rest = self._counts[severity, code] - len(kept)
            if rest:
                more = {"file": None, "found": f"and {rest} more like these"}
                items.append(kept[0].model_copy(update=more))
        counts = {"error": 0, "warning": 0}
        for (severity, _), count in self._counts.items():
            counts[severity] += count
        return Findings(items, counts["error"], counts["warning"])

    def _add(self, severity: Severity, code: str, file: str | None, *words: str) -> None:
        key = (severity, code)
        self._counts[key] = self._counts.get(key, 0) + 1
        kept = self._kept.setdefault(key, [])
        if len(kept) >= MOST_PER_CODE:
            return
        found, expected, remedy = (clean(text) for text in words)
        kept.append(
            Finding(
                severity=severity,
                code=code,
                file=None if file is None else clean(file),
                found=found,
                expected=expected,
                remedy=remedy,
            )
        )


def clean(text: str) -> str:
    """A text that any terminal and any JSON reader takes: no control characters, not too long.

    Example:
        >>> clean("a\\x1b[31mb")
        'a\\\\x1b[31mb'
    """
    cut = text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 3] + "..."
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape", "replace").decode("ascii")
        for one in cut
    )


def short(value: object) -> str:
    """A value as Python writes it, cut where it is long."""
    return _REPR.repr(value)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")
