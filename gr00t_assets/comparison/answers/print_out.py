"""A comparison of runs on a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gr00t_assets.comparison.answers.answer import Answer
from gr00t_assets.comparison.answers.as_json import not_ranked_reason
from gr00t_assets.comparison.answers.comparison import Comparison
from gr00t_assets.comparison.answers.words import label, shown
from gr00t_assets.comparison.contrasts.contrast import Verdict
from gr00t_assets.comparison.contrasts.factors import factor_value
from gr00t_assets.comparison.contrasts.ranking import Class, Ranked
from gr00t_assets.comparison.findings import loss_text

VERDICT_STYLES: dict[Verdict, str] = {
    "controlled": "bold green",
    "within_noise": "cyan",
    "inconclusive": "yellow",
    "confounded": "red",
    "not_comparable": "dim",
}
_SETTINGS = ("learning_rate", "batch_size", "max_steps")
_HEADS = {"learning_rate": "lr", "batch_size": "batch", "max_steps": "steps"}


def print_comparison(comparison: Comparison, out: Console) -> None:
    """Print headline, rankings by class, runs without a place, and the answers."""
    out.print(Text(comparison.headline, style="bold"))
    for group, found in comparison.groups:
        if found:
            out.print()
            _print_class(group, found, out)
    if comparison.not_ranked:
        out.print()
        out.print(Text("Not ranked", style="bold"))
        for run in comparison.not_ranked:
            _indented(Text(f"{label(run)}: {not_ranked_reason(run)}"), out)
    for one in comparison.answers:
        out.print()
        print_answer(one, out, limits=False)


def print_answer(answer: Answer, out: Console, limits: bool = True) -> None:
    """Print a question, its verdict and the sentence, and what it does not cover."""
    head = Text(answer.question, style="bold")
    head.append("  ")
    head.append(answer.verdict.replace("_", " "), style=VERDICT_STYLES[answer.verdict])
    out.print(head)
    _indented(Text(answer.sentence), out)
    if limits:
        for line in answer.limits:
            _indented(Text(f"- {line}", style="dim"), out)


def print_answers(answers: Sequence[Answer], out: Console) -> None:
    """Print answers one below the other, without their limits."""
    for one in answers:
        print_answer(one, out, limits=False)


def _print_class(group: Class, found: Sequence[Ranked], out: Console) -> None:
    words = ", ".join(shown(value) for name, value in group.words.items() if name != "frames")
    mark = {"known wrong": "frames known wrong", "not verified": "frames not verified"}
    title = Text(f"Class {group.short_id}: {words}", style="bold")
    if group.frames in mark:
        title.append(f"  {mark[group.frames]}", style="red")
    out.print(title)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("place", justify="right")
    table.add_column("run", overflow="fold", min_width=10)
    table.add_column("name", overflow="fold", min_width=10)
    table.add_column("loss ± se", justify="right", no_wrap=True)
    table.add_column("best?", no_wrap=True)
    for head in ("samples", "epochs", *_HEADS.values()):
        table.add_column(head, justify="right", no_wrap=True)
    for place in found:
        for run in place.observations:
            loss = run.loss
            table.add_row(
                str(place.place),
                run.run_id,
                run.name if run.name != run.run_id else "",
                loss_text(loss.mean, loss.standard_error) if loss else "",
                "tied" if place.tied_with_best and len(found) > 1 else "",
                f"{run.samples_seen:,}" if run.samples_seen is not None else "",
                f"{run.epochs:.2g}" if run.epochs is not None else "",
                *(shown(factor_value(run, name)) for name in _SETTINGS),
            )
    out.print(table)


def _indented(text: Text, out: Console) -> None:
    out.print(Padding(text, (0, 0, 0, 2)))
