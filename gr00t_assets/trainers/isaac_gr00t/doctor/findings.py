"""What an examination of Isaac-GR00T's environment found, one finding for each thing looked at."""

import json
import sys
from itertools import groupby
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console
from rich.text import Text

from gr00t_assets.core.finding import clean
from gr00t_assets.core.findings import FindingList

Severity = Literal["error", "warning", "ok"]
Part = Literal["checkout", "python", "gpu", "machine", "accounts"]

_STYLES = {"error": "bold red", "warning": "yellow", "ok": "green"}


class Finding(BaseModel):
    """One thing that was looked at."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    severity: Severity = Field(description="An error keeps a training from being started")
    part: Part = Field(description="What it is about")
    code: str = Field(description="Name of what was looked at, in kebab case: flash-attn")
    found: str
    expected: str
    remedy: str = Field(description="The one thing to do; empty where nothing is")


class Findings(FindingList[Finding]):
    """Everything that was looked at, in the order in which it was."""

    def of(self, code: str) -> Finding | None:
        """The first finding of a code."""
        return next((item for item in self if item.code == code), None)

    def lines(self) -> list[str]:
        """Each error in one line with its remedy, as the details of an exception."""
        return [f"{item.code}: {item.found}; {item.remedy}" for item in self.errors]


class Collector:
    """Gathers the findings of one part after another."""

    def __init__(self) -> None:
        self._items: list[Finding] = []
        self.part: Part = "checkout"

    def ok(self, code: str, found: str) -> None:
        """Add what is as it should be."""
        self._add("ok", code, found, "", "")

    def warn(self, code: str, found: str, expected: str, remedy: str) -> None:
        """Add what is odd and yet can be trained with."""
        self._add("warning", code, found, expected, remedy)

    def error(self, code: str, found: str, expected: str, remedy: str) -> None:
        """Add what keeps a training from being started."""
        self._add("error", code, found, expected, remedy)

    def findings(self) -> Findings:
        """All so far."""
        return Findings(self._items)

    def _add(self, severity: Severity, code: str, *words: str) -> None:
        found, expected, remedy = (clean(text) for text in words)
        self._items.append(
            Finding(
                severity=severity,
                part=self.part,
                code=code,
                found=found,
                expected=expected,
                remedy=remedy,
            )
        )


def print_findings(findings: Findings, title: str, out: Console | None = None) -> None:
    """Print the findings by part: what was found, and where it is not right what to do.

    Args:
        findings: As ``doctor.examine`` gives them.
        title: What the summary calls the environment.
        out: Where to print; the standard output where left out.
    """
    out = out or Console(highlight=False)
    for part, group in groupby(findings, lambda item: item.part):
        out.print(Text(part, style="bold"))
        for item in group:
            mark = Text(f"  {item.severity:<8}", style=_STYLES[item.severity])
            out.print(Text.assemble(mark, (f"{item.code}  ", "bold"), item.found), soft_wrap=True)
            for name, text in (("expected", item.expected), ("do", item.remedy)):
                if text:
                    out.print(
                        Text.assemble(f"{'':10}", (f"{name:<10}", "dim"), text), soft_wrap=True
                    )
    out.print()
    style = "green" if findings.ok else "bold red"
    out.print(Text(f"{title}: {findings.summary()}", style=style), soft_wrap=True)


def write_findings(findings: Findings, title: str, as_json: bool) -> int:
    """Print the findings, for people or as JSON.

    Returns:
        Exit code: 1 where there is an error, else 0.
    """
    if as_json:
        content = {"environment": title, **findings.to_json()}
        sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    else:
        print_findings(findings, title)
    return 0 if findings.ok else 1
