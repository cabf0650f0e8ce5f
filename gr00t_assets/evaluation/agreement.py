"""Whether a ranking by open-loop error is the ranking by training loss."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import numpy as np

from gr00t_assets.evaluation.result import NOT_SUCCESS

_NORMAL = 1.96


class Uncertain(Protocol):
    """A mean with its standard error: a loss, or an estimate of an evaluation."""

    @property
    def mean(self) -> float:
        """The mean."""
        ...

    @property
    def standard_error(self) -> float | None:
        """Of the mean; None where it cannot be told."""
        ...


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
        sentence: The answer for a reader.
    """

    runs: int
    tau: float | None
    p_value: float | None
    disagreeing: tuple[tuple[str, str], ...]
    best_by_loss: str | None
    best_by_error: str | None
    sentence: str


def agreement(rows: Sequence[tuple[str, Uncertain, Uncertain]]) -> Agreement:
    """Compare the order by loss with the order by open-loop error.

    Args:
        rows: Name, final training loss and open-loop error of each run, all of one comparability
            class and evaluated on the same episodes.

    Example:
        >>> from gr00t_assets.evaluation.result import Estimate
        >>> def about(mean):
        ...     return Estimate(mean=mean, standard_error=0.01, low=mean - 0.02, high=mean + 0.02)
        >>> agreement([("a", about(0.1), about(0.4)), ("b", about(0.2), about(0.3))]).disagreeing
        (('a', 'b'),)
    """
    usable = [
        (name, loss, error)
        for name, loss, error in rows
        if math.isfinite(loss.mean) and math.isfinite(error.mean)
    ]
    if not usable:
        return Agreement(0, None, None, (), None, None, f"No run was evaluated. {NOT_SUCCESS}")
    tau, p_value = _kendall(usable)
    disagreeing = tuple(
        (first[0], second[0]) if first[1].mean < second[1].mean else (second[0], first[0])
        for first, second in combinations(usable, 2)
        if _order(first[1], second[1]) * _order(first[2], second[2]) < 0
    )
    best_by_loss = min(usable, key=lambda row: row[1].mean)[0]
    best_by_error = min(usable, key=lambda row: row[2].mean)[0]
    sentence = _sentence(len(usable), tau, disagreeing, best_by_loss, best_by_error)
    return Agreement(len(usable), tau, p_value, disagreeing, best_by_loss, best_by_error, sentence)


def _kendall(
    rows: Sequence[tuple[str, Uncertain, Uncertain]],
) -> tuple[float | None, float | None]:
    from scipy.stats import kendalltau

    losses, errors = [row[1].mean for row in rows], [row[2].mean for row in rows]
    if len(rows) < 3 or len(set(losses)) < 2 or len(set(errors)) < 2:
        return None, None
    tau, p_value = np.asarray(kendalltau(losses, errors), dtype=float).tolist()
    return tau, p_value


def _order(first: Uncertain, second: Uncertain) -> int:
    """-1 where ``first`` is the lower beyond noise, 1 where the higher, 0 where neither is told.

    Two means with independent errors; errors on the same rows go together, so that this says 0
    rather too often.
    """
    if first.standard_error is None or second.standard_error is None:
        return 0
    difference = first.mean - second.mean
    if abs(difference) <= _NORMAL * math.hypot(first.standard_error, second.standard_error):
        return 0
    return 1 if difference > 0 else -1


def _sentence(
    runs: int,
    tau: float | None,
    disagreeing: Sequence[tuple[str, str]],
    best_by_loss: str,
    best_by_error: str,
) -> str:
    if runs == 1:
        return f"One run was evaluated: there is no order to compare. {NOT_SUCCESS}"
    order = "" if tau is None else f" (Kendall's tau {tau:.2f} over {runs} runs)"
    if disagreeing:
        first, second = disagreeing[0]
        more = f", and {len(disagreeing) - 1} more pairs" if len(disagreeing) > 1 else ""
        verdict = (
            f"Training loss and open-loop error disagree beyond their noise{order}: {first} has "
            f"the lower loss and {second} the lower error{more}."
        )
    elif best_by_loss == best_by_error:
        verdict = (
            f"Training loss and open-loop error name the same best run, {best_by_loss}{order}."
        )
    else:
        verdict = (
            f"Training loss puts {best_by_loss} first and open-loop error {best_by_error}{order}, "
            "but no pair of runs is ordered both ways beyond noise."
        )
    return f"{verdict} Neither is success on a robot."
