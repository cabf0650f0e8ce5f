"""``gr00t-assets compare`` and ``journal``: which run is best, and is that known."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gr00t_assets.cli.arguments import Json, option, sweeps
from gr00t_assets.cli.output import console, echo, plain_table, print_json
from gr00t_assets.comparison import wording
from gr00t_assets.comparison.all_runs import chosen_runs
from gr00t_assets.comparison.answers.answers import Answer, answer
from gr00t_assets.comparison.columns import RankedRun, row_remark
from gr00t_assets.comparison.comparison import Comparison, to_json
from gr00t_assets.comparison.comparison import compare as compare_runs
from gr00t_assets.comparison.differences import baseline_named, difference
from gr00t_assets.comparison.statistics.ranking import BAND, ComparabilityClass
from gr00t_assets.comparison.tables.runs_table import export_table
from gr00t_assets.core.errors import StoreError, is_read_only
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import counted
from gr00t_assets.experiments.project_files import read_project
from gr00t_assets.reporting import markdown
from gr00t_assets.reporting.effect_table import BADGES, answered
from gr00t_assets.reporting.html import STORE
from gr00t_assets.reporting.ranking_table import RankingTable, evaluation_sentence, record_note
from gr00t_assets.reporting.report import make_report
from gr00t_assets.reporting.research_journal import write_journal
from gr00t_assets.reporting.summaries import status_counts

_VERDICT_STYLES = {
    "controlled": "bold green",
    "within_noise": "cyan",
    "inconclusive": "yellow",
    "confounded": "red",
    "not_comparable": "dim",
}

_BAND = 100 * BAND  # Percent
NAME_WIDTH = 16  # Characters of an experiment's name on one line, where there is little room


def compare(
    sweep: Annotated[
        list[str] | None, option("A sweep; else all with runs", autocompletion=sweeps)
    ] = None,
    runs: Annotated[
        Path | None, option("A CSV file of runs: data/examples/journal/runs.csv")
    ] = None,
    question: Annotated[
        str | None, option("Only the answer on one factor: batch_size, steps, warm-up")
    ] = None,
    baseline: Annotated[
        str | None, option("A run, or 'defaults': count what each run has otherwise")
    ] = None,
    imported: Annotated[
        bool, option("Also the runs of data/journal/runs.csv and of W&B", "--imported")
    ] = False,
    band: Annotated[
        float, option("Losses so many percent apart are equally good", min=0.0)
    ] = _BAND,
    export: Annotated[
        Path | None, option("Write the table of runs: FILE.parquet or FILE.csv")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print the ranked runs of each class and what they answer; write the report of the sweeps."""
    report_only = runs is None and question is None and baseline is None
    if report_only and export is None:
        _report(sweep or (), imported, band / 100, as_json)
        return
    compared = chosen_runs(runs, sweep or (), imported)
    if export is not None:
        export_table(compared, export)
        echo(f"written: {export}, {counted(len(compared), 'run')}", err=True)
        if report_only:
            return
    out = console()
    if question is not None:
        answers = answer(compared, question)
        if as_json:
            print_json(to_json(answers))
        else:
            print_answer(answers, out, limits=True)
        return
    differences = None
    if baseline is not None:
        against = baseline_named(baseline, compared)
        others = [run for run in compared if run.run_id != against.run_id]
        differences = [difference(run, against) for run in others]
    comparison = compare_runs(compared, band=band / 100) if runs is not None else None
    if as_json:
        content = comparison.to_json() if comparison else {}
        print_json(content if differences is None else content | {"baseline": to_json(differences)})
        return
    if comparison is not None:
        print_comparison(comparison, out)
    if comparison is not None and differences is not None:
        out.print()
    for item in differences or ():
        out.print(Text(item.sentence))


def journal(
    print_it: Annotated[bool, option("Print the journal, not where it is", "--print")] = False,
) -> None:
    """Write the research journal from the runs, and from the notes in data/journal/notes.

    The last line says where the journal is and whether it changed.
    """
    written = write_journal(list(read_project().sweeps.values()), Store.from_environment())
    if print_it:
        echo(written.text, nl=False)
        return
    for note in written.notes:
        if note.problem:
            echo(f"note {note.name} is at the end: {note.problem}")
    state = "written" if written.changed else "unchanged"
    echo(f"journal {state}: {written.path}")


def _report(sweep_names: Sequence[str], imported: bool, band: float, as_json: bool) -> None:
    sweeps = read_project().sweeps
    asked = [sweeps[name].name for name in sweep_names]
    store, others, written = Store.from_environment(), None if imported else (), True
    report = make_report(list(sweeps.values()), store, asked, others, band)
    try:
        report.write()
    except StoreError as error:
        if not is_read_only(error):
            raise
        echo(f"the report is not written, what follows is all of it: {error}", err=True)
        written = False
    comparisons = [*report.comparisons]
    if asked or not comparisons or comparisons[0].key != STORE:
        measured = [(item.evaluations, item.rollouts) for item in comparisons[:1]] or [({}, {})]
        own = compare_runs(report.runs_of(asked), *measured[0], band=band, title="These runs")
        comparisons = [own, *(item for item in comparisons if item.key != STORE)]
    summaries = [item for item in report.sweeps if not asked or item.sweep.name in asked]
    if as_json:
        path = str(report.path) if written else None
        content = {"report": path} | comparisons[0].to_json()
        content |= {item.key: item.to_json() for item in comparisons[1:]}
        counts = {
            item.sweep.name: {"statuses": dict(item.counts), "cautions": item.cautions}
            for item in summaries
        }
        print_json(content | {"sweeps": counts})
        return
    out = console()
    if not summaries:
        out.print(Text(f"No experiment has a run yet. Sweeps: {', '.join(sweeps) or 'none'}"))
    for summary in summaries:
        out.print(Text(f"Sweep {summary.sweep.name}: {status_counts(summary.counts.elements())}"))
        if missing := [run.name for run in summary.runs if run.status == "missing"]:
            out.print(_indented(f"not run yet: {wording.names_in_words(missing)}"))
        if summary.next_step:
            out.print(_indented(summary.next_step))
        for caution in summary.cautions:
            out.print(_indented(f"caution: {caution}", "yellow"))
    for problem in report.problems:
        out.print(Text(problem, style="yellow"))
    for place, comparison in enumerate(comparisons):
        if comparison.runs:
            out.print()
            if place:
                out.print(Text(comparison.title, style="bold"))
            print_comparison(comparison, out)
    if written:
        echo(f"\nreport: {report.path}")


