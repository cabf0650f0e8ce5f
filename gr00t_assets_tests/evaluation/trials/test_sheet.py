"""Sheets as people fill them in, and what is said where they left the plan."""

import csv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gr00t_assets.core.errors import TrialsError
from gr00t_assets.core.project import Store
from gr00t_assets.evaluation.trials.outcomes import read_outcomes, write_outcome
from gr00t_assets.evaluation.trials.plan import TrialPlan
from gr00t_assets_tests.evaluation.trials.conftest import PlanMaker

EMPTY = {"success": "", "score": "", "seconds": "", "note": ""}


def filled(plan: TrialPlan, store: Store, *said: str) -> Path:
    """The sheet with a cell under ``success`` for each of the first trials."""
    path = plan.sheet_path(store)
    rows = list(csv.reader(path.open(newline="")))
    for row, text in zip(rows[1:], said, strict=False):
        row[4] = text
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def test_an_empty_sheet_has_no_outcome(planned: PlanMaker, store: Store) -> None:
    plan = planned()
    outcomes = read_outcomes(plan, plan.sheet_path(store))
    assert outcomes.done == () and outcomes.deviations == ()


def test_usual_words_are_understood(planned: PlanMaker, store: Store) -> None:
    plan = planned(2, 6)
    said = ["yes", "No", " TRUE ", "0", "1", "on", "False", "t", "Y", "n", "", "y"]
    outcomes = read_outcomes(plan, filled(plan, store, *said))
    assert [item.success for item in outcomes.done] == [
        *(True, False, True, False, True, True, False, True, True, False, True)
    ]
    assert [item.letter for item in outcomes.done[:10]] == [t.letter for t in plan.trials[:10]]
    assert outcomes.deviations == ("Without outcome though later ones have one: trial 11.",)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_what_spreadsheets_make_of_it(
    planned: PlanMaker, store: Store, tmp_path: Path, encoding: str, delimiter: str
) -> None:
    plan = planned()
    lines = [
        ["Note", "Order", "Success", " score", "seconds"],
        ["dropped, twice\nüber", "3", "no", "0,5", "12,5"],
        ["", "", "", "", ""],
        ["'=1+1", "1", "Yes", "1,0", "7"],
    ]
    file = tmp_path / "sheet.csv"
    with file.open("w", newline="", encoding=encoding) as text:
        csv.writer(text, delimiter=delimiter).writerows(lines)
    first, third = read_outcomes(plan, file).done
    assert (first.order, first.success, first.score, first.note) == (1, True, 1.0, "=1+1")
    assert (third.order, third.seconds, third.score) == (3, 12.5, 0.5)
    assert third.note == "dropped, twice\nüber"
    assert third.condition == plan.trials[2].condition


def test_every_bad_row_is_listed_with_its_line(
    planned: PlanMaker, store: Store, tmp_path: Path
) -> None:
    plan = planned()
    file = tmp_path / "sheet.csv"
    file.write_text(
        "order,condition,policy,success,score,seconds,note\n"
        "1,1,A,maybe,,,\n"
        '2,,,yes,1.5,,"two\nlines"\n'
        "99,,,yes,,,\n"
        ",,,no,,,\n"
        "3,,,,0.5,,\n"
        "4,,C,yes,,,\n"
        "5,,,yes,,nan,\n"
        "6,,,yes,,,\n"
        "6,,,no,,,\n"
        "7,9,,no,,,\n"
        "1.5,,,no,,,\n"
    )
    with pytest.raises(TrialsError) as error:
        read_outcomes(plan, file)
    text = str(error.value)
    assert "10 of its rows cannot be read" in text
    for line, found in {
        2: "success: expected yes or no, found 'maybe'",
        4: "score: expected less than or equal to 1, found '1.5'",
        5: "order: expected a number from 1 to 8, found '99'",
        6: "order: expected a number from 1 to 8, found ''",
        7: "success: expected yes or no, found ''",
        8: "policy: expected A, B, found 'C'",
        9: "seconds: expected a finite number, found 'nan'",
        11: "trial 6 has an outcome on a line before",
        12: "condition: expected a number from 1 to 4, found '9'",
        13: "order: expected a number from 1 to 8, found '1.5'",
    }.items():
        assert f"line {line}: {found}" in text


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"order\n1\n", b'order,success\n"1,yes'])
def test_what_is_no_sheet_is_said(
    planned: PlanMaker, store: Store, tmp_path: Path, content: bytes
) -> None:
    plan, file = planned(), tmp_path / "sheet.csv"
    file.write_bytes(content)
    with pytest.raises(TrialsError, match=r"sheet\.csv: (it has no column|these|1 of)"):
        read_outcomes(plan, file)
    with pytest.raises(TrialsError, match="no such file"):
        read_outcomes(plan, tmp_path / "none.csv")


def test_another_policy_than_planned_counts_as_what_was_done(
    planned: PlanMaker, store: Store
) -> None:
    plan = planned()
    path = filled(plan, store, "yes", "yes")
    first = plan.trials[0]
    other = "B" if first.letter == "A" else "A"
    path.write_text(
        path.read_text().replace(
            f"1,{first.condition},can at place {first.condition - 1},{first.letter}", f"1,,,{other}"
        )
    )
    outcomes = read_outcomes(plan, path)
    assert [item.letter for item in outcomes.done] == [other, other]
    assert outcomes.deviations == (
        f"Trial 1 was planned with letter {first.letter} and done with {other}.",
    )


def test_an_outcome_is_put_into_its_row_and_nothing_else_changes(
    planned: PlanMaker, store: Store
) -> None:
    plan = planned()
    path = plan.sheet_path(store)
    path.write_text("operator;order;success;note\nada;1;;\nbob;2;no;old, note\n")
    write_outcome(plan, store, 1, {"success": "yes", "score": "0,5", "seconds": "", "note": "=1"})
    assert path.read_text() == (
        "operator;order;success;note;score;seconds\nada;1;yes;'=1;0,5;\nbob;2;no;old, note;;\n"
    )
    assert [item.note for item in read_outcomes(plan, path).done] == ["=1", "old, note"]
    before = path.read_bytes()
    for cells in ({"success": "perhaps"}, {"success": "yes", "score": "2"}):
        with pytest.raises(TrialsError, match="trial 2: "):
            write_outcome(plan, store, 2, {**EMPTY, **cells})
    with pytest.raises(TrialsError, match="no row for trial 3"):
        write_outcome(plan, store, 3, {**EMPTY, "success": "yes"})
    assert path.read_bytes() == before
    write_outcome(plan, store, 2, EMPTY)
    assert [item.order for item in read_outcomes(plan, path).done] == [1]


def test_two_who_write_at_once_lose_nothing(planned: PlanMaker, store: Store) -> None:
    plan = planned(2, 10)
    with ThreadPoolExecutor(4) as pool:
        done = [
            pool.submit(write_outcome, plan, store, order, {**EMPTY, "success": "yes"})
            for order in range(1, 21)
        ]
    assert [future.result() for future in done] == [None] * 20
    assert len(read_outcomes(plan, plan.sheet_path(store)).done) == 20
