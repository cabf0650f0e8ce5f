"""The research journal, ``reports/research_journal.md``, from the runs and a person's notes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gr00t_assets.comparison.all_runs import from_store
from gr00t_assets.comparison.compare import Comparison
from gr00t_assets.comparison.contrasts.ranking import ComparabilityClass
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.wording import factor_words, loss_words, names_in_words
from gr00t_assets.core.files import write_bytes
from gr00t_assets.core.project import Store, project_root
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.reporting.contrast_table import answer_badge, shared_limits
from gr00t_assets.reporting.costs import configuration_costs
from gr00t_assets.reporting.journal.entries import commands, config_words, entries
from gr00t_assets.reporting.journal.notes import FOLDER, Note, quoted, read_notes
from gr00t_assets.reporting.markdown import (
    class_heading,
    class_markdown,
    escaped,
    proposals_markdown,
    verdict_markdown,
)
from gr00t_assets.reporting.ranking_table import ranked_name
from gr00t_assets.reporting.report import compare_everything, short_verdict
from gr00t_assets.runs.stored_run import read_runs

FILE = "research_journal.md"
MOST_ROWS = 20
"""Rows of one ranking; the report has them all."""

_OPEN_VERDICTS = ("inconclusive", "confounded")
_BEGINNING = (
    "Written from the runs; what is changed here is lost. Notes of your own go into "
    f"`{FOLDER.as_posix()}/*.md` and are kept and placed."
)


@dataclass(frozen=True)
class Journal:
    """A written journal.

    Attributes:
        path: The Markdown file.
        text: Its content.
        changed: Whether it says anything other than before; where it does not, the file is left
            as it was.
        comparisons: What it was written from.
        notes: Every note of a person, placed or not.
    """

    path: Path
    text: str
    changed: bool
    comparisons: tuple[Comparison, ...]
    notes: tuple[Note, ...]

    @property
    def verdict(self) -> str:
        """What is best and whether that is known."""
        return short_verdict(self.comparisons)


def write_journal(
    sweeps: Sequence[Sweep],
    store: Store,
    notes_folder: Path | None = None,
    imported: Sequence[Run] | None = None,
) -> Journal:
    """Write the journal in one step.

    It holds nothing but what the runs and the notes say: no clock, and no order of files on disk.
    A former journal is replaced and not kept, since the runs and notes that it was written from
    are never changed or deleted by this.

    Args:
        sweeps: Every sweep of the project.
        store: Where the runs are, and where the journal goes.
        notes_folder: A person's notes; ``data/journal/notes`` of the project where left out.
        imported: Runs from elsewhere; those of the project's table and of W&B where left out.

    Raises:
        StoreError: The disk is full; the former journal is as it was.
    """
    ordered = sorted(sweeps, key=lambda sweep: sweep.name)
    stored = {sweep.name: read_runs(sweep.experiments, store) for sweep in ordered}
    everything = [item for of_sweep in stored.values() for item in of_sweep]
    comparisons, problems = compare_everything(from_store(everything), store, imported)
    names = {item.name for item in everything}
    names |= {run.name for comparison in comparisons for run in comparison.runs}
    notes = read_notes(notes_folder or project_root() / FOLDER, names)
    planned = {
        sweep: [item.name for item in of_sweep if item.status == "missing"]
        for sweep, of_sweep in stored.items()
    }
    text = journal_text(comparisons, planned, notes, problems)
    path = store.reports / FILE
    changed = not path.is_file() or path.read_bytes() != text.encode()
    if changed:
        write_bytes(path, text.encode())
    return Journal(path, text, changed, tuple(comparisons), tuple(notes))


def journal_text(
    comparisons: Sequence[Comparison],
    planned: Mapping[str, Sequence[str]],
    notes: Sequence[Note] = (),
    problems: Sequence[str] = (),
) -> str:
    """The whole journal. The same runs and notes give the same bytes.

    Args:
        comparisons: That of the store first; its runs in order of their start.
        planned: Names of experiments that have not run, by sweep.
        notes: Of a person.
        problems: What could not be read, a sentence each.
    """
    names = {run.name for comparison in comparisons for run in comparison.runs}
    factors = {answer.factor for comparison in comparisons for answer in comparison.answers}
    unplaced = [note for note in notes if not _is_placed(note, names, factors)]
    parts = ["# Research journal", _BEGINNING, "## Overview"]
    parts.append(_overview(comparisons, planned, problems))
    parts += [quoted(note) for note in notes if note.kind == "general"]
    for comparison in comparisons:
        parts += _comparison(
            comparison, notes, ending=f" ({comparison.title})" if len(comparisons) > 1 else ""
        )
    if any(planned.values()):
        parts += ["## Experiments that have not run", _planned(planned)]
    if unplaced:
        parts += ["## Notes without a place", *map(_unplaced, unplaced)]
    return "\n\n".join(parts) + "\n"


def _comparison(comparison: Comparison, notes: Sequence[Note], ending: str) -> list[str]:
    about_experiments: dict[str, list[Note]] = {}
    for note in notes:
        if note.kind == "experiment":
            about_experiments.setdefault(note.subject, []).append(note)
    parts = [f"## Key findings{ending}", verdict_markdown(comparison), *_answers(comparison, notes)]
    if comparison.ranked_classes:
        parts += [f"## Best configurations, by class{ending}"]
    for ranked_class in comparison.ranked_classes:
        parts += [f"### {escaped(class_heading(ranked_class))}"]
        parts += class_markdown(comparison, ranked_class, MOST_ROWS)
    if comparison.ranked_classes:
        parts += [
            f"## Recommended configurations{ending}",
            *map(_recommended, comparison.ranked_classes),
        ]
    parts += [f"## Experiments{ending}", *entries(comparison, about_experiments)]
    if comparison.proposals:
        parts += [f"## Next experiments{ending}", proposals_markdown(comparison.proposals)]
    if questions := _open_questions(comparison):
        parts += [f"## Open questions{ending}", "\n".join(questions)]
    if costs := _costs(comparison):
        parts += [f"## Memory and time{ending}", "\n".join(costs)]
    return parts


def _overview(
    comparisons: Sequence[Comparison], planned: Mapping[str, Sequence[str]], problems: Sequence[str]
) -> str:
    lines = []
    for comparison in comparisons:
        statuses = Counter(run.status for run in comparison.runs)
        counts = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
        lines.append(f"- {escaped(comparison.title)}: {len(comparison.runs)} ({counts})")
        datasets = Counter(run.dataset for run in comparison.runs)
        names = [f"{name or 'not known'} ({count})" for name, count in sorted(datasets.items())]
        lines.append(f"  - datasets: {escaped(', '.join(names))}")
        lines += [
            f"  - class {escaped(class_heading(ranked_class))}: "
            f"{len(ranked_class.ranking)} configurations"
            for ranked_class in comparison.ranked_classes
        ]
    waiting = sum(map(len, planned.values()))
    if waiting:
        lines.append(f"- Experiments that have not run: {waiting}")
    lines += [f"- Could not be read: {escaped(problem)}" for problem in problems]
    return "\n".join(lines) or "No experiment has a run yet."


def _answers(comparison: Comparison, notes: Sequence[Note]) -> list[str]:
    shared = shared_limits(comparison.answers)
    parts = []
    for answer in sorted(comparison.answers, key=lambda answer: not answer.evidence):
        lines = [
            f"### {escaped(answer.question)}",
            "",
            f"{answer_badge(answer).text}. {escaped(answer.sentence)}",
        ]
        limits = [limit for limit in answer.limits if limit not in shared]
        if limits:
            lines += ["", *(f"- {escaped(limit)}" for limit in limits)]
        parts.append("\n".join(lines))
        parts += [
            quoted(note)
            for note in notes
            if note.kind == "question" and note.subject == answer.factor
        ]
    if shared:
        parts.append(f"Of all of these: {escaped(' '.join(shared))}")
    return parts


def _recommended(ranked_class: ComparabilityClass) -> str:
    best, *others = ranked_class.ranking
    tied = [ranked_name(ranked) for ranked in others if ranked.tied]
    if not others:
        known = "It is the only one that finished, so nothing says that it is good."
    elif tied:
        known = f"It has the lowest loss, but it cannot be told from {names_in_words(tied, 4)}."
    else:
        known = "It has the lowest loss, by more than noise explains; why, the questions above say."
    lines = [
        f"**{escaped(class_heading(ranked_class))}**: {escaped(ranked_name(best))}, loss "
        f"{loss_words(best.runs)}. {escaped(known)} Its config: {escaped(config_words(best.run))}.",
        "",
        "```bash",
        *commands(best.run),
        "```",
    ]
    return "\n".join(lines)


def _open_questions(comparison: Comparison) -> list[str]:
    return [
        f"- {escaped(answer.question)} {answer_badge(answer).text}: {escaped(answer.sentence)}"
        for answer in comparison.answers
        if answer.verdict in _OPEN_VERDICTS
    ]


def _costs(comparison: Comparison) -> list[str]:
    lines = []
    for cost in configuration_costs(comparison.runs):
        needs = [
            *([f"{cost.memory} GB"] if cost.memory else []),
            *([f"{cost.speed} samples/s"] if cost.speed else []),
            *(
                [f"{cost.hours} GPU-hours in {cost.runs} runs"]
                if cost.hours not in ("", "0")
                else []
            ),
        ]
        about = ", ".join(part for part in (cost.trained_with, cost.parts, cost.settings) if part)
        lines.append(f"- {escaped(about)}: {', '.join(needs)}")
    return lines


def _planned(planned: Mapping[str, Sequence[str]]) -> str:
    return "\n".join(
        f"- {escaped(sweep)}: {escaped(names_in_words(list(names), 40))}"
        for sweep, names in planned.items()
        if names
    )


def _is_placed(note: Note, names: Iterable[str], factors: Iterable[str]) -> bool:
    match note.kind:
        case "general":
            return True
        case "experiment":
            return note.subject in names
        case "question":
            return note.subject in factors
    return False


def _unplaced(note: Note) -> str:
    reason = note.problem
    if note.kind == "experiment":
        reason = f"{note.subject} has not run yet"
    elif note.kind == "question":
        reason = f"nothing was run that asks about {factor_words(note.subject)} yet"
    return f"{quoted(note)}\n\n({escaped(reason)})"
