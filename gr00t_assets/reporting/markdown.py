"""A comparison in GitHub's Markdown, for Dagster's pages and the research journal."""

from collections.abc import Sequence

from gr00t_assets.comparison.answers.headline import class_headline
from gr00t_assets.comparison.compare import Comparison
from gr00t_assets.comparison.contrasts.factors import IMMATERIAL
from gr00t_assets.comparison.contrasts.ranking import ComparabilityClass
from gr00t_assets.comparison.proposals.proposals import Proposal
from gr00t_assets.comparison.wording import factor_words, label, loss_words, names_in_words
from gr00t_assets.core.units import shown_setting
from gr00t_assets.reporting.contrast_table import answer_badge, shared_limits
from gr00t_assets.reporting.evaluation_ranking import evaluation_ranking
from gr00t_assets.reporting.ranking_table import (
    class_title,
    frames_warning,
    ranked_name,
    ranking_table,
)

MOST_ROWS = 50
"""Rows of one ranking; the page has them all."""

MOST_SETTINGS = 4
"""Columns of varying settings; the page has them all."""


def comparison_markdown(comparison: Comparison) -> str:
    """Verdict, answers, rankings and proposals."""
    parts = [verdict_markdown(comparison), escaped(comparison.origin)]
    if comparison.answers:
        parts += ["### Questions and answers", answers_markdown(comparison)]
    for ranked_class in comparison.ranked_classes:
        parts += [f"### {escaped(class_heading(ranked_class))}"]
        parts += class_markdown(comparison, ranked_class, MOST_ROWS)
    if comparison.proposals:
        parts += ["### What to run next", proposals_markdown(comparison.proposals)]
    return "\n\n".join(parts)


def verdict_markdown(comparison: Comparison) -> str:
    """What is best and whether that is known; one line a class where there are several."""
    if len(comparison.ranked_classes) < 2:
        return f"**{escaped(comparison.headline)}**"
    lines = [
        f"- {escaped(class_heading(ranked_class))}: **{escaped(class_headline(ranked_class))}**"
        for ranked_class in comparison.ranked_classes
    ]
    return "\n".join(["The classes are never ranked against each other.", "", *lines])


def class_heading(ranked_class: ComparabilityClass) -> str:
    """What a class is of, with a warning where its images are not known to be right."""
    warning = frames_warning(ranked_class.frames)
    return class_title(ranked_class) + (f" ({warning})" if warning else "")


def class_markdown(
    comparison: Comparison, ranked_class: ComparabilityClass, most: int
) -> list[str]:
    """Ranking of a class, and whether open-loop errors agree with it where there are some.

    Args:
        comparison: What the class is of.
        ranked_class: With at least one finished run.
        most: Rows of the ranking.
    """
    parts = [ranking_markdown(ranked_class, most)]
    evaluated = evaluation_ranking(ranked_class.ranking, comparison.evaluations)
    return [*parts, escaped(evaluated.agreement.sentence)] if evaluated else parts


def ranking_markdown(ranked_class: ComparabilityClass, most: int = MOST_ROWS) -> str:
    """The ranking of one class, numbers aligned to the right."""
    table = ranking_table(ranked_class.ranking, {}, MOST_SETTINGS, wide=False)
    headings = ["rank", "experiment", "loss ± se", *(column.heading for column in table.columns)]
    lines = [
        "| " + " | ".join(map(escaped, headings)) + " |",
        "|" + "|".join(":--" if heading == "experiment" else "--:" for heading in headings) + "|",
    ]
    for ranked, cells in table.rows[:most]:
        place = f"{ranked.place}{' ≈' if ranked.tied else ''}"
        texts = [
            place,
            ranked_name(ranked),
            loss_words(ranked.runs),
            *(cell.text for cell in cells),
        ]
        lines.append("| " + " | ".join(map(escaped, texts)) + " |")
    hidden = len(table.rows) - most
    return "\n".join(lines) + (f"\n\nand {hidden:,} more in the report" if hidden > 0 else "")


def answers_markdown(comparison: Comparison) -> str:
    """One line a question: the question, the verdict's symbol and word, the answer, its limits."""
    shared = shared_limits(comparison.answers)
    lines = []
    for answer in sorted(comparison.answers, key=lambda answer: not answer.evidence):
        badge = answer_badge(answer).text
        lines.append(f"- **{escaped(answer.question)}** {badge}. {escaped(answer.sentence)}")
        lines += [f"  - {escaped(limit)}" for limit in answer.limits if limit not in shared]
    if shared:
        lines += ["", f"Of all of these: {escaped(' '.join(shared))}"]
    return "\n".join(lines)


def proposals_markdown(proposals: Sequence[Proposal]) -> str:
    """One line a proposal, its runs below it."""
    lines = []
    for proposal in proposals:
        question, cost = proposal_question(proposal), proposal_cost(proposal)
        lines.append(f"- **{escaped(question)}**: {escaped(proposal.reason)} {cost}".rstrip())
        lines += [f"  - {escaped(run)}" for run in proposal_runs(proposal)]
    return "\n".join(lines)


def proposal_question(proposal: Proposal) -> str:
    """What a proposal is made to know."""
    return f"To know of {', '.join(map(factor_words, proposal.questions))}"


def proposal_cost(proposal: Proposal) -> str:
    """Number of runs and GPU-hours in brackets; '' where a begun run is to be continued."""
    count, hours = len(proposal.experiments), proposal.gpu_hours
    if not count:
        return ""
    text = f"{count} {'run' if count == 1 else 'runs'}"
    return f"({text}, about {hours:.2g} GPU-hours)" if hours is not None else f"({text})"


def proposal_runs(proposal: Proposal) -> list[str]:
    """Each run in words; runs that differ in one value of one factor, such as seeds, in a line."""
    values: dict[tuple[str, tuple[str, ...], str], list[str]] = {}
    for experiment in proposal.experiments:
        changes = {
            name: shown_setting(value)
            for name, value in experiment.changes.items()
            if name not in IMMATERIAL
        }
        last = next(reversed(changes), "")
        fixed = tuple(
            f"{factor_words(name)} {value}" for name, value in changes.items() if name != last
        )
        key = (label(experiment.reference), fixed, factor_words(last))
        values.setdefault(key, []).append(changes.get(last, ""))
    return [
        f"like {name}, but " + ", ".join([*fixed, f"{last} {names_in_words(settings)}".strip()])
        for (name, fixed, last), settings in values.items()
    ]


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
