"""The sheet of outcomes as people fill it in, and whether they kept to the plan."""

import csv
import io
import math
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from gr00t_assets.core.errors import TrialsError
from gr00t_assets.core.files import FrozenModel, read_limited, write_bytes
from gr00t_assets.core.locks import exclusive_lock
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import from_spreadsheet, spreadsheet_cell
from gr00t_assets.evaluation.trials.plan import TrialPlan, trials_folder

YES = {"yes", "y", "1", "1.0", "true", "t", "success", "succeeded", "ok", "pass", "passed"}
NO = {"no", "n", "0", "0.0", "false", "f", "fail", "failed", "failure"}

_OTHER_NAMES = {
    "order": "trial no nr number #",
    "condition": "cond scene",
    "policy": "letter code",
    "success": "outcome result succeeded",
    "score": "progress",
    "seconds": "time duration",
    "note": "notes comment comments remark",
}
_NAMES = {word: name for name, words in _OTHER_NAMES.items() for word in (name, *words.split())}

_SHOWN = 30
"""Problems that a message lists at most."""


class TrialOutcome(FrozenModel):
    """What came of one trial, as it was done."""

    order: int
    condition: int
    repeat: int
    letter: str
    success: bool
    score: float | None = Field(default=None, description="0 to 1")
    seconds: float | None = None
    note: str = ""


class Outcomes(FrozenModel):
    """The trials that were done, in the order of the plan, and where it was not followed."""

    done: tuple[TrialOutcome, ...]
    deviations: tuple[str, ...] = Field(description="One sentence each")


@dataclass
class _Table:
    header: list[str]
    rows: list[tuple[int, list[str]]]
    delimiter: str

    def column(self, name: str) -> int | None:
        """The place of a column; the first of that meaning."""
        meanings = [_NAMES.get(label.strip().lower()) for label in self.header]
        return meanings.index(name) if name in meanings else None

    def cells(self, row: list[str]) -> dict[str, str]:
        """Cells by name of their column, stripped; empty of a column that is missing."""
        places = {name: self.column(name) for name in _OTHER_NAMES}
        return {
            name: from_spreadsheet(row[place].strip())
            if place is not None and place < len(row)
            else ""
            for name, place in places.items()
        }


def read_outcomes(plan: TrialPlan, path: Path) -> Outcomes:
    """Read a sheet: commas, semicolons or tabs, UTF-8, UTF-16 or what Excel writes; any row order.

    ``success`` is yes or no in any usual word, empty where a trial was not done.

    Raises:
        TrialsError: The file cannot be read, or rows of it; every problem with its line.
    """
    table = _read_table(path)
    problems: list[str] = []
    found: dict[int, TrialOutcome] = {}
    lines: dict[int, int] = {}
    for line, row in table.rows:
        try:
            outcome = _outcome(plan, table.cells(row))
            if outcome is None:
                continue
            if (other := lines.setdefault(outcome.order, line)) != line:
                raise ValueError(f"trial {outcome.order} has its outcome on line {other}")
            found[outcome.order] = outcome
        except ValueError as error:
            problems.append(f"line {line}: {error}")
    if problems:
        more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        problem = f"{len(problems)} of its rows cannot be read."
        raise TrialsError(str(path), problem, [*problems[:_SHOWN], *more])
    in_order = tuple(found[order] for order in sorted(found))
    return Outcomes(done=in_order, deviations=tuple(_deviations(plan, found)))


def write_outcome(plan: TrialPlan, store: Store, order: int, cells: Mapping[str, str]) -> None:
    """Put the outcome of one trial into its row, in one step; all else of the sheet is kept.

    Args:
        cells: ``success``, ``score``, ``seconds`` and ``note``, as in the sheet.

    Raises:
        TrialsError: It cannot be read as an outcome of the plan; the sheet is as it was.
        StoreError: The disk is full.
    """
    path, lock = plan.sheet_path(store), trials_folder(plan.name, store) / ".lock"
    with exclusive_lock(lock, str(path), lambda line: None):
        table = _read_table(path)
        row = next((row for _, row in table.rows if table.cells(row)["order"] == str(order)), None)
        if row is None:
            raise TrialsError(str(path), f"it has no row for trial {order}.")
        try:
            _outcome(plan, {**table.cells(row), **cells})
        except ValueError as error:
            raise TrialsError(plan.name, f"trial {order}: {error}.") from error
        for name, text in cells.items():
            if (place := table.column(name)) is None:
                place = len(table.header)
                table.header.append(name)
            row += [""] * (place + 1 - len(row))
            row[place] = spreadsheet_cell(text)
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=table.delimiter, lineterminator="\n")
        writer.writerows([table.header, *(row for _, row in table.rows)])
        write_bytes(path, text.getvalue().encode())


