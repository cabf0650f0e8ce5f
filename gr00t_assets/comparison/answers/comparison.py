"""Everything that may be said of some runs, computed once, for a terminal or as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gr00t_assets.comparison.answers.answer import Answer
from gr00t_assets.comparison.answers.answering import answers_from
from gr00t_assets.comparison.answers.as_json import (
    answer_json,
    class_json,
    collinear_json,
    contrast_json,
    not_ranked_json,
    run_json,
)
from gr00t_assets.comparison.answers.verdict import verdict_in_short
from gr00t_assets.comparison.contrasts.collinear import Collinear, collinear
from gr00t_assets.comparison.contrasts.contrast import Contrast
from gr00t_assets.comparison.contrasts.contrasts import all_contrasts
from gr00t_assets.comparison.contrasts.observation import Observation
from gr00t_assets.comparison.contrasts.ranking import Class, Ranked, classes, ranking


@dataclass(frozen=True)
class Comparison:
    """Runs with all that the comparison says of them.

    Attributes:
        observations: Every run, of any status.
        headline: What is best and whether that is known.
        groups: The classes, each with its ranking, which is empty where nothing is finished.
        contrasts: By the factor that is asked about.
        answers: One a question.
        collinear: Series over which factors move together.
    """

    observations: tuple[Observation, ...]
    headline: str
    groups: tuple[tuple[Class, tuple[Ranked, ...]], ...]
    contrasts: dict[str, list[Contrast]]
    answers: tuple[Answer, ...]
    collinear: tuple[Collinear, ...]

    @property
    def not_ranked(self) -> tuple[Observation, ...]:
        """Runs without a place: unfinished, failed, or without a loss."""
        return tuple(run for run in self.observations if not run.finished)

    def as_json(self) -> dict[str, Any]:
        """Runs, classes, contrasts and answers, without a number that JSON does not have."""
        return {
            "headline": self.headline,
            "runs": [run_json(run) for run in self.observations],
            "classes": [class_json(group, found) for group, found in self.groups],
            "not_ranked": [not_ranked_json(run) for run in self.not_ranked],
            "contrasts": [contrast_json(one) for found in self.contrasts.values() for one in found],
            "questions": [answer_json(one) for one in self.answers],
            "collinear": [collinear_json(series) for series in self.collinear],
        }


def compare_runs(observations: Sequence[Observation]) -> Comparison:
    """Compare runs, wherever they come from.

    Example:
        ``compare_runs(read_table(Path("data/journal/runs.csv"))).headline``
    """
    found = all_contrasts(observations)
    series = {factor: collinear(observations, factor) for factor in found}
    return Comparison(
        observations=tuple(observations),
        headline=verdict_in_short(observations),
        groups=tuple((group, tuple(ranking(group))) for group in classes(observations)),
        contrasts=found,
        answers=tuple(answers_from(observations, found, series)),
        collinear=tuple(one for one in series.values() if one is not None),
    )
