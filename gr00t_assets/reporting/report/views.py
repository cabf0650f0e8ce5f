"""Subjects put into what the template writes down: links, classes, proposals, runs set apart."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gr00t_assets.comparison.answers.words import label
from gr00t_assets.comparison.contrasts.factors import IMMATERIAL
from gr00t_assets.comparison.contrasts.observation import Observation
from gr00t_assets.comparison.findings import names_in_words
from gr00t_assets.comparison.formatting import shown_setting
from gr00t_assets.comparison.next_experiments.proposal import Proposal
from gr00t_assets.reporting.report.apart import ApartRow
from gr00t_assets.reporting.report.contrast_rows import Question, questions, shared_limits
from gr00t_assets.reporting.report.costs import Cost, costs, total_hours
from gr00t_assets.reporting.report.evaluated import EvaluatedTable, evaluated_table
from gr00t_assets.reporting.report.evaluation_figures import error_figure, trajectory_figures
from gr00t_assets.reporting.report.figures import curves_figure
from gr00t_assets.reporting.report.maps import Map, loss_map
from gr00t_assets.reporting.report.price import Price
from gr00t_assets.reporting.report.ranked import RankedTable, class_styles, ranked_table
from gr00t_assets.reporting.report.subject import Group, Subject

DRAWN = 60
"""Curves on shared axes at most; no one can tell more of them apart."""

APART = 200
"""Runs without a rank that are listed one by one at most."""


@dataclass(frozen=True)
class ClassView:
    """One class on the page; figures are places in the page's list of figures."""

    short_id: str
    title: str
    warning: str
    verdict: str
    words: list[tuple[str, str]]
    table: RankedTable
    figure: int | None
    drawn: str
    map: Map | None
    evaluated: EvaluatedTable | None
    evaluated_figure: int | None
    trajectories: list[tuple[int, str]]


@dataclass(frozen=True)
class ProposalView:
    """What to run next, in words."""

    question: str
    reason: str
    cost: str
    experiments: list[str]


@dataclass(frozen=True)
class SubjectView:
    """One subject on the page; ``anchor`` begins the names of its links."""

    key: str
    anchor: str
    imported: bool
    title: str
    origin: str
    verdict: str
    links: list[tuple[str, str]]
    questions: list[Question]
    shared_limits: list[str]
    classes: list[ClassView]
    proposals: list[ProposalView]
    costs: list[Cost]
    total: str
    price: bool
    apart: list[ApartRow]
    apart_more: int
    apart_words: str


@dataclass
class Figures:
    """The page's figures in order; what is written down is a place in it."""

    held: list[dict[str, Any]] = field(default_factory=list)

    def place(self, figure: dict[str, Any] | None) -> int | None:
        """Where a figure was put; None of none."""
        if figure is None:
            return None
        self.held.append(figure)
        return len(self.held) - 1


def subject_view(
    subject: Subject,
    figures: Figures,
    price: Price | None,
    apart: Sequence[ApartRow] = (),
    imported: bool = False,
) -> SubjectView:
    """A subject in words and cells; its figures are added to ``figures``."""
    anchor = f"{subject.key}-" if imported else ""
    asked = questions(subject.answers, subject.contrasts)
    classes = [_class_view(group, subject, figures) for group in subject.groups]
    needs = costs(subject.observations, price)
    proposed = [proposal_view(each) for each in subject.proposals]
    parts = (("answers", "Answers", asked), ("ranked", "Ranking", classes),
             ("contrasts", "Contrasts", asked), ("next", "Next", proposed),
             ("costs", "Memory and hours", needs), ("apart", "Not ranked", apart))  # fmt: skip
    links = [(f"{anchor}{name}", words) for name, words, there in parts if there]
    return SubjectView(
        key=subject.key,
        anchor=anchor,
        imported=imported,
        title=subject.title,
        origin=subject.origin,
        verdict=subject.verdict,
        links=[(subject.key, subject.title)] if imported else links,
        questions=asked,
        shared_limits=shared_limits(subject.answers),
        classes=classes,
        proposals=proposed,
        costs=needs,
        total=_total(subject.observations, price),
        price=price is not None,
        apart=list(apart[:APART]),
        apart_more=max(0, len(apart) - APART),
        apart_words=", ".join(
            f"{count:,} {status}"
            for status, count in Counter(row.status for row in apart[APART:]).items()
        ),
    )


