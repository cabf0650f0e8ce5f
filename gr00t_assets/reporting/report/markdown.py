"""A subject in GitHub's Markdown, for Dagster's pages and the research journal."""

from collections.abc import Sequence

from gr00t_assets.comparison.answers.words import loss_words
from gr00t_assets.comparison.contrasts.ranking import Ranked
from gr00t_assets.comparison.formatting import shown
from gr00t_assets.reporting.report.contrast_rows import answer_mark, shared_limits
from gr00t_assets.reporting.report.evaluated import evaluated_table
from gr00t_assets.reporting.report.ranked import (
    FACTORS,
    short_name,
    shown_name,
    varying_settings,
)
from gr00t_assets.reporting.report.subject import Group, Subject
from gr00t_assets.reporting.report.views import class_title, frames_warning, proposal_view

MOST_SETTINGS = 4
"""Columns of varying settings; the page has them all."""


def subject_markdown(subject: Subject, most: int = 50) -> str:
    """Verdict, answers, rankings and proposals.

    Args:
        subject: What to write of.
        most: Rows of one ranking.
    """
    parts = [verdict_markdown(subject), escaped(subject.origin)]
    if subject.answers:
        parts += ["### Questions and answers", answers_markdown(subject)]
    for group in subject.groups:
        parts += [f"### {escaped(group_heading(group))}", ranking_markdown(group, most)]
        evaluated = evaluated_table(group.ranked, subject.evaluations)
        if evaluated:
            parts.append(escaped(evaluated.agreement))
    if subject.proposals:
        parts += ["### What to run next", proposals_markdown(subject)]
    return "\n\n".join(parts)


def verdict_markdown(subject: Subject) -> str:
    """What is best and whether that is known; one line a class where there are several."""
    if len(subject.groups) < 2:
        return f"**{escaped(subject.verdict)}**"
    lines = [
        f"- {escaped(group_heading(group))}: **{escaped(group.verdict)}**"
        for group in subject.groups
    ]
    return "\n".join(["The classes are never ranked against each other.", "", *lines])


def group_heading(group: Group) -> str:
    """What a class is of, with a warning where its images are not known to be right."""
    warning = frames_warning(group.kind.frames)
    return class_title(group) + (f" ({warning})" if warning else "")


def answers_markdown(subject: Subject) -> str:
    """One line a question: the question, the verdict's symbol and word, the answer, its limits."""
    shared = shared_limits(subject.answers)
    lines = []
    for answer in sorted(subject.answers, key=lambda each: not each.evidence):
        badge = answer_mark(answer).text
        lines.append(f"- **{escaped(answer.question)}** {badge}. {escaped(answer.sentence)}")
        lines += [f"  - {escaped(limit)}" for limit in answer.limits if limit not in shared]
    if shared:
        lines += ["", f"Of all of these: {escaped(' '.join(shared))}"]
    return "\n".join(lines)


def ranking_markdown(group: Group, most: int = 50) -> str:
    """The ranking of one class, numbers aligned to the right."""
    shown_rows = group.ranked[:most]
    varying = varying_settings(run for each in group.ranked for run in each.observations)
    settings = (*FACTORS, *varying[:MOST_SETTINGS])
    heads = ["rank", "experiment", "loss ± se", *map(short_name, settings), "steps", "samples seen",
             "epochs", "runs"]  # fmt: skip
    lines = [
        "| " + " | ".join(heads) + " |",
        "|" + "|".join(":--" if head == "experiment" else "--:" for head in heads) + "|",
    ]
    lines += ["| " + " | ".join(map(escaped, _cells(each, settings))) + " |" for each in shown_rows]
    rest = len(group.ranked) - len(shown_rows)
    return "\n".join(lines) + (f"\n\nand {rest:,} more in the report" if rest > 0 else "")


def proposals_markdown(subject: Subject) -> str:
    """One line a proposal, its runs below it."""
    lines = []
    for proposal in subject.proposals:
        view = proposal_view(proposal)
        lines.append(f"- **{escaped(view.question)}**: {escaped(view.reason)} {view.cost}".rstrip())
        lines += [f"  - {escaped(line)}" for line in view.experiments]
    return "\n".join(lines)


def escaped(text: str) -> str:
    r"""Text that Markdown leaves as it is, on one line.

    Example:
        >>> print(escaped("a|b <i> c_d"))
        a\|b &lt;i&gt; c\_d
    """
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for character in "\\|`*_[]":
        text = text.replace(character, "\\" + character)
    return text


def _cells(each: Ranked, settings: Sequence[str]) -> list[str]:
    run = each.observation
    place = f"{each.place}{' ≈' if each.tied_with_best and each.place > 1 else ''}"
    return [
        place,
        shown_name(each),
        loss_words(each.observations),
        *(shown(run.settings[name], name) if name in run.settings else "" for name in settings),
        shown(run.max_steps, "max_steps"),
        shown(run.samples_seen, "samples_seen"),
        shown(run.epochs, "epochs"),
        str(len(each.observations)),
    ]
