"""``gr00t-assets compare``: print the comparison and write the report."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gr00t_assets.comparison.answers.answer import Answer
from gr00t_assets.comparison.answers.answering import all_answers, answer
from gr00t_assets.comparison.answers.as_json import answer_json, contrast_json, difference_json
from gr00t_assets.comparison.answers.baseline import Difference, baseline_named, difference
from gr00t_assets.comparison.answers.comparison import compare_runs
from gr00t_assets.comparison.answers.print_out import (
    print_answer,
    print_answers,
    print_comparison,
)
from gr00t_assets.comparison.console import console, print_table
from gr00t_assets.comparison.contrasts.contrasts import contrasts
from gr00t_assets.comparison.contrasts.observation import Observation
from gr00t_assets.comparison.contrasts.store_runs import observe
from gr00t_assets.comparison.runs import read_runs
from gr00t_assets.comparison.tables.all_runs import all_runs
from gr00t_assets.comparison.tables.read_table import read_table
from gr00t_assets.comparison.tables.runs_table import export_table
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.sweeps import find_sweep, load_sweeps
from gr00t_assets.reporting.report import Report, write_report


def run_compare(
    sweep_names: Sequence[str] | None = None,
    as_json: bool = False,
    *,
    runs: Path | None = None,
    question: str | None = None,
    baseline: str | None = None,
    export: Path | None = None,
) -> int:
    """Compare the runs of the named sweeps, or of every sweep that has one, or of a table.

    Without any of the keyword arguments the report is written for every sweep that has a run, and
    what is printed is that of the named ones; the last line is ``report: PATH``. As JSON, one
    object is printed instead.

    Args:
        sweep_names: Only the runs of these sweeps.
        as_json: Print one JSON object.
        runs: A CSV file of the form of ``data/journal/runs.csv``; neither a project nor a store
            is looked at but for the frames of its datasets.
        question: A factor; its answer alone is printed.
        baseline: A run, or ``defaults``: what each run has otherwise is printed.
        export: Write the table of runs there, as parquet or CSV by its ending.

    Returns:
        Exit code: 0 also where runs are missing, stale or failed, which the comparison reports.

    Raises:
        SweepError: A sweep file is wrong, or there is no sweep of a name.
        ComparisonError: The table is wrong, or a factor or a run is not known.
        StoreError: The disk is full.
    """
    if runs is None and question is None and baseline is None and export is None:
        return _report(sweep_names or (), as_json)
    observations = _observations(runs, sweep_names or ())
    if export is not None:
        export_table(observations, export)
        sys.stderr.write(f"written: {export}, {len(observations)} runs\n")
        if runs is None and question is None and baseline is None:
            return 0
    if question is not None:
        return _question(observations, question, as_json)
    differences = _differences(observations, baseline) if baseline is not None else None
    if runs is None:
        return _baseline(differences or [], as_json)
    return _table(observations, differences, as_json)


def _observations(runs: Path | None, sweep_names: Sequence[str]) -> list[Observation]:
    if runs is not None:
        found = read_table(runs)
        return [run for run in found if not sweep_names or run.sweep in sweep_names]
    store, sweeps = Store.from_environment(), load_sweeps()
    if not sweep_names:
        return all_runs(store, sweeps.values())
    named = [find_sweep(name, sweeps) for name in sweep_names]
    return observe(read_runs([one for sweep in named for one in sweep.experiments], store))


def _question(observations: Sequence[Observation], question: str, as_json: bool) -> int:
    found = answer(observations, question)
    if as_json:
        every = [contrast_json(one) for one in contrasts(observations, found.factor)]
        _write_json(answer_json(found) | {"contrasts": every})
    else:
        print_answer(found, console())
    return 0


def _differences(observations: Sequence[Observation], baseline: str) -> list[Difference]:
    against = baseline_named(baseline, observations)
    return [difference(run, against) for run in observations if run.run_id != against.run_id]


def _baseline(differences: Sequence[Difference], as_json: bool) -> int:
    if as_json:
        _write_json({"baseline": [difference_json(one) for one in differences]})
    else:
        _print_differences(differences)
    return 0


def _table(
    observations: Sequence[Observation], differences: Sequence[Difference] | None, as_json: bool
) -> int:
    comparison = compare_runs(observations)
    if as_json:
        content = comparison.as_json()
        if differences is not None:
            content["baseline"] = [difference_json(one) for one in differences]
        _write_json(content)
        return 0
    print_comparison(comparison, console())
    if differences is not None:
        sys.stdout.write("\n")
        _print_differences(differences)
    return 0


def _print_differences(differences: Sequence[Difference]) -> None:
    out = console()
    for one in differences:
        out.print(one.sentence, highlight=False, markup=False)


def _report(sweep_names: Sequence[str], as_json: bool) -> int:
    sweeps = load_sweeps()
    asked = [find_sweep(name, sweeps).name for name in sweep_names]
    report = write_report(list(sweeps.values()), Store.from_environment(), asked)
    names = asked or list(report.tables)
    if as_json:
        _write_json(_report_json(report, names))
        return 0
    out = console()
    if not names:
        known = ", ".join(sweeps) or "none"
        out.print(f"No experiment has a run yet. Sweeps: {known}", highlight=False)
    for section in report.sections:
        if section.name in names:
            print_table(section.table, f"Sweep {section.name}", section.headline, out)
            for caution in section.cautions:
                out.print(f"  caution: {caution}", style="yellow", highlight=False, markup=False)
            out.print()
    for title, answers in _answers(report, asked):
        out.print(f"{title}: questions", style="bold", highlight=False)
        print_answers([one for one in answers if one.evidence], out)
        out.print()
    sys.stdout.write(f"report: {report.path}\n")
    return 0


def _answers(report: Report, asked: Sequence[str]) -> list[tuple[str, Sequence[Answer]]]:
    """Of each subject of the report, or of the runs of the sweeps that are asked for alone."""
    if not asked:
        return [(subject.title, subject.answers) for subject in report.subjects]
    runs = [run for name in asked for run in report.runs[name]]
    return [("These runs", all_answers(observe(runs)))]


def _report_json(report: Report, names: Sequence[str]) -> dict[str, Any]:
    return {
        "report": str(report.path),
        "verdict": report.verdict,
        "sweeps": {
            section.name: {
                "headline": section.headline,
                "cautions": section.cautions,
                "rows": json.loads(section.table.to_json(orient="records") or "[]"),
            }
            for section in report.sections
            if section.name in names
        },
        "questions": {
            subject.key: {
                "headline": subject.verdict,
                "questions": [answer_json(one) for one in subject.answers],
            }
            for subject in report.subjects
        },
    }


def _write_json(content: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(content, indent=2, allow_nan=False) + "\n")
