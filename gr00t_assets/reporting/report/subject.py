"""What the page and the journal speak of: the runs of a store, or those of one imported table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gr00t_assets.comparison.answers.answer import Answer
from gr00t_assets.comparison.answers.answering import answers_from
from gr00t_assets.comparison.answers.verdict import verdict_in_short
from gr00t_assets.comparison.contrasts.contrast import Contrast
from gr00t_assets.comparison.contrasts.contrasts import all_contrasts
from gr00t_assets.comparison.contrasts.observation import Observation
from gr00t_assets.comparison.contrasts.ranking import Class, Ranked, classes, ranking
from gr00t_assets.comparison.next_experiments.proposal import Proposal
from gr00t_assets.comparison.next_experiments.proposals import proposals

if TYPE_CHECKING:
    from gr00t_assets.evaluation.result import Evaluation


@dataclass(frozen=True)
class Group:
    """One comparability class with its ranking and what is best in it.

    Attributes:
        kind: The class; losses are ranked inside it and nowhere else.
        ranked: Its finished configurations, lowest loss first.
        verdict: What is best in it and whether that is known, in a sentence.
    """

    kind: Class
    ranked: tuple[Ranked, ...]
    verdict: str


@dataclass(frozen=True)
class Subject:
    """Runs of one origin with all that the comparison says of them.

    Attributes:
        key: Word for anchors; unique on the page.
        title: Heading.
        origin: Where the runs come from, a sentence.
        observations: Every run, finished or not.
        verdict: What is best and whether that is known.
        answers: One a question that the runs can say something of.
        contrasts: By the factor that is asked about.
        groups: One a comparability class with a finished run.
        proposals: What to run next, the most useful first.
        evaluations: By run id; runs that were not evaluated are not in it.
    """

    key: str
    title: str
    origin: str
    observations: tuple[Observation, ...]
    verdict: str
    answers: tuple[Answer, ...]
    contrasts: Mapping[str, Sequence[Contrast]]
    groups: tuple[Group, ...]
    proposals: tuple[Proposal, ...]
    evaluations: Mapping[str, "Evaluation"] = field(default_factory=dict)

    @property
    def finished(self) -> int:
        """Finished runs with a loss."""
        return sum(run.finished for run in self.observations)


def make_subject(
    key: str,
    title: str,
    origin: str,
    observations: Sequence[Observation],
    evaluations: "Mapping[str, Evaluation] | None" = None,
) -> Subject:
    """Everything that may be said of the runs, computed once."""
    found = all_contrasts(observations)
    groups = [_group(kind) for kind in classes(observations)]
    verdict = groups[0].verdict if len(groups) == 1 else verdict_in_short(observations)
    return Subject(
        key=key,
        title=title,
        origin=origin,
        observations=tuple(observations),
        verdict=verdict,
        answers=tuple(answers_from(observations, found)),
        contrasts=found,
        groups=tuple(group for group in groups if group.ranked),
        proposals=tuple(proposals(observations, found=found)),
        evaluations=dict(evaluations or {}),
    )


def _group(kind: Class) -> Group:
    return Group(kind, tuple(ranking(kind)), verdict_in_short(kind.observations))
