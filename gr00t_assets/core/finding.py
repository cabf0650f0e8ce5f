"""What a check found, of a dataset, an environment, a YAML file or an experiment."""

import reprlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, TypeAdapter

from gr00t_assets.core.files import FrozenModel
from gr00t_assets.core.text import counted, printable

MAX_PER_CODE = 8
"""Findings of one code and severity that are listed; a last one counts the others."""

MAX_CHARACTERS = 400
"""Characters of a finding's texts, which may come from a file that somebody else wrote."""

Severity = Literal["error", "warning", "ok"]

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 80
_REPR.maxlevel = 3


class Finding(FrozenModel):
    """One thing that was looked at and is wrong, odd, or as it should be."""

    severity: Severity = Field(description="An error keeps a training from being started")
    code: str = Field(description="Name of what was looked at, in kebab case: row-count")
    subject: str | None = Field(description="A file, a field, a part; none where it is the whole")
    found: str
    expected: str = ""
    remedy: str = Field(default="", description="The one thing to do; empty where nothing is")
    location: tuple[str | int, ...] = Field(default=(), exclude=True, description="In a YAML file")

    @property
    def text(self) -> str:
        """What was found, what was expected and what to do, in one line.

        Examples:
            >>> Finding(severity="error", code="config-key", subject="meta/modality.json",
            ...         found="no camera 'front'", remedy="name one").text
            "no camera 'front'; name one"
        """
        expected = f"expected {self.expected}" if self.expected else ""
        return "; ".join(part for part in (self.found, expected, self.remedy) if part)


class Findings(tuple[Finding, ...]):
    """What a check found, in the order in which it is shown.

    The counts of errors and warnings include those that are not listed, where they are given.
    """

    error_count: int
    warning_count: int

    def __new__(
        cls,
        items: Iterable[Finding] = (),
        error_count: int | None = None,
        warning_count: int | None = None,
    ) -> "Findings":
        """See the class."""
        self = super().__new__(cls, items)
        self.error_count = len(self.errors) if error_count is None else error_count
        self.warning_count = len(self.warnings) if warning_count is None else warning_count
        return self

    @property
    def errors(self) -> list[Finding]:
        """Those that keep a training from being started."""
        return [item for item in self if item.severity == "error"]

    @property
    def warnings(self) -> list[Finding]:
        """What is odd and yet usable."""
        return [item for item in self if item.severity == "warning"]

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return self.error_count == 0

    def summary(self) -> str:
        """The counts in words.

        Examples:
            >>> Findings().summary()
            'no errors, no warnings'
        """
        counts = ((self.error_count, "error"), (self.warning_count, "warning"))
        return ", ".join(counted(count, noun) if count else f"no {noun}s" for count, noun in counts)

    def to_json(self) -> dict[str, Any]:
        """Counts, and the findings as objects."""
        return {
            "ok": self.ok,
            "errors": self.error_count,
            "warnings": self.warning_count,
            "findings": [item.model_dump() for item in self],
        }


class Fault(FrozenModel):
    """What a catalogue says of one fault; a ``{name}`` in a text is filled in by the check."""

    code: str = Field(default="", description="Of its findings; the fault's name where left out")
    severity: Severity
    expected: str
    remedy: str


class UnknownFaultError(KeyError):
    """A check reports a fault that its catalogue does not have, which is a mistake of the check."""


class FaultCatalogue:
    """The faults that some checks report, by name, read from a YAML file when first needed."""

    def __init__(self, file: Path) -> None:
        self.file = file

    @cached_property
    def faults(self) -> dict[str, Fault]:
        """Every fault of the file by its name, each with its code."""
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(self.file.read_bytes())
        faults = TypeAdapter(dict[str, Fault]).validate_python(loader.get_single_data())
        return {
            name: fault.model_copy(update={"code": fault.code or name})
            for name, fault in faults.items()
        }

    def finding(self, name: str, subject: str | None, found: str, /, **texts: object) -> Finding:
        """A finding of a fault, whose texts are filled in.

        Raises:
            UnknownFaultError: There is no such fault, or a ``{name}`` in its texts is not given.
        """
        try:
            fault = self.faults[name]
            return Finding(
                severity=fault.severity,
                code=fault.code,
                subject=subject,
                found=found,
                expected=fault.expected.format(**texts),
                remedy=fault.remedy.format(**texts),
            )
        except KeyError as error:
            raise UnknownFaultError(f"{self.file.name}: {name}: {error}") from error


class Collector:
    """Gathers findings of a catalogue's faults in bounded memory while the checks run.

    They are listed by severity, code and subject; in the order of adding where not ``ordered``.
    """

    def __init__(self, catalogue: FaultCatalogue, *, ordered: bool = True) -> None:
        self._catalogue = catalogue
        self._ordered = ordered
        self._listed: list[Finding] = []
        self._counts: Counter[tuple[Severity, str]] = Counter()

    def report(self, name: str, subject: str | None, found: str, /, **texts: object) -> None:
        """Add a finding of a fault of the catalogue; raises as ``FaultCatalogue.finding``."""
        self.add(self._catalogue.finding(name, subject, found, **texts))

    def ok(self, code: str, subject: str | None, found: str) -> None:
        """Add what is as it should be."""
        self.add(Finding(severity="ok", code=code, subject=subject, found=found))

    def add(self, finding: Finding) -> None:
        """Add a finding, its texts cleaned."""
        key = (finding.severity, finding.code)
        self._counts[key] += 1
        if self._counts[key] <= MAX_PER_CODE:
            texts = finding.model_dump(include={"subject", "found", "expected", "remedy"})
            cleaned = {name: clean(text) for name, text in texts.items() if text}
            self._listed.append(finding.model_copy(update=cleaned))

    def count(self, *codes: str) -> int:
        """How many findings there are of some codes."""
        return sum(count for (_, code), count in self._counts.items() if code in codes)

    @contextmanager
    def guard(self, subject: str | None) -> Iterator[None]:
        """Turn what no check foresaw into ``check-failed`` of the file that was looked at."""
        try:
            yield
        except UnknownFaultError:
            raise
        except Exception as error:
            first_line = next(iter(str(error).splitlines()), "")
            found = f"{type(error).__name__} while it was checked: {first_line}"
            self.report("check-failed", subject, found)

    def findings(self) -> Findings:
        """All so far, with the counts of what is not listed.

        A code with more than ``MAX_PER_CODE`` findings of one severity ends in one that says how
        many more there are, so that a thousand broken episodes give a list that can be read.
        """
        items = list(self._listed)
        counts: Counter[Severity] = Counter()
        for (severity, code), count in self._counts.items():
            counts[severity] += count
            alike = [item for item in items if (item.severity, item.code) == (severity, code)]
            if count > len(alike):
                more = {"subject": None, "found": f"and {count - len(alike)} more like these"}
                items.append(alike[0].model_copy(update=more))
        if self._ordered:
            items.sort(key=_order)
        return Findings(items, counts["error"], counts["warning"])


def clean(text: str) -> str:
    """A text that any terminal and any JSON reader takes: no control characters, not too long.

    Examples:
        >>> clean("a\\x1b[31mb")
        'a\\\\x1b[31mb'
    """
    cut = text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 3] + "..."
    return printable(cut, lines=False)


def short(value: object) -> str:
    """A value as Python writes it, cut where it is long."""
    return _REPR.repr(value)


def _order(item: Finding) -> tuple[str, str, bool, str, str]:
    """Errors first, by code and subject; the count of what is not listed is last of its code."""
    is_count = item.subject is None and item.found.startswith("and ")
    return item.severity, item.code, is_count, item.subject or "", item.found
