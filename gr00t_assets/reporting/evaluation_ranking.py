"""The ranking by open-loop error beside that by loss, and where the two disagree."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from gr00t_assets.comparison.contrasts.ranking import RankedConfiguration
from gr00t_assets.comparison.curves import Loss
from gr00t_assets.comparison.wording import label, said_once
from gr00t_assets.evaluation.result import NOT_SUCCESS, Baseline, Estimate, Evaluation

NEITHER_IS_SUCCESS = "Neither a training loss nor an open-loop error is success on a robot."

_NORMAL = 1.96
"""Half the width of a 95 percent interval, in standard errors."""


class EvaluatedConfiguration(NamedTuple):
    """One evaluated configuration, by its first evaluated replicate.

    ``by_error`` and ``by_loss`` are its places among the evaluated ones.
    """

    ranked: RankedConfiguration
    evaluation: Evaluation
    by_error: int
    by_loss: int

    @property
    def error(self) -> Estimate:
        """Open-loop error, normalised."""
        return self.evaluation.main.error


@dataclass(frozen=True)
class Agreement:
    """Loss and open-loop error of the same runs held against each other.

    Attributes:
        runs: How many were compared.
        tau: Kendall's tau-b of the two rankings; None where there are fewer than three runs, or
            one of the two never differs.
        disagreeing: Pairs of names, the one with the lower loss first, that the loss orders one
            way and the error the other, both beyond their 95 percent intervals.
    """

    runs: int
    tau: float | None
    disagreeing: tuple[tuple[str, str], ...]
    best_by_loss: str
    best_by_error: str

    @property
    def sentence(self) -> str:
        """The answer for a reader."""
        if self.runs == 1:
            return f"One run was evaluated: there is no order to compare. {NOT_SUCCESS}"
        tau = self.tau
        order = "" if tau is None else f" (Kendall's tau {tau:.2f} over {self.runs} runs)"
        both = "Training loss and open-loop error"
        if self.disagreeing:
            (first, second), *others = self.disagreeing
            more = f", and {len(others)} more pairs" if others else ""
            verdict = (
                f"{both} disagree beyond their noise{order}: {first} has the lower loss and "
                f"{second} the lower error{more}."
            )
        elif self.best_by_loss == self.best_by_error:
            verdict = f"{both} name the same best run, {self.best_by_loss}{order}."
        else:
            verdict = (
                f"Training loss puts {self.best_by_loss} first and open-loop error "
                f"{self.best_by_error}{order}, but no pair of runs is ordered both ways beyond "
                "noise."
            )
        return f"{verdict} Neither is success on a robot."


@dataclass(frozen=True)
class EvaluationRanking:
    """The evaluated configurations of one class, never none, the lowest open-loop error first.

    ``not_evaluated`` is how many configurations of the class are not among them.
    """

    rows: tuple[EvaluatedConfiguration, ...]
    agreement: Agreement
    not_evaluated: int

    @property
    def part(self) -> str:
        """Episodes that the errors are of: ``held out``, or ``seen in training``."""
        return self.rows[0].evaluation.main.part

    @property
    def baselines(self) -> tuple[Baseline, ...]:
        """The baselines beside the lowest error."""
        return self.rows[0].evaluation.main.baselines

    @property
    def limits(self) -> list[str]:
        """What belongs beside the numbers, each sentence once."""
        return said_once([(label(row.ranked.run), row.evaluation.limits) for row in self.rows])


def evaluation_ranking(
    ranking: Sequence[RankedConfiguration], evaluations: Mapping[str, Evaluation]
) -> EvaluationRanking | None:
    """The ranking by error of one class; None where nothing was evaluated.

    Errors on held-out episodes are not ranked with errors on episodes that were trained on: where
    some configurations have the first, those alone are taken. ``evaluations`` are by run id.
    """
    evaluated = [
        (ranked, evaluation)
        for ranked in ranking
        if (evaluation := first_evaluation(ranked, evaluations))
    ]
    evaluated = [pair for pair in evaluated if pair[1].held_out] or evaluated
    if not evaluated:
        return None
    by_loss = [EvaluatedConfiguration(*pair, 0, n) for n, pair in enumerate(evaluated, start=1)]
    by_error = sorted(by_loss, key=lambda row: row.error.mean)
    rows = tuple(row._replace(by_error=n) for n, row in enumerate(by_error, start=1))
    agree = agreement([(label(row.ranked.run), row.ranked.loss, row.error) for row in rows])
    return EvaluationRanking(rows, agree, not_evaluated=len(ranking) - len(rows))


def first_evaluation(
    ranked: RankedConfiguration, evaluations: Mapping[str, Evaluation]
) -> Evaluation | None:
    """The evaluation of the first evaluated replicate; None where none was evaluated."""
    return next((evaluations[run.run_id] for run in ranked.runs if run.run_id in evaluations), None)


def agreement(rows: Sequence[tuple[str, Loss, Estimate]]) -> Agreement:
    """Compare the order by loss with the order by open-loop error.

    Args:
        rows: Name, final training loss and open-loop error of each run, all of one comparability
            class and evaluated on the same episodes; not empty.
    """
    from scipy.stats import kendalltau

    losses, errors = [loss.mean for _, loss, _ in rows], [error.mean for _, _, error in rows]
    tau = None
    if len(rows) > 2 and len(set(losses)) > 1 and len(set(errors)) > 1:
        tau = float(np.asarray(kendalltau(losses, errors), dtype=float)[0])
    by_loss = sorted(rows, key=lambda row: row[1].mean)
    disagreeing = tuple(
        (first[0], second[0])
        for first, second in combinations(by_loss, 2)
        if first[2].mean > second[2].mean
        and _differ(first[1], second[1])
        and _differ(first[2], second[2])
    )
    best_by_error = min(rows, key=lambda row: row[2].mean)[0]
    return Agreement(len(rows), tau, disagreeing, by_loss[0][0], best_by_error)


def _differ(first: Loss | Estimate, second: Loss | Estimate) -> bool:
    """Whether two means with independent errors differ beyond noise.

    Errors on the same rows go together, so that this says no rather too often.
    """
    if first.standard_error is None or second.standard_error is None:
        return False
    noise = math.hypot(first.standard_error, second.standard_error)
    return abs(first.mean - second.mean) > _NORMAL * noise
