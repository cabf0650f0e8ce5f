"""The first screen: what is best, by how much, whether that is known, and what to do next."""

from collections.abc import Sequence
from dataclasses import dataclass

from gr00t_assets.comparison.answers.verdict import why_unknown
from gr00t_assets.comparison.answers.words import loss_words
from gr00t_assets.comparison.contrasts.observation import Observation
from gr00t_assets.comparison.contrasts.ranking import Ranked
from gr00t_assets.comparison.findings import names_in_words
from gr00t_assets.comparison.formatting import shown
from gr00t_assets.reporting.report.ranked import shown_name
from gr00t_assets.reporting.report.subject import Group, Subject
from gr00t_assets.reporting.report.verdicts import MARKS, UNKNOWN, Mark
from gr00t_assets.reporting.report.views import (
    SubjectView,
    class_title,
    frames_warning,
)

CARDS = 3
"""Classes in the first screen; the others are ranked below."""


@dataclass(frozen=True)
class Card:
    """The best of one class.

    Attributes:
        about: What the class is of.
        warning: Where its images are not known to be right.
        settings: Of the best, in words.
        lead: What comes next in the ranking, and by how much it is higher.
        mark: Symbol and colour of whether it is known to be the best.
        known: The same in words.
        why: What keeps it from being known; '' where the heading says it.
    """

    about: str
    warning: str
    name: str
    loss: str
    settings: str
    lead: str
    mark: Mark
    known: str
    why: str


@dataclass(frozen=True)
class Next:
    """The proposal that comes first."""

    question: str
    runs: str
    cost: str
    reason: str
    others: int


@dataclass(frozen=True)
class Front:
    """Everything of the first screen; ``more`` says how many classes have no card.

    ``anchor`` begins the names of the subject's links.
    """

    heading: str
    cards: list[Card]
    more: str
    next: Next | None
    anchor: str = ""


def front(subjects: Sequence[tuple[Subject, SubjectView]]) -> Front:
    """The first screen: that of the first subject with a finished run."""
    if not subjects:
        return Front("No experiment has a run yet.", [], "", None)
    shown_subject, view = next((pair for pair in subjects if pair[0].groups), subjects[0])
    groups = shown_subject.groups
    heading = shown_subject.verdict if len(groups) < 2 else several(groups)
    if view.imported:
        heading = f"Nothing in the store has finished. Of {shown_subject.title}: {heading}"
    cards = [card(group, alone=len(groups) == 1) for group in groups[:CARDS]]
    rest = len(groups) - len(cards)
    return Front(
        heading=heading,
        cards=cards,
        more=f"{rest} {'class' if rest == 1 else 'classes'}" if rest else "",
        next=_next(view),
        anchor=view.anchor,
    )


def several(groups: Sequence[Group]) -> str:
    """A heading where more than one class has a best; each is told on its own card."""
    count = len(groups)
    known = sum(
        len(group.ranked) > 1 and not any(each.tied_with_best for each in group.ranked[1:])
        for group in groups
    )
    if known == count:
        words = "both are" if count == 2 else "all are"
    elif known == 0:
        words = "neither is" if count == 2 else "none is"
    else:
        words = f"{known} of them {'is' if known == 1 else 'are'}"
    return f"The lowest loss of each of {count} kinds of runs; {words} known to be the best."


def card(group: Group, alone: bool) -> Card:
    """The best of a class, and whether it is known to be."""
    best, *others = group.ranked
    tied = any(each.tied_with_best for each in others)
    if not others:
        mark, known = UNKNOWN, "the only one that finished"
    elif tied:
        mark = MARKS["within_noise"]
        known = "not known to be the best"
    else:
        mark = MARKS["controlled"]
        known = "the best by more than noise"
    return Card(
        about=class_title(group),
        warning=frames_warning(group.kind.frames),
        name=shown_name(best),
        loss=f"loss {loss_words(best.observations)}",
        settings=settings_line(best.observation),
        lead=lead(group.ranked),
        mark=mark,
        known=known,
        why="" if alone else why(group.ranked),
    )


def settings_line(run: Observation) -> str:
    """Learning rate, batch size, steps and epochs in a line."""
    words = [
        f"{word} {shown(run.settings[name], name)}"
        for name, word in (("learning_rate", "learning rate"), ("batch_size", "batch"))
        if name in run.settings
    ]
    if run.max_steps:
        words.append(f"{run.max_steps:,} steps")
    if run.samples_seen:
        words.append(f"{run.samples_seen:,} samples")
    if run.epochs is not None:
        words.append(f"{shown(run.epochs, 'epochs')} epochs")
    return " · ".join(words)


def lead(ranked: Sequence[Ranked]) -> str:
    """By how much the best is below the next, in words; '' where there is none."""
    if len(ranked) < 2:
        return ""
    best, second = ranked[0], ranked[1]
    text = f"next: {shown_name(second)}, {loss_words(second.observations)}"
    if best.loss.mean > 0:
        text += f", {second.loss.mean / best.loss.mean:.2f} times as high"
    return text


def why(ranked: Sequence[Ranked]) -> str:
    """What keeps the best from being known, or what is still to be said where it is."""
    best, *others = ranked
    tied = [shown_name(each) for each in others if each.tied_with_best]
    words = [f"within noise of it: {names_in_words(tied, 2)}"] if tied else []
    if others and all(len(each.observations) == 1 for each in ranked):
        words.append("each ran with one seed")
    if best.observation.loss and best.observation.loss.kind == "one logged value":
        words.append("losses are single logged values")
    if not tied and (mixed := why_unknown(ranked)):
        words.append(mixed)
    return "; ".join(words)


def _next(view: SubjectView) -> Next | None:
    if not view.proposals:
        return None
    first, *others = view.proposals
    runs = "; ".join(first.experiments) or "continue the run that was begun"
    return Next(first.question, runs, first.cost, first.reason, len(others))
