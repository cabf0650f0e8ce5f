"""What came of trials: the sheet as people fill it in, and the dataset recorded meanwhile.

``VERSION.lineage.json`` stands beside a version in the store that was recorded during trials. It
has a round for each import, which says which plan and which weights drove its episodes, so that
corrections of several rounds of training and trying are told apart.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError

from gr00t_assets.core.checksums import load_sealed, sealed
from gr00t_assets.core.errors import DatasetError, TrialsError
from gr00t_assets.core.files import FrozenModel, read_limited, write_bytes, write_json
from gr00t_assets.core.locks import exclusive_lock
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import from_spreadsheet, spreadsheet_cell
from gr00t_assets.datasets.catalog import project_catalog
from gr00t_assets.datasets.sources.versions import DatasetRecord, recorded_files
from gr00t_assets.evaluation.trials.plan import (
    COLUMNS,
    Trial,
    TrialPlan,
    TrialPolicy,
    trials_folder,
)

_SHOWN = 30  # Problems that a message lists at most


def _decimal(cell: Any) -> Any:
    """A number with a decimal comma as with a point; None of an empty cell."""
    return (cell.replace(",", ".") or None) if isinstance(cell, str) else cell


_Decimal = Annotated[float | None, BeforeValidator(_decimal)]


class TrialOutcome(Trial):
    """What came of one trial, as it was done."""

    success: bool = Field(description="In a sheet yes or no, true or false, 1 or 0")
    score: _Decimal = Field(default=None, ge=0, le=1)
    seconds: _Decimal = Field(default=None, ge=0, allow_inf_nan=False)
    note: str = ""


class Outcomes(FrozenModel):
    """The trials that were done, in the order of the plan, and where it was not followed."""

    done: tuple[TrialOutcome, ...]
    deviations: tuple[str, ...] = Field(description="One sentence each")


def _read_table(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]], str]:
    """The columns in small letters, each row with the line that it ends on, and the delimiter."""
    try:
        content = read_limited(path)
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("cp1252")  # as Excel writes it
        delimiter = max(",;\t", key=text.partition("\n")[0].count)
        file = io.StringIO(text, newline="")
        reader = csv.DictReader(file, restval="", delimiter=delimiter, strict=True)
        names = [label.strip().lower() for label in reader.fieldnames or []]
        reader.fieldnames = names
        rows = [(reader.line_num, row) for row in reader]
        if long := [str(line) for line, row in rows if any(row.pop(None, []))]:
            raise ValueError(f"line {', '.join(long[:_SHOWN])}: more cells than the first line has")
    except (OSError, ValueError, csv.Error) as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else str(error)
        raise TrialsError(str(path), "these outcomes cannot be read.", [reason]) from error
    if missing := {"order", "success"}.difference(names):
        details = [f"it has {', '.join(names) or 'nothing'}", f"expected {', '.join(COLUMNS)}"]
        problem = f"it has no column {' and no '.join(sorted(missing))}."
        raise TrialsError(str(path), problem, details)
    return names, rows, delimiter


def read_outcomes(plan: TrialPlan, path: Path) -> Outcomes:
    """Read a sheet with commas, semicolons or tabs, in UTF-8 or as Excel writes it, in any order.

    ``TrialsError`` where it, or rows of it, cannot be read, has every problem with its line.
    """
    (_, rows, _), problems = _read_table(path), []
    known: dict[int, TrialOutcome] = {}
    for line, row in rows:
        try:
            if (outcome := _outcome(plan, row)) is None:
                continue
            if known.setdefault(outcome.order, outcome) is not outcome:
                raise ValueError(f"trial {outcome.order} has an outcome on a line before")
        except ValueError as error:
            problems.append(f"line {line}: {error}")
    if problems:
        more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        problem = f"{len(problems)} of its rows cannot be read."
        raise TrialsError(str(path), problem, [*problems[:_SHOWN], *more])
    skipped = [order for order in range(1, max(known, default=0)) if order not in known]
    listed = ", ".join(map(str, skipped[:9])) + (", ..." if len(skipped) > 9 else "")
    said = [f"Without outcome though later ones have one: trial {listed}."] if skipped else []
    for order, outcome in sorted(known.items()):
        for name in ("letter", "condition"):
            asked, done = getattr(plan.trials[order - 1], name), getattr(outcome, name)
            if asked != done:
                said.append(f"Trial {order} was planned with {name} {asked} and done with {done}.")
    return Outcomes(done=tuple(known[order] for order in sorted(known)), deviations=tuple(said))


def write_outcome(plan: TrialPlan, store: Store, order: int, cells: Mapping[str, str]) -> None:
    """Put ``cells`` by column into the row of one trial, in one step; all else is kept.

    Raises:
        TrialsError: It cannot be read as an outcome of the plan; the sheet is as it was.
        StoreError: The disk is full.
    """
    path, lock = plan.sheet_path(store), trials_folder(plan.name, store) / ".lock"
    with exclusive_lock(lock, str(path), lambda line: None):
        names, rows, delimiter = _read_table(path)
        row = next((row for _, row in rows if row["order"].strip() == str(order)), None)
        if row is None:
            raise TrialsError(str(path), f"it has no row for trial {order}.")
        row |= {name: spreadsheet_cell(cell) for name, cell in cells.items()}
        try:
            _outcome(plan, row)
        except ValueError as error:
            raise TrialsError(plan.name, f"trial {order}: {error}.") from error
        text, columns = io.StringIO(newline=""), list(dict.fromkeys([*names, *cells]))
        writer = csv.DictWriter(text, columns, "", delimiter=delimiter, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for _, row in rows)
        write_bytes(path, text.getvalue().encode())


def _outcome(plan: TrialPlan, row: Mapping[str, str]) -> TrialOutcome | None:
    """The outcome of a row, None where it has none yet; ``ValueError`` says what is wrong."""
    cells = {name: from_spreadsheet(row.get(name, "").strip()) for name in COLUMNS}
    if not (cells["success"] or cells["score"] or cells["seconds"]):
        return None
    trial = plan.trials[_whole("order", cells["order"], len(plan.trials)) - 1]
    letter, letters = cells["policy"].upper() or trial.letter, [p.letter for p in plan.policies]
    if letter not in letters:
        raise ValueError(f"policy: expected {', '.join(letters)}, found {cells['policy']!r}")
    condition = cells["condition"] or str(trial.condition)
    done = {name: cells[name] for name in ("success", "score", "seconds", "note")} | {
        "condition": _whole("condition", condition, len(plan.conditions)),
        "letter": letter,
    }
    try:
        return TrialOutcome.model_validate(trial.model_dump() | done)
    except ValidationError as error:
        item = error.errors()[0]
        wanted = "yes or no" if item["loc"] == ("success",) else item["msg"].partition(" be ")[2]
        raise ValueError(f"{item['loc'][0]}: expected {wanted}, found {item['input']!r}") from error


def _whole(name: str, text: str, most: int) -> int:
    if not (text.isdecimal() and len(text) < 9 and 0 < int(text) <= most):
        raise ValueError(f"{name}: expected a number from 1 to {most}, found {text!r}")
    return int(text)


class TrialRound(FrozenModel):
    """Episodes that were recorded during the trials of one plan."""

    plan: str
    plan_hash: str
    policies: tuple[TrialPolicy, ...] = Field(description="Those that drove")
    first_episode: int = Field(description="Index in the version")
    episodes: int
    outcomes: tuple[TrialOutcome, ...] = Field(description="Of each episode; none if counts differ")
    imported_at: str = Field(description="ISO 8601, UTC")

    def sentence(self) -> str:
        """What drove, in words."""
        names = ", ".join(
            f"{policy.name} (config {policy.config_hash}, model {policy.model_hash})"
            for policy in self.policies
        )
        span = f"episodes {self.first_episode} to {self.first_episode + self.episodes - 1}"
        won = sum(outcome.success for outcome in self.outcomes)
        successes = f", {won} of {self.episodes} a success" if self.outcomes else ""
        return f"{span}{successes}: trials {self.plan} (plan {self.plan_hash}), driven by {names}"


class TrialLineage(FrozenModel):
    """What drove the robot in a version of a dataset."""

    format: Literal[1] = 1
    dataset: str
    version: str
    rounds: tuple[TrialRound, ...]


def load_lineage(dataset: str, version: str, store: Store) -> TrialLineage | None:
    """The lineage of a version, None where it has none; ``DatasetError`` where it is damaged."""
    path = _path(dataset, version, store)
    if not path.is_file():
        return None
    remedy = "import the trials again: gr00t-assets trials import"
    return load_sealed(
        path, TrialLineage, lambda why: DatasetError(str(path), "it cannot be read.", [why, remedy])
    )


def import_trials(
    plan: TrialPlan,
    outcomes: Sequence[TrialOutcome],
    dataset: str,
    store: Store,
    log: Callable[[str], None] = lambda line: None,
) -> TrialLineage:
    """Bring what was recorded during trials into the store as a version that knows what drove it.

    Rows that no earlier version has are of this plan; the outcomes are in the order of the trials.
    The dataset is one of the catalog, whose source they were recorded into.

    Raises:
        CatalogError: The catalog cannot be read, or has no such dataset.
        DatasetError: It is not sound, or the lineage of a version cannot be read.
        StoreError: The disk is full.
    """
    from gr00t_assets.datasets.sources.ingest import ingest_dataset

    record = ingest_dataset(project_catalog()[dataset], store, log)
    known = load_lineage(record.name, record.version, store)
    if known is not None and plan.content_hash() in [item.plan_hash for item in known.rounds]:
        return known
    earlier, first = _grown_from(record, store)
    if known is None and earlier is not None:
        known = load_lineage(record.name, earlier, store)
    drove = {outcome.letter for outcome in outcomes} or {item.letter for item in plan.policies}
    part = TrialRound(
        plan=plan.name,
        plan_hash=plan.content_hash(),
        policies=tuple(item for item in plan.policies if item.letter in drove),
        first_episode=first,
        episodes=record.episodes - first,
        outcomes=tuple(outcomes) if len(outcomes) == record.episodes - first else (),
        imported_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    rounds = (*(known.rounds if known else ()), part)
    lineage = TrialLineage(dataset=record.name, version=record.version, rounds=rounds)
    write_json(_path(record.name, record.version, store), sealed(lineage.model_dump(mode="json")))
    return lineage


def _grown_from(record: DatasetRecord, store: Store) -> tuple[str | None, int]:
    """The largest other version whose episodes are all in this one, and how many it has."""

    def rows(version: str) -> set[tuple[str, str]]:
        files = recorded_files(record.name, version, store) or {}
        return {item for item in files.items() if item[0].startswith("data/")}

    own, paths = rows(record.version), store.dataset_record(record.name).parent
    versions = [path.name.removesuffix(".files.json") for path in paths.glob("[!.]*.files.json")]
    earlier = {item: len(rows(item)) for item in versions if rows(item) < own}
    return max(earlier, key=lambda item: earlier[item], default=None), max([0, *earlier.values()])


def _path(dataset: str, version: str, store: Store) -> Path:
    return store.dataset_directory(dataset, version).with_name(f"{version}.lineage.json")
