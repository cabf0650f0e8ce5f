"""``gr00t-assets compare``, ``journal`` and ``import``: which run is best, and is that known."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gr00t_assets.cli.output import console, echo, plain_table, print_json
from gr00t_assets.comparison.all_runs import chosen_runs, from_store
from gr00t_assets.comparison.answers.answers import Answer, all_answers, answer
from gr00t_assets.comparison.columns import Column, row_remark, row_values, shown_columns
from gr00t_assets.comparison.compare import Comparison, to_json
from gr00t_assets.comparison.compare import compare as compare_runs
from gr00t_assets.comparison.contrasts.contrasts import contrasts
from gr00t_assets.comparison.contrasts.ranking import RankedRun, comparability_classes, ranked_runs
from gr00t_assets.comparison.differences import baseline_named, difference
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.tables.runs_table import export_table
from gr00t_assets.comparison.tables.wandb_import import import_wandb
from gr00t_assets.comparison.wording import label, not_ranked_reason, plain, value_words
from gr00t_assets.core.errors import StoreError
from gr00t_assets.core.project import Store
from gr00t_assets.core.system_errors import is_read_only
from gr00t_assets.experiments.sweeps import find_sweep, load_sweeps
from gr00t_assets.reporting.journal.research_journal import write_journal
from gr00t_assets.reporting.report import Report, make_report

_STATUS_STYLES = {
    "finished": "green",
    "missing": "dim",
    **dict.fromkeys(("failed", "unreadable"), "red"),
    **dict.fromkeys(("pruned", "interrupted", "unfinished", "stale"), "yellow"),
}
_VERDICT_STYLES = {
    "controlled": "bold green",
    "within_noise": "cyan",
    "inconclusive": "yellow",
    "confounded": "red",
    "not_comparable": "dim",
}

import_app = typer.Typer(help="Runs that were made elsewhere.", no_args_is_help=True)


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
    report_only = runs is None and question is None and baseline is None
    if report_only and export is None:
        _report(sweep or (), as_json)
        return
    compared = chosen_runs(runs, sweep or ())
    if export is not None:
        export_table(compared, export)
        echo(f"written: {export}, {len(compared)} runs", err=True)
        if report_only:
            return
    if question is not None:
        answered = answer(compared, question)
        if as_json:
            found = contrasts(compared, answered.factor)
            print_json(to_json(answered) | {"contrasts": to_json(found)})
        else:
            print_answer(answered, console(), limits=True)
        return
    differences = None
    if baseline is not None:
        against = baseline_named(baseline, compared)
        others = [run for run in compared if run.run_id != against.run_id]
        differences = [difference(run, against) for run in others]
    comparison = compare_runs(compared) if runs is not None else None
    out = console()
    if as_json:
        content = comparison.as_json() if comparison else {}
        print_json(content if differences is None else content | {"baseline": to_json(differences)})
        return
    if comparison is not None:
        print_comparison(comparison, out)
    if comparison is not None and differences is not None:
        out.print()
    for item in differences or ():
        out.print(Text(item.sentence))


def journal(
    print_it: Annotated[
        bool, typer.Option("--print", help="Print the journal, not where it is")
    ] = False,
) -> None:
    """Write the research journal from the runs, and from the notes in data/journal/notes.

    The last line says where the journal is and whether it changed.
    """
    written = write_journal(list(load_sweeps().values()), Store.from_environment())
    if print_it:
        echo(written.text, nl=False)
        return
    for note in written.notes:
        if note.problem:
            echo(f"note {note.name} is at the end: {note.problem}")
    state = "written" if written.changed else "unchanged"
    echo(f"journal {state}: {written.path}")


@import_app.command("wandb")
def import_from_wandb(
    project: Annotated[str, typer.Argument(help="ENTITY/PROJECT", metavar="ENTITY/PROJECT")],
    tag: Annotated[str | None, typer.Option(help="Only runs with this tag: gr00t-overfit")] = None,
) -> None:
    """Read the runs of a W&B project into the store; a former import of it is replaced.

    The key is that of WANDB_API_KEY or of 'wandb login', the server that of WANDB_BASE_URL.
    """
    file, runs = import_wandb(project, Store.from_environment(), tag, echo)
    echo(f"imported: {len(runs)} runs, {file}")
    echo("compare them: gr00t-assets compare")


def _report(sweep_names: Sequence[str], as_json: bool) -> None:
    sweeps = load_sweeps()
    asked = [find_sweep(name, sweeps).name for name in sweep_names]
    report, written = make_report(list(sweeps.values()), Store.from_environment(), asked), True
    try:
        report.write()
    except StoreError as error:
        if not is_read_only(error):
            raise
        echo(f"the report is not written, what follows is all of it: {error}", err=True)
        written = False
    names = asked or [summary.name for summary in report.sweeps]
    if as_json:
        path = str(report.path) if written else None
        print_json({"report": path} | _report_json(report, names))
        return
    out = console()
    if not names:
        out.print(f"No experiment has a run yet. Sweeps: {', '.join(sweeps) or 'none'}",
                  highlight=False)  # fmt: skip
    for summary in report.sweeps:
        if summary.name in names:
            out.print(Text(f"Sweep {summary.name}", style="bold"))
            out.print(Text(summary.headline))
            print_runs(_rows(summary.runs), out)
            for caution in summary.cautions:
                out.print(Text(f"  caution: {caution}", style="yellow"))
            out.print()
    groups = [(comparison.title, comparison.answers) for comparison in report.comparisons]
    if asked:
        stored = [run for name in asked for run in report.stored[name]]
        groups = [("These runs", tuple(all_answers(from_store(stored))))]
    for title, answers in groups:
        out.print(f"{title}: questions", style="bold", highlight=False)
        for item in answers:
            if item.evidence:
                print_answer(item, out)
        out.print()
    if written:
        echo(f"report: {report.path}")


def _report_json(report: Report, names: Sequence[str]) -> dict[str, Any]:
    return {
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


def _rows(runs: Sequence[Run]) -> list[RankedRun]:
    return ranked_runs(comparability_classes(runs), runs)


def print_comparison(comparison: Comparison, out: Console) -> None:
    """Print headline, rankings by class, runs without a place, and the answers."""
    out.print(Text(comparison.headline, style="bold"))
    for item in comparison.ranked_classes:
        words = {name: value_words(value) for name, value in item.comparability.items()}
        del words["frames"]
        title = Text(f"Class {item.id}: {', '.join(words.values())}", style="bold")
        if item.frames != "verified":
            title.append(f"  frames {item.frames}", style="red")
        out.print()
        out.print(title)
        print_runs(ranked_runs([item]), out)
    if comparison.not_ranked:
        out.print()
        out.print(Text("Not ranked", style="bold"))
        for run in comparison.not_ranked:
            out.print(_indented(f"{label(run)}: {not_ranked_reason(run)}"))
    for item in comparison.answers:
        out.print()
        print_answer(item, out)


def print_answer(answered: Answer, out: Console, limits: bool = False) -> None:
    """Print a question, its verdict and the sentence, and what it does not cover."""
    verdict = (answered.verdict.replace("_", " "), _VERDICT_STYLES[answered.verdict])
    out.print(Text.assemble((answered.question, "bold"), "  ", verdict))
    out.print(_indented(answered.sentence))
    for line in answered.limits if limits else ():
        out.print(_indented(f"- {line}", "dim"))


def print_runs(rows: Sequence[RankedRun], out: Console) -> None:
    """Print runs by column, and each remark below them once.

    Settings that vary have a column each where all of them fit.
    """
    columns = shown_columns(rows)
    table = _table(rows, columns)
    if Measurement.get(out, out.options.update(max_width=1000), table).maximum > out.width:
        table = _table(rows, [column for column in columns if not column.varying])
    out.print(table)
    remarks: dict[str, list[str]] = {}
    for row in rows:
        if remark := row_remark(row):
            remarks.setdefault(remark, []).append(label(row.run))
    for remark, names in remarks.items():
        out.print(Text(f"  {', '.join(names)}: {remark}", style="dim"), soft_wrap=False)


def _table(rows: Sequence[RankedRun], columns: Sequence[Column]) -> Table:
    table = plain_table()
    for column in columns:
        if column.name in ("name", "run_id"):
            table.add_column(column.heading, overflow="fold", min_width=10)
        else:
            justify = "right" if column.numeric else "left"
            table.add_column(column.heading, justify=justify, no_wrap=not column.varying)
    for row in rows:
        status = _STATUS_STYLES.get(row.run.status, "")
        table.add_row(
            *(
                Text(row.run.status, status) if item.name == "status" else item.text(row)
                for item in columns
            )
        )
    return table


def _indented(text: str, style: str = "") -> Padding:
    return Padding(Text(text, style=style), (0, 0, 0, 2))
