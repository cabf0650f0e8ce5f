"""The journal's Markdown: overview, findings, recommendations, experiments, what is open."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from gr00t_assets.comparison.answers.words import loss_words
from gr00t_assets.comparison.contrasts.ranking import Ranked
from gr00t_assets.comparison.findings import names_in_words
from gr00t_assets.reporting.journal.commands import commands
from gr00t_assets.reporting.journal.entries import config_words, entries
from gr00t_assets.reporting.journal.notes import FOLDER, Note, quoted
from gr00t_assets.reporting.report.contrast_rows import answer_mark, shared_limits
from gr00t_assets.reporting.report.costs import costs
from gr00t_assets.reporting.report.evaluated import evaluated_table
from gr00t_assets.reporting.report.markdown import (
    escaped,
    group_heading,
    proposals_markdown,
    ranking_markdown,
    verdict_markdown,
)
from gr00t_assets.reporting.report.ranked import shown_name
from gr00t_assets.reporting.report.subject import Group, Subject

_OPEN = ("inconclusive", "confounded")
_BEGINNING = (
    "Written from the runs; what is changed here is lost. Notes of your own go into "
    f"`{FOLDER.as_posix()}/*.md` and are kept and placed."
)


def journal_text(
    subjects: Sequence[Subject],
    planned: Mapping[str, Sequence[str]],
    notes: Sequence[Note] = (),
    problems: Sequence[str] = (),
) -> str:
    """The whole journal. The same runs and notes give the same bytes.

    Args:
        subjects: The store's first; runs in the order in which they are told.
        planned: Names of experiments that have not run, by sweep.
        notes: Of a person.
        problems: What could not be read, a sentence each.
    """
    names = {run.name for subject in subjects for run in subject.observations}
    asked = {answer.factor for subject in subjects for answer in subject.answers}
    unplaced = [note for note in notes if not _placed(note, names, asked)]
    parts = [
        "# Research journal",
        _BEGINNING,
        "## Overview",
        *_overview(subjects, planned, problems),
    ]
    parts += [quoted(note) for note in notes if note.kind == "general"]
    for subject in subjects:
        parts += _subject(subject, notes, several=len(subjects) > 1)
    if any(planned.values()):
        parts += ["## Experiments that have not run", *_planned(planned)]
    if unplaced:
        parts += ["## Notes without a place", *(_unplaced(note) for note in unplaced)]
    return "\n\n".join(parts) + "\n"


def _subject(subject: Subject, notes: Sequence[Note], several: bool) -> list[str]:
    ending = f" ({subject.title})" if several else ""
    by_name: dict[str, list[Note]] = {}
    for note in notes:
        if note.kind == "experiment":
            by_name.setdefault(note.subject, []).append(note)
    told = entries(subject, by_name)
    parts = [f"## Key findings{ending}", verdict_markdown(subject)]
    parts += _findings(subject, notes)
    parts += [f"## Best configurations, by class{ending}"] if subject.groups else []
    for group in subject.groups:
        parts += [f"### {escaped(group_heading(group))}", ranking_markdown(group, most=20)]
        evaluated = evaluated_table(group.ranked, subject.evaluations)
        if evaluated:
            parts.append(escaped(evaluated.agreement))
    if subject.groups:
        parts += [f"## Recommended configurations{ending}"]
        parts += [_recommended(group) for group in subject.groups]
    parts += [f"## Experiments{ending}", *told]
    if subject.proposals:
        parts += [f"## Next experiments{ending}", proposals_markdown(subject)]
    questions = _open_questions(subject)
    if questions:
        parts += [f"## Open questions{ending}", "\n".join(questions)]
    if needs := _needs(subject):
        parts += [f"## Memory and time{ending}", "\n".join(needs)]
    return parts


def _overview(
    subjects: Sequence[Subject], planned: Mapping[str, Sequence[str]], problems: Sequence[str]
) -> list[str]:
    lines = []
    for subject in subjects:
        statuses = Counter(run.status for run in subject.observations)
        counts = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
        lines.append(f"- {escaped(subject.title)}: {len(subject.observations)} ({counts})")
        datasets = Counter(run.dataset for run in subject.observations)
        words = [f"{name or 'not known'} ({count})" for name, count in sorted(datasets.items())]
        lines.append(f"  - datasets: {escaped(', '.join(words))}")
        classes = [
            f"{escaped(group_heading(group))}: {len(group.ranked)} configurations"
            for group in subject.groups
        ]
        lines += [f"  - class {each}" for each in classes]
    waiting = sum(map(len, planned.values()))
    if waiting:
        lines.append(f"- Experiments that have not run: {waiting}")
    lines += [f"- Could not be read: {escaped(problem)}" for problem in problems]
    return ["\n".join(lines) or "No experiment has a run yet."]


def _findings(subject: Subject, notes: Sequence[Note]) -> list[str]:
    shared = shared_limits(subject.answers)
    parts = []
    for answer in sorted(subject.answers, key=lambda each: not each.evidence):
        lines = [
            f"### {escaped(answer.question)}",
            "",
            f"{answer_mark(answer).text}. {escaped(answer.sentence)}",
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


def _recommended(group: Group) -> str:
    best, *others = group.ranked
    tied = [each for each in others if each.tied_with_best]
    known = _known(best, len(others), tied)
    lines = [
        f"**{escaped(group_heading(group))}**: {escaped(shown_name(best))}, loss "
        f"{loss_words(best.observations)}. {escaped(known)} "
        f"Its config: {escaped(config_words(best.observation))}.",
        "",
        "```bash",
        *commands(best.observation),
        "```",
    ]
    return "\n".join(lines)


def _known(best: Ranked, others: int, tied: Sequence[Ranked]) -> str:
    if not others:
        return "It is the only one that finished, so nothing says that it is good."
    if tied:
        names = names_in_words([shown_name(each) for each in tied], 4)
        return f"It has the lowest loss, but it cannot be told from {names}."
    return "It has the lowest loss, by more than noise explains; why, the questions above say."


def _open_questions(subject: Subject) -> list[str]:
    return [
        f"- {escaped(answer.question)} {answer_mark(answer).text}: {escaped(answer.sentence)}"
        for answer in subject.answers
        if answer.verdict in _OPEN
    ]


def _needs(subject: Subject) -> list[str]:
    lines = []
    for each in costs(subject.observations, None):
        words = [
            *([f"{each.memory} GB"] if each.memory else []),
            *([f"{each.speed} samples/s"] if each.speed else []),
            *(
                [f"{each.hours} GPU-hours in {each.runs} runs"]
                if each.hours not in ("", "0")
                else []
            ),
        ]
        about = ", ".join(part for part in (each.subject, each.parts, each.settings) if part)
        lines.append(f"- {escaped(about)}: {', '.join(words)}")
    return lines


def _planned(planned: Mapping[str, Sequence[str]]) -> list[str]:
    lines = [
        f"- {escaped(sweep)}: {escaped(names_in_words(list(names), 40))}"
        for sweep, names in planned.items()
        if names
    ]
    return ["\n".join(lines)]


def _placed(note: Note, names: Iterable[str], asked: Iterable[str]) -> bool:
    match note.kind:
        case "general":
            return True
        case "experiment":
            return note.subject in names
        case "question":
            return note.subject in asked
    return False


def _unplaced(note: Note) -> str:
    reason = note.problem
    if note.kind == "experiment":
        reason = f"{note.subject} has not run yet"
    elif note.kind == "question":
        reason = f"nothing was run that asks about {note.subject.replace('_', ' ')} yet"
    return f"{quoted(note)}\n\n({escaped(reason)})"
