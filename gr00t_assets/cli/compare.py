"""``gr00t-assets compare``: which run is best, by how much, and whether that is known."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from gr00t_assets.comparison.answers.answers import Answer
    from gr00t_assets.comparison.columns import Column
    from gr00t_assets.comparison.compare import Comparison
    from gr00t_assets.comparison.contrasts.ranking import RankedRun
    from gr00t_assets.comparison.differences import Difference
    from gr00t_assets.comparison.run import Run
    from gr00t_assets.reporting.report import Report

_STATUS_STYLES = {
    "finished": "green",
    "failed": "red",
    "unreadable": "red",
    "pruned": "yellow",
    "interrupted": "yellow",
    "unfinished": "yellow",
    "stale": "yellow",
    "missing": "dim",
}
_VERDICT_STYLES = {
    "controlled": "bold green",
    "within_noise": "cyan",
    "inconclusive": "yellow",
    "confounded": "red",
    "not_comparable": "dim",
}


def compare(
    sweep: Annotated[
        list[str] | None, typer.Option(help="A sweep's name; every sweep with runs if left out")
    ] = None,
    runs: Annotated[
        Path | None, typer.Option(help="A CSV file of runs, such as data/journal/runs.csv")
    ] = None,
    question: Annotated[
        str | None, typer.Option(help="Only the answer on one factor: batch_size, steps, warm-up")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="A run, or 'defaults': count what each run has otherwise")
    ] = None,
    export: Annotated[
        Path | None, typer.Option(help="Write the table of runs: FILE.parquet or FILE.csv")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object")] = False,
) -> None:
    """Print the ranked runs of each class and what they answer; write the report of the sweeps."""
    if runs is None and question is None and baseline is None and export is None:
        _report(sweep or (), as_json)
        return
    from gr00t_assets.comparison.all_runs import chosen_runs

    compared = chosen_runs(runs, sweep or ())
    if export is not None:
        from gr00t_assets.comparison.tables.runs_table import export_table

        export_table(compared, export)
        typer.echo(f"written: {export}, {len(compared)} runs", err=True)
        if runs is None and question is None and baseline is None:
            return
    if question is not None:
        _question(compared, question, as_json)
        return
    differences = _differences(compared, baseline) if baseline is not None else None
    _comparison(compared if runs is not None else None, differences, as_json)


def _question(runs: Sequence["Run"], question: str, as_json: bool) -> None:
    from gr00t_assets.cli.console import console
    from gr00t_assets.comparison.answers.answers import answer
    from gr00t_assets.comparison.compare import to_json
    from gr00t_assets.comparison.contrasts.contrasts import contrasts

    answered = answer(runs, question)
    if as_json:
        _print_json(to_json(answered) | {"contrasts": to_json(contrasts(runs, answered.factor))})
    else:
        print_answer(answered, console(), limits=True)


def _differences(runs: Sequence["Run"], baseline: str) -> list["Difference"]:
    from gr00t_assets.comparison.differences import baseline_named, difference

    against = baseline_named(baseline, runs)
    return [difference(run, against) for run in runs if run.run_id != against.run_id]


def _comparison(
    runs: Sequence["Run"] | None, differences: Sequence["Difference"] | None, as_json: bool
) -> None:
    """Of a table the whole comparison, and of any runs what they have otherwise."""
    from gr00t_assets.cli.console import console
    from gr00t_assets.comparison.compare import compare as compare_runs
    from gr00t_assets.comparison.compare import to_json

    comparison = compare_runs(runs) if runs is not None else None
    if as_json:
        content = comparison.as_json() if comparison else {}
        if differences is not None:
            content["baseline"] = to_json(differences)
        _print_json(content)
        return
    out = console()
    if comparison is not None:
        print_comparison(comparison, out)
        if differences is not None:
            out.print()
    for item in differences or ():
        out.print(item.sentence, highlight=False, markup=False)


def _report(sweep_names: Sequence[str], as_json: bool) -> None:
    from gr00t_assets.cli.console import console
    from gr00t_assets.core.project import Store
    from gr00t_assets.experiments.sweeps import find_sweep, load_sweeps
    from gr00t_assets.reporting.report import write_report

    sweeps = load_sweeps()
    asked = [find_sweep(name, sweeps).name for name in sweep_names]
    report = write_report(list(sweeps.values()), Store.from_environment(), asked)
    names = asked or [summary.name for summary in report.sweeps]
    if as_json:
        _print_json(_report_json(report, names))
        return
    out = console()
    if not names:
        known = ", ".join(sweeps) or "none"
        out.print(f"No experiment has a run yet. Sweeps: {known}", highlight=False)
    for summary in report.sweeps:
        if summary.name in names:
            out.print(f"Sweep {summary.name}", style="bold", highlight=False, markup=False)
            out.print(summary.headline, highlight=False, markup=False)
            print_runs(_rows(summary.runs), out)
            for caution in summary.cautions:
                out.print(f"  caution: {caution}", style="yellow", highlight=False, markup=False)
            out.print()
    for title, answers in _answers(report, asked):
        out.print(f"{title}: questions", style="bold", highlight=False)
        for item in answers:
            if item.evidence:
                print_answer(item, out)
        out.print()
    typer.echo(f"report: {report.path}")


def _answers(report: "Report", asked: Sequence[str]) -> list[tuple[str, Sequence["Answer"]]]:
    """Of each comparison of the report, or of the runs of the sweeps that are asked for alone."""
    if not asked:
        return [(comparison.title, comparison.answers) for comparison in report.comparisons]
    from gr00t_assets.comparison.all_runs import from_store
    from gr00t_assets.comparison.answers.answers import all_answers

    stored = [run for name in asked for run in report.stored[name]]
    return [("These runs", all_answers(from_store(stored)))]


def _report_json(report: "Report", names: Sequence[str]) -> dict[str, Any]:
    from gr00t_assets.comparison.columns import row_values
    from gr00t_assets.comparison.compare import to_json
    from gr00t_assets.comparison.formatting import plain

    return {
        "report": str(report.path),
        "verdict": report.verdict,
        "sweeps": {
            summary.name: {
                "headline": summary.headline,
                "cautions": list(summary.cautions),
                "rows": [
                    row_values(row) | plain(row.run.settings) | {"max_steps": row.run.max_steps}
                    for row in _rows(summary.runs)
                ],
            }
            for summary in report.sweeps
            if summary.name in names
        },
        "questions": {
            comparison.key: {
                "headline": comparison.headline,
                "questions": to_json(comparison.answers),
            }
            for comparison in report.comparisons
        },
    }


def _rows(runs: Sequence["Run"]) -> list["RankedRun"]:
    from gr00t_assets.comparison.contrasts.ranking import comparability_classes, ranked_runs

    return ranked_runs(comparability_classes(runs), runs)


def _print_json(content: dict[str, Any]) -> None:
    typer.echo(json.dumps(content, indent=2, allow_nan=False))


def print_comparison(comparison: "Comparison", out: "Console") -> None:
    """Print headline, rankings by class, runs without a place, and the answers."""
    from rich.text import Text

    from gr00t_assets.comparison.contrasts.ranking import ranked_runs
    from gr00t_assets.comparison.wording import label, not_ranked_reason, value_words

    out.print(Text(comparison.headline, style="bold"))
    for item in comparison.ranked_classes:
        out.print()
        values = [value_words(value) for name, value in item.comparability.items()
                  if name != "frames"]  # fmt: skip
        title = Text(f"Class {item.id}: {', '.join(values)}", style="bold")
        if item.frames != "verified":
            title.append(f"  frames {item.frames}", style="red")
        out.print(title)
        print_runs(ranked_runs([item]), out)
    if comparison.not_ranked:
        out.print()
        out.print(Text("Not ranked", style="bold"))
        for run in comparison.not_ranked:
            _print_indented(Text(f"{label(run)}: {not_ranked_reason(run)}"), out)
    for answer in comparison.answers:
        out.print()
        print_answer(answer, out)


def print_answer(answer: "Answer", out: "Console", limits: bool = False) -> None:
    """Print a question, its verdict and the sentence, and what it does not cover."""
    from rich.text import Text

    head = Text(answer.question, style="bold")
    head.append("  ")
    head.append(answer.verdict.replace("_", " "), style=_VERDICT_STYLES[answer.verdict])
    out.print(head)
    _print_indented(Text(answer.sentence), out)
    for line in answer.limits if limits else ():
        _print_indented(Text(f"- {line}", style="dim"), out)


def print_runs(rows: Sequence["RankedRun"], out: "Console") -> None:
    """Print runs by column, and each remark below them once.

    Settings that vary have a column each where all of them fit.
    """
    from rich.measure import Measurement
    from rich.text import Text

    from gr00t_assets.comparison.columns import row_remark, shown_columns
    from gr00t_assets.comparison.wording import label

    columns = shown_columns(rows)
    table = _rich_table(rows, columns)
    if Measurement.get(out, out.options.update(max_width=1000), table).maximum > out.width:
        table = _rich_table(rows, [column for column in columns if not column.varying])
    out.print(table)
    remarks: dict[str, list[str]] = {}
    for row in rows:
        if remark := row_remark(row):
            remarks.setdefault(remark, []).append(label(row.run))
    for remark, names in remarks.items():
        out.print(Text(f"  {', '.join(names)}: {remark}", style="dim"), soft_wrap=False)


def _rich_table(rows: Sequence["RankedRun"], columns: Sequence["Column"]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        if column.name in ("name", "run_id"):
            table.add_column(column.heading, overflow="fold", min_width=10)
        else:
            justify = "right" if column.numeric else "left"
            table.add_column(column.heading, justify=justify, no_wrap=not column.varying)
    for row in rows:
        cells = [Text(column.text(row)) for column in columns]
        for column, cell in zip(columns, cells, strict=True):
            if column.name == "status":
                cell.style = _STATUS_STYLES.get(row.run.status, "")
        table.add_row(*cells)
    return table


def _print_indented(text: Any, out: "Console") -> None:
    from rich.padding import Padding

    out.print(Padding(text, (0, 0, 0, 2)))