def _read_table(path: Path) -> _Table:
    """The rows that say something, with the line on which each begins."""
    try:
        content = read_limited(path)
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            text = content.decode("utf-16")
        else:
            try:
                text = content.decode("utf-8-sig")
            except UnicodeDecodeError:
                text = content.decode("cp1252")
        delimiter = max(",;\t", key=text.partition("\n")[0].count)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        rows, line = [], 1
        for row in reader:
            if any(map(str.strip, row)):
                rows.append((line, row))
            line = reader.line_num + 1
    except (OSError, ValueError, csv.Error) as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else str(error)
        raise TrialsError(str(path), "these outcomes cannot be read.", [reason]) from error
    table = _Table(rows[0][1] if rows else [], rows[1:], delimiter)
    if missing := [name for name in ("order", "success") if table.column(name) is None]:
        has = ", ".join(filter(None, table.header)) or "nothing"
        details = [f"its first line has {has}", "expected the column names of the sheet"]
        raise TrialsError(str(path), f"it has no column {' and no '.join(missing)}.", details)
    return table


def _outcome(plan: TrialPlan, cells: Mapping[str, str]) -> TrialOutcome | None:
    """The outcome of a row; None where it has none yet.

    Raises:
        ValueError: What is wrong with it.
    """
    text = cells["success"].lower()
    if not text and not cells["score"] and not cells["seconds"]:
        return None
    order = _number("order", cells["order"], 1, len(plan.trials), int)
    if order is None:
        raise ValueError(f"order is empty; expected 1 to {len(plan.trials)}")
    if text not in YES | NO:
        found = f"found {cells['success']!r}" if text else "it is empty"
        raise ValueError(f"success: expected yes or no, {found}")
    trial = plan.trials[order - 1]
    letter = cells["policy"].upper() or trial.letter
    letters = [policy.letter for policy in plan.policies]
    if letter not in letters:
        raise ValueError(f"policy: expected {', '.join(letters)}, found {cells['policy']!r}")
    condition = _number("condition", cells["condition"], 1, len(plan.conditions), int)
    return TrialOutcome(
        order=order,
        condition=condition or trial.condition,
        repeat=trial.repeat,
        letter=letter,
        success=text in YES,
        score=_number("score", cells["score"], 0, 1),
        seconds=_number("seconds", re.sub(r"\s*s$", "", cells["seconds"]), 0, math.inf),
        note=cells["note"],
    )


def _number(
    name: str, text: str, least: float, most: float, kind: Callable[[float], Any] = float
) -> Any:
    """A number with a decimal point or comma, or in percent; None of an empty cell."""
    if not text:
        return None
    digits, share = (text[:-1], 0.01) if text.endswith("%") else (text, 1)
    try:
        value = float(digits.strip().replace(",", ".")) * share
    except ValueError:
        value = math.nan
    if not least <= value <= most or value in (math.inf, -math.inf) or kind(value) != value:
        span = f"from {least} to {most}" if most < math.inf else f"not below {least}"
        raise ValueError(f"{name}: expected a number {span}, found {text!r}")
    return kind(value)


def _deviations(plan: TrialPlan, found: Mapping[int, TrialOutcome]) -> list[str]:
    """Where the trials that were done are not those of the plan."""
    said = []
    last = max(found, default=0)
    if skipped := [order for order in range(1, last) if order not in found]:
        listed = ", ".join(map(str, skipped[:9])) + (", ..." if len(skipped) > 9 else "")
        said.append(f"Without outcome though later ones have one: trial {listed}.")
    tried: dict[tuple[int, int], list[str]] = defaultdict(list)
    for order, outcome in found.items():
        trial = plan.trials[order - 1]
        tried[outcome.condition, outcome.repeat].append(outcome.letter)
        for name in ("letter", "condition"):
            if (asked := getattr(trial, name)) != (done := getattr(outcome, name)):
                said.append(f"Trial {order} was planned with {name} {asked} and done with {done}.")
    ended = {(item.condition, item.repeat) for item in plan.trials if item.order <= last}
    ended -= {(item.condition, item.repeat) for item in plan.trials if item.order > last}
    for condition, repeat in sorted(ended):
        letters = tried[condition, repeat]
        if missing := [item.letter for item in plan.policies if item.letter not in letters]:
            of_repeat = (
                f" in repeat {repeat}" if len({item.repeat for item in plan.trials}) > 1 else ""
            )
            said.append(f"Condition {condition} was not tried by {', '.join(missing)}{of_repeat}.")
    return said
