"""Whether a lower loss, or a lower open-loop error, meant more success."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

from gr00t_assets.comparison.statistics.success import SuccessEstimate, compared
from gr00t_assets.evaluation.intervals import Interval
from gr00t_assets.runs.final_loss import Answer

Measure = Literal["loss", "open-loop error"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
FEWEST = 5  # Configurations whose orders can be compared


class SuccessAgreement(NamedTuple):
    """Whether a lower loss, or open-loop error, meant more success in one class."""

    measure: Measure
    class_id: str
    answer: Answer
    correlation: float | None  # Spearman's; None of fewer than ``FEWEST``, or if one never differs
    interval: Interval | None  # Of it at 95 percent
    sentence: str


class MeasuredSuccess(NamedTuple):
    """Loss or open-loop error of a configuration, with its standard error, beside its success."""

    name: str
    value: float
    error: float | None
    success: SuccessEstimate


def success_agreement(
    measure: Measure, class_id: str, rows: Sequence[MeasuredSuccess]
) -> SuccessAgreement:
    """Whether those with lower values succeed more often; ``rows`` are of one class, not none.

    The answer is no also where the configuration with the lowest value succeeds less often than
    the one with the most success, both beyond chance, whatever the others do.
    """
    values, rates = [row.value for row in rows], [row.success.rate for row in rows]
    lowest, most = min(rows, key=lambda row: row.value), max(rows, key=lambda row: row.success.rate)
    correlation, interval, order = None, None, f"from {len(rows)} configurations"
    if len(rows) >= FEWEST and len(set(rates)) > 1 and len(set(values)) > 1:
        correlation, interval = rank_correlation([-value for value in values], rates)
        order = f"rank correlation {correlation:.2f} ({interval[0]:.2f} to {interval[1]:.2f})"
        order += f" over {len(rows)} configurations"
    answer: Answer = "cannot be told"
    against = f"{lowest.name} has the lowest {measure} and {most.name} the most success"
    if lowest.error is not None and most.error is not None and len(rows) > 1:
        apart = abs(lowest.value - most.value) > 1.96 * math.hypot(lowest.error, most.error)
        if apart and compared(lowest.success, most.success).p_value * (len(rows) - 1) < 0.05:
            answer, order = "no", f"{against}, both beyond chance{f'; {order}' * bool(interval)}"
    if answer != "no" and interval is not None:
        answer = "yes" if interval[0] > 0 else "no" if interval[1] < 0 else answer
    if answer != "cannot be told":
        verb = "did" if answer == "yes" else "did not"
        sentence = f"Lower {measure} {verb} mean more success here: {order}."
    elif len(rows) == 1:
        sentence = f"One configuration does not tell whether lower {measure} means more success."
    else:
        if len(set(rates)) == 1:
            against = "all succeed equally often"
        elif lowest.success.rate == most.success.rate:
            against = f"{lowest.name} has the lowest {measure} and the most success"
        join = " " if interval is None else ": "
        sentence = f"Whether lower {measure} meant more success here cannot be told{join}{order}; "
        sentence += f"{against}."
    return SuccessAgreement(measure, class_id, answer, correlation, interval, sentence)


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> tuple[float, Interval]:
    """Spearman's correlation with its 95 percent interval; five values at least.

    Fisher's z with the variance of Bonett and Wright (Psychometrika 65, 2000). A perfect order is
    taken as half a swap of two neighbours less: few values are easily in order by chance.
    """
    from scipy.stats import spearmanr

    count = len(first)
    value = float(spearmanr(first, second).statistic)  # pyright: ignore[reportAttributeAccessIssue]
    limit = 1 - 6 / (count * (count**2 - 1))
    center = math.atanh(max(-limit, min(limit, value)))
    half = 1.96 * math.sqrt((1 + value**2 / 2) / (count - 3))
    return value, (math.tanh(center - half), math.tanh(center + half))