def print_comparison(comparison: Comparison, out: Console) -> None:
    """Print the verdict, rankings by class, runs without a place, answers and proposals."""
    out.print(Text(comparison.verdict, style="bold"))
    for item in comparison.ranked_classes:
        words = {name: wording.value_words(value) for name, value in item.comparability.items()}
        del words["frames"]
        title = Text(f"Class {item.id}: {', '.join(words.values())}", style="bold")
        if item.frames != "verified":
            title.append(f"  frames {item.frames}", style="red")
        out.print()
        out.print(title)
        print_ranking(comparison, item, out)
        if sentence := evaluation_sentence(item, comparison.evaluations):
            out.print(_indented(sentence))
    if comparison.not_ranked:
        out.print()
        out.print(Text("Not ranked", style="bold"))
        for run in comparison.not_ranked:
            reason = row_remark(RankedRun(run)) if run.stored else wording.not_ranked_reason(run)
            out.print(_indented(f"{wording.label(run)}: {reason}"))
    for item in comparison.answers:
        if answered(item):
            out.print()
            print_answer(item, out)
    if comparison.proposals:
        out.print()
        out.print(Text("What to run next", style="bold"))
    for item in comparison.proposals:
        question, cost = markdown.proposal_question(item), markdown.proposal_cost(item, chance=True)
        text = "; ".join(markdown.proposal_runs(item)) or item.reason
        out.print(_indented(f"{question} {cost}".strip() + f": {text}"))


def print_answer(item: Answer, out: Console, limits: bool = False) -> None:
    """Print a question, its verdict and the sentence, and what it does not cover."""
    badge = BADGES[item.verdict]
    verdict = (badge.text, _VERDICT_STYLES[badge.verdict])
    out.print(Text.assemble((item.question, "bold"), "  ", verdict))
    out.print(_indented(item.sentence))
    for line in item.limits if limits else ():
        out.print(_indented(f"- {line}", "dim"))


def print_ranking(comparison: Comparison, item: ComparabilityClass, out: Console) -> None:
    """Print configurations with as many columns as fit, and each remark below them once."""
    shown = markdown.narrow_table(comparison, item)
    out.print(_table(shown, out.width))
    remarks: dict[str, list[str]] = {}
    note = "; ≈ cannot be told from rank 1" * any(tied for _, tied in shown.ranks)
    out.print(Text(f"  ranked by {shown.by}{note}", style="dim"))
    for place in item.ranking:
        parts = (f"{place.survivors}." * bool(place.survivors), record_note(place.runs))
        if remark := " ".join(filter(None, parts)):
            remarks.setdefault(remark, []).append(wording.label(place.run))
    for remark, names in remarks.items():
        out.print(Text(f"  {', '.join(names)}: {remark}", style="dim"), soft_wrap=False)


def _table(shown: RankingTable, width: int) -> Table:
    """A table in which nothing but names is broken, and headings only between words."""
    headings = ["rank", "experiment", "loss", *(column.heading for column in shown.columns)]
    rows = []
    for (place, cells), (number, tied) in zip(shown.rows, shown.ranks, strict=True):
        name = wording.first_label(place.runs)
        name += f" {place.run.name}" if place.run.name != wording.label(place.run) else ""
        loss, interval = wording.loss_and_interval(place)
        loss += f" ({interval})" if interval else ""
        rank = f"{number}{' ≈' if tied else ''}"
        rows.append([rank, name, loss, *(cell.text for cell in cells)])
    widths = [
        max(len(text) for text in (*heading.split(), *column))
        for heading, *column in zip(headings, *rows, strict=True)
    ]
    name, widths[1] = widths[1], min(widths[1], NAME_WIDTH)
    while len(widths) > 3 and sum(widths) + 2 * (len(widths) - 1) > width:
        widths.pop()
    widths[1] = min(name, max(widths[1], width - sum(widths) - 2 * (len(widths) - 1) + widths[1]))
    table = plain_table()
    for place, size in enumerate(widths):
        numeric = place != 1 and (place < 3 or shown.columns[place - 3].numeric)
        justify = "right" if numeric else "left"
        table.add_column(headings[place], justify=justify, width=size, overflow="fold")
    for row in rows:
        table.add_row(*row[: len(widths)])
    return table


def _indented(text: str, style: str = "") -> Padding:
    return Padding(Text(text, style=style), (0, 0, 0, 2))
