"""Whether a ranking by open-loop error is the ranking by training loss."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import numpy as np

from gr00t_assets.evaluation.result import NOT_SUCCESS

_NORMAL = 1.96
"""Half the width of a 95 percent interval, in standard errors."""


class Uncertain(Protocol):
    """A mean with its standard error, ``None`` where it cannot be told."""

    @property
    def mean(self) -> float: ...  # noqa: D102

    @property
    def standard_error(self) -> float | None: ...  # noqa: D102


@dataclass(frozen=True)
class Agreement:
    """Loss and open-loop error of the same runs held against each other.

    Attributes:
        runs: How many were compared.
        tau: Kendall's tau-b of the two rankings: 1 the same order, -1 the reverse; None where
            there are fewer than three runs, or one of the two never differs.
        p_value: Chance of a tau so far from 0 were the rankings unrelated; None with ``tau``.
        disagreeing: Pairs of names, the one with the lower loss first, that the loss orders one
            way and the error the other, both beyond their 95 percent intervals.
        best_by_loss: Name of the run with the lowest loss.
        best_by_error: Name of the run with the lowest error.
    """

    runs: int = 0
    tau: float | None = None
    p_value: float | None = None
    disagreeing: tuple[tuple[str, str], ...] = ()
    best_by_loss: str | None = None
    best_by_error: str | None = None

    @property
    def sentence(self) -> str:
        """The answer for a reader."""
        if self.runs == 0:
            return f"No run was evaluated. {NOT_SUCCESS}"
        if self.runs == 1:
            return f"One run was evaluated: there is no order to compare. {NOT_SUCCESS}"
        tau = self.tau
        order = "" if tau is None else f" (Kendall's tau {tau:.2f} over {self.runs} runs)"
        if self.disagreeing:
            (first, second), *others = self.disagreeing
            more = f", and {len(others)} more pairs" if others else ""
            verdict = (
                f"Training loss and open-loop error disagree beyond their noise{order}: {first} "
                f"has the lower loss and {second} the lower error{more}."
            )
        elif self.best_by_loss == self.best_by_error:
            verdict = (
                "Training loss and open-loop error name the same best run, "
                f"{self.best_by_loss}{order}."
            )
        else:
            verdict = (
                f"Training loss puts {self.best_by_loss} first and open-loop error "
                f"{self.best_by_error}{order}, but no pair of runs is ordered both ways beyond "
                "noise."
            )
        return f"{verdict} Neither is success on a robot."


def agreement(rows: Sequence[tuple[str, Uncertain, Uncertain]]) -> Agreement:
    """Compare the order by loss with the order by open-loop error.

    Args:
        rows: Name, final training loss and open-loop error of each run, all of one comparability
            class and evaluated on the same episodes.
    """
    from scipy.stats import kendalltau

    usable = [row for row in rows if math.isfinite(row[1].mean) and math.isfinite(row[2].mean)]
    if not usable:
        return Agreement()
    losses, errors = [row[1].mean for row in usable], [row[2].mean for row in usable]
    tau = p_value = None
    if len(usable) > 2 and len(set(losses)) > 1 and len(set(errors)) > 1:
        tau, p_value = np.asarray(kendalltau(losses, errors), dtype=float).tolist()
    pairs = [sorted(pair, key=lambda row: row[1].mean) for pair in combinations(usable, 2)]
    disagreeing = tuple(
        (first[0], second[0])
        for first, second in pairs
        if _differ(first[1], second[1])
        and _differ(first[2], second[2])
        and first[2].mean > second[2].mean
    )
    best_by_loss = min(usable, key=lambda row: row[1].mean)[0]
    best_by_error = min(usable, key=lambda row: row[2].mean)[0]
    return Agreement(len(usable), tau, p_value, disagreeing, best_by_loss, best_by_error)


def _differ(first: Uncertain, second: Uncertain) -> bool:
    """Whether two means with independent errors differ beyond noise.

    Errors on the same rows go together, so that this says no rather too often.
    """
    if first.standard_error is None or second.standard_error is None:
        return False
    noise = math.hypot(first.standard_error, second.standard_error)
    return abs(first.mean - second.mean) > _NORMAL * noise
