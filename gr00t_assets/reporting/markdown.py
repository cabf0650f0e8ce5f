"""A comparison in GitHub's Markdown, for Dagster's pages and the research journal."""

import re
import sys
from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

from gr00t_assets.comparison import wording
from gr00t_assets.comparison.answers import headline
from gr00t_assets.comparison.comparison import Comparison
from gr00t_assets.comparison.proposals.control_runs import Proposal
from gr00t_assets.comparison.statistics.factors import IMMATERIAL
from gr00t_assets.comparison.statistics.ranking import ComparabilityClass
from gr00t_assets.core.text import counted, markdown, shown_setting
from gr00t_assets.reporting import effect_table, evaluation_ranking, ranking_table, summaries
from gr00t_assets.reporting.ranking_table import RankingTable, class_title, frames_warning

if TYPE_CHECKING:
    import jinja2

MOST_ROWS = 50  # Rows of one ranking; the page has them all
MOST_SETTINGS = 4  # Columns of varying settings; the page has them all


def comparison_markdown(comparison: Comparison) -> str:
    """Verdict, answers, rankings and proposals."""
    return _part("report", comparison, MOST_ROWS)


def narrow_table(comparison: Comparison, ranked_class: ComparabilityClass) -> RankingTable:
    """The ranking of a class with the columns that have room in a report and on a terminal."""
    return ranking_table.ranking_table(
        ranked_class.ranking, comparison.evaluations, MOST_SETTINGS, False, comparison.success
    )


def answers_markdown(comparison: Comparison) -> str:
    """One line a question: the question, the verdict's symbol and word, the answer; the limits."""
    return _part("answers", comparison)


def proposals_markdown(proposals: Sequence[Proposal]) -> str:
    """One line a proposal, its runs below it."""
    return _part("proposals", proposals)


def class_heading(ranked_class: ComparabilityClass) -> str:
    """What a class is of, with a warning where its images are not known to be right."""
    warning = frames_warning(ranked_class.frames)
    return class_title(ranked_class) + (f" ({warning})" if warning else "")


def proposal_question(proposal: Proposal) -> str:
    """What a proposal is made to know."""
    return f"To know of {', '.join(proposal.topics)}"


def proposal_cost(proposal: Proposal, chance: bool = False) -> str:
    """Runs, hours and ``chance`` to settle it, in brackets; '' where a begun run is continued."""
    count, hours = len(proposal.experiments), proposal.gpu_hours
    if not count:
        return ""
    parts = [counted(count, "run")]
    if hours is not None:
        unit = wording.hours_unit([experiment.reference for experiment in proposal.experiments])
        parts.append(f"about {hours:.2g} {unit}")
    if chance and proposal.chance is not None:
        parts.append(f"chance to settle it {wording.chance_words(proposal.chance)}")
    return f"({', '.join(parts)})"


def proposal_runs(proposal: Proposal) -> list[str]:
    """Each run in words; those that differ in one value, or in the same, in a line."""
    values_of: dict[tuple[str, str], list[str]] = {}
    for experiment in proposal.experiments:
        changes = [
            (wording.factor_words(name), shown_setting(value))
            for name, value in experiment.changes.items()
            if name not in IMMATERIAL
        ]
        *fixed, (last, value) = changes or [("", "")]
        words = ", ".join([*(f"{name} {text}" for name, text in fixed), last])
        values_of.setdefault((wording.label(experiment.reference), words), []).append(value)
    names_of: dict[str, list[str]] = {}
    for (name, words), values in values_of.items():
        names_of.setdefault(f"{words} {wording.names_in_words(values)}".strip(), []).append(name)
    likes = ((wording.names_in_words(names, 3), words) for words, names in names_of.items())
    return [f"like {names}, but {words}" for names, words in likes]


def template_environment(*modules: ModuleType, autoescape: bool = False) -> "jinja2.Environment":
    """Templates of this package, with the functions and constants of modules, and as filters."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gr00t_assets.reporting"),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if name.isupper() or getattr(value, "__module__", "") == module.__name__
    }
    environment.globals |= names
    environment.filters |= {name: value for name, value in names.items() if callable(value)}
    environment.filters |= {"escaped": markdown, "counted": counted}
    return environment


@cache
def markdown_environment() -> "jinja2.Environment":
    """Templates of Markdown; ``escaped`` is to be used on everything that comes from files."""
    return template_environment(
        wording, headline, effect_table, evaluation_ranking, ranking_table, summaries,
        sys.modules[__name__],
    )  # fmt: skip


def tidy(markdown: str) -> str:
    """Markdown with one blank line where a template left several, and none around it."""
    return re.sub(r"\n{3,}", "\n\n", markdown).strip("\n")


def _part(macro: str, *arguments: object) -> str:
    module = markdown_environment().get_template("comparison.md.j2").module
    return tidy(getattr(module, macro)(*arguments))
