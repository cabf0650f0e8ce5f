"""The ranking by open-loop error beside that by loss, and where the two disagree."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from gr00t_assets.comparison.curves import Loss
from gr00t_assets.comparison.statistics.effects import holm
from gr00t_assets.comparison.statistics.factors import known_by_seed
from gr00t_assets.comparison.statistics.ranking import RankedConfiguration
from gr00t_assets.comparison.wording import label, said_once
from gr00t_assets.core.text import counted
from gr00t_assets.evaluation.intervals import LEAST_EPISODES
from gr00t_assets.evaluation.paired_errors import (
    ConfigurationError,
    PairedError,
    configuration_error,
    paired,
    why_not_paired,
)
from gr00t_assets.evaluation.result import NOT_SUCCESS, Estimate, Evaluation

NEITHER_IS_SUCCESS = "Neither a training loss nor an open-loop error is success on a robot."

MOST_PAIRED = 20  # Configurations, the lowest errors first, that are compared by episode


class EvaluatedConfiguration(NamedTuple):
    """One evaluated configuration, with its places among the evaluated ones."""

    ranked: RankedConfiguration
    evaluation: Evaluation  # Of its first evaluated replicate
    error: ConfigurationError  # Over all evaluated seeds
    by_error: int = 0
    by_loss: int = 0
    against_first: PairedError | str | None = None  # Or why not; None: itself, or far down

    @property
    def against_first_words(self) -> str:
        """The same as a reader sees it."""
        pair = self.against_first
        return pair.words if isinstance(pair, PairedError) else pair or ""


class Agreement(NamedTuple):
    """Loss and open-loop error of the same runs held against each other."""

    disagreeing: tuple[tuple[str, str], ...]  # Lower loss first, higher error, both beyond noise
    sentence: str


@dataclass(frozen=True)
class EvaluationRanking:
    """The evaluated configurations of one class, never none, the lowest open-loop error first."""

    rows: tuple[EvaluatedConfiguration, ...]
    agreement: Agreement
    not_evaluated: int  # Configurations of the class that are not among them

    @property
    def part(self) -> str:
        """Episodes that the errors are of: ``held out``, or ``seen in training``."""
        return self.rows[0].evaluation.main.part

    @property
    def paired_sentence(self) -> str:
        """Whether the lowest error is known to be the lowest; '' for one configuration."""
        if len(self.rows) < 2:
            return ""
        best, pairs = self.rows[0], [row.against_first for row in self.rows[1:]]
        paired = [pair for pair in pairs if isinstance(pair, PairedError)]
        name = label(best.ranked.run)
        if not paired:
            return f"{name} has the lowest error. Not compared by episode: {pairs[0]}."
        apart = sum(pair.told_apart for pair in paired)
        episodes = len(best.evaluation.main.episodes)
        text = f"{name} has the lowest error; "
        if episodes < LEAST_EPISODES:
            few = f"fewer than {LEAST_EPISODES} episodes"
            return f"{text}whether it really errs less cannot be told from {few}."
        text += f"compared on the same {episodes} episodes it errs less than {apart} of "
        text += f"{len(paired)} others beyond chance."
        if missing := len(pairs) - len(paired):
            text += f" {missing} more cannot be compared so, or are far down the table."
        if sum(len(row.error.by_seed) == 1 for row in self.rows) > 1:
            text += " Configurations with one seed may be ordered otherwise by other seeds."
        return text

    @property
    def limits(self) -> list[str]:
        """What belongs beside the numbers, each sentence once."""
        limits = [(*row.evaluation.limits, *row.error.not_counted) for row in self.rows]
        names = [label(row.ranked.run) for row in self.rows]
        return said_once(list(zip(names, limits, strict=True)))


def evaluation_ranking(
    ranking: Sequence[RankedConfiguration], evaluations: Mapping[str, Evaluation]
) -> EvaluationRanking | None:
    """The ranking by error of one class; None where nothing was evaluated.

    Errors on held-out episodes are not ranked with errors on episodes that were trained on: where
    some configurations have the first, those alone are taken. ``evaluations`` are by run id.
    """
    evaluated = [
        (ranked, seeds) for ranked in ranking if (seeds := known_by_seed(ranked.runs, evaluations))
    ]
    evaluated = [item for item in evaluated if item[1][0][0].held_out] or evaluated
    if not evaluated:
        return None
    by_loss = [
        EvaluatedConfiguration(ranked, seeds[0][0], configuration_error(seeds), by_loss=place)
        for place, (ranked, seeds) in enumerate(evaluated, start=1)
    ]
    by_error = sorted(by_loss, key=lambda row: row.error.mean)
    pairs = _pairs(by_error[:MOST_PAIRED])
    rows = tuple(
        row._replace(by_error=place + 1, against_first=pairs.get((0, place)))
        for place, row in enumerate(by_error)
    )
    agree = agreement([(label(row.ranked.run), row.ranked.loss, row.error) for row in rows], pairs)
    return EvaluationRanking(rows, agree, not_evaluated=len(ranking) - len(rows))


def _pairs(rows: Sequence[EvaluatedConfiguration]) -> dict[tuple[int, int], PairedError | str]:
    """Every two of some rows compared by episode, adjusted together, or why they are not."""
    pairs: dict[tuple[int, int], PairedError | str] = {
        (low, high): why_not_paired(first.evaluation, second.evaluation)
        or paired(first.error.errors, second.error.errors)
        for (low, first), (high, second) in combinations(enumerate(rows), 2)
    }
    compared = {key: pair for key, pair in pairs.items() if isinstance(pair, PairedError)}
    p_values = holm([pair.p_value for pair in compared.values()])
    together = zip(compared.items(), p_values, strict=True)
    return pairs | {key: replace(pair, p_value=p_value) for (key, pair), p_value in together}


def agreement(
    rows: Sequence[tuple[str, Loss, Estimate | ConfigurationError]],
    pairs: Mapping[tuple[int, int], PairedError | str] = MappingProxyType({}),
) -> Agreement:
    """Compare the order by loss with the order by open-loop error.

    Args:
        rows: Name, final training loss and open-loop error of each run, all of one comparability
            class and evaluated on the same episodes; not empty.
        pairs: Comparisons by episode of some two rows, by their places in ``rows``.
    """
    from scipy.stats import kendalltau

    if len(rows) == 1:
        sentence = f"One run was evaluated: there is no order to compare. {NOT_SUCCESS}"
        return Agreement((), sentence)
    means = [loss.mean for _, loss, _ in rows], [error.mean for *_, error in rows]
    order = ""
    if len(rows) > 2 and all(len(set(values)) > 1 for values in means):
        tau = np.asarray(kendalltau(*means), dtype=float)[0]
        order = f" (Kendall's tau {tau:.2f} over {counted(len(rows), 'run')})"

    def disagree(first: int, other: int) -> bool:
        """Whether the one with the lower loss has the higher error, both beyond noise."""
        (_, loss, error), (_, other_loss, other_error) = rows[first], rows[other]
        if error.mean <= other_error.mean or not _differ(loss, other_loss):
            return False
        pair = pairs.get((min(first, other), max(first, other)))
        return pair.told_apart if isinstance(pair, PairedError) else _differ(error, other_error)

    by_loss = sorted(range(len(rows)), key=lambda place: means[0][place])
    disagreeing = tuple(
        (rows[one][0], rows[other][0])
        for one, other in combinations(by_loss, 2)
        if disagree(one, other)
    )
    lowest_loss = rows[by_loss[0]][0]
    lowest_error, *_ = min(rows, key=lambda row: row[2].mean)
    both = "Training loss and open-loop error"
    if disagreeing:
        (first, second), *others = disagreeing
        more = f", and {counted(len(others), 'more pair')}" if others else ""
        verdict = (
            f"{both} disagree beyond their noise{order}: {first} has the lower loss and {second} "
            f"the lower error{more}."
        )
    elif lowest_loss == lowest_error:
        verdict = f"{both} name the same best run, {lowest_loss}{order}."
    else:
        verdict = (
            f"Training loss puts {lowest_loss} first and open-loop error {lowest_error}{order}, "
            "but no pair of runs is ordered both ways beyond noise."
        )
    return Agreement(disagreeing, f"{verdict} Neither is success on a robot.")


def _differ(
    first: Loss | Estimate | ConfigurationError, second: Loss | Estimate | ConfigurationError
) -> bool:
    """Whether two means differ at 95 percent, their errors taken for independent."""
    if first.standard_error is None or second.standard_error is None:
        return False
    noise = math.hypot(first.standard_error, second.standard_error)
    return abs(first.mean - second.mean) > 1.96 * noise