def class_title(group: Group) -> str:
    """Dataset, trained parts and trainer, as far as they are known."""
    run = group.kind.observations[0]
    words = group.kind.words
    parts = [run.dataset, words.get("trainable parts", ""), words.get("trainer", "")]
    return " · ".join(part for part in parts if part)


def frames_warning(frames: str) -> str:
    """A few words where the images are not known to be right; '' where they are."""
    return {"known wrong": "trained on wrong frames", "not verified": "frames not verified"}.get(
        frames, ""
    )


def proposal_view(proposal: Proposal) -> ProposalView:
    """A proposal in words."""
    factors = ", ".join(name.replace("_", " ") for name in proposal.questions)
    hours = proposal.gpu_hours
    count = len(proposal.experiments)
    cost = f"{count} {'run' if count == 1 else 'runs'}" if count else ""
    if hours is not None and count:
        cost += f", about {hours:.2g} GPU-hours"
    return ProposalView(
        question=f"To know of {factors}",
        reason=proposal.reason,
        cost=f"({cost})" if cost else "",
        experiments=_experiments(proposal),
    )


def _experiments(proposal: Proposal) -> list[str]:
    """Each run in words; runs that differ in one value of one factor, such as seeds, in a line."""
    values: dict[tuple[str, tuple[str, ...]], dict[str, list[str]]] = {}
    for each in proposal.experiments:
        changes = {
            name: shown_setting(value)
            for name, value in each.changes.items()
            if name not in IMMATERIAL
        }
        last = next(reversed(changes), "")
        fixed = tuple(
            f"{name.replace('_', ' ')} {changes[name]}" for name in changes if name != last
        )
        held = values.setdefault((label(each.reference), fixed), {})
        held.setdefault(last, []).append(changes.get(last, ""))
    return [
        f"like {name}, but "
        + ", ".join([*fixed, f"{last.replace('_', ' ')} {names_in_words(found)}".strip()])
        for (name, fixed), lasts in values.items()
        for last, found in lasts.items()
    ]


def _class_view(group: Group, subject: Subject, figures: Figures) -> ClassView:
    ranked = group.ranked
    styles = class_styles(ranked, DRAWN)
    figure = curves_figure(ranked, styles)
    evaluated = evaluated_table(ranked, subject.evaluations)
    rest = len(ranked) - DRAWN
    return ClassView(
        short_id=group.kind.short_id,
        title=class_title(group),
        warning=frames_warning(group.kind.frames),
        verdict=group.verdict,
        words=[*group.kind.words.items()],
        table=ranked_table(ranked, styles if figure else {}, subject.evaluations),
        figure=figures.place(figure),
        drawn=f"the first {DRAWN} of {len(ranked):,} by rank" if rest > 0 else "",
        map=loss_map(ranked),
        evaluated=evaluated,
        evaluated_figure=figures.place(error_figure(evaluated)) if evaluated else None,
        trajectories=[
            (place, caption)
            for drawn, caption in trajectory_figures(evaluated, subject.evaluations)
            if (place := figures.place(drawn)) is not None
        ]
        if evaluated
        else [],
    )


def _total(observations: Sequence[Observation], price: Price | None) -> str:
    hours = total_hours(observations)
    if not hours:
        return "No GPU was used."
    text = f"All runs together took {hours:,.2f} GPU-hours"
    return f"{text}, {price.of(hours)}." if price else f"{text}."


def status_words(statuses: Mapping[str, int]) -> str:
    """Counts in words: ``3 finished, 1 failed``."""
    return ", ".join(f"{count:,} {status}" for status, count in statuses.items()) or "no runs"
