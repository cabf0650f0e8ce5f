"""Open-loop errors of several policies on the same episodes: over seeds, and in pairs.

Episodes are hard or easy for every policy, so that two of them are told apart by how their errors
differ on each episode, where their two means with two intervals overlap. Differences are of
logarithms, read as percent. Errors stand in arrays ``(seeds, episodes)``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gr00t_assets.evaluation.intervals import (
    LEAST_EPISODES,
    Variance,
    episode_estimates,
    summed_error,
)
from gr00t_assets.evaluation.result import Estimate, Evaluation

LEVEL = 0.05

LARGEST = 1e100
"""Normalised errors above it are damage; ends of a ratio are cut off there and at its inverse."""


@dataclass(frozen=True)
class ConfigurationError:
    """Open-loop error of a configuration over its evaluated seeds, normalised.

    With several seeds the standard error counts those as well as episodes; with fewer than five
    episodes there is none, and no interval.
    """

    mean: float
    standard_error: float | None
    interval: tuple[float, float] | None  # At 95 percent
    by_seed: tuple[float, ...]  # Mean error of each seed
    errors: np.ndarray  # (seeds, episodes); no episode where there are none by episode
    not_counted: tuple[str, ...] = ()  # Evaluated replicates that are not in it, and why

    @property
    def seeds_words(self) -> str:
        """``3 seeds: 0.101, 0.0985, 0.105``; '' for one seed."""
        if len(self.by_seed) < 2:
            return ""
        return f"{len(self.by_seed)} seeds: " + ", ".join(f"{mean:.3g}" for mean in self.by_seed)


@dataclass(frozen=True)
class PairedError:
    """The error of a second policy over that of a first one on the same episodes."""

    ratio: float  # Geometric mean over episodes and seeds of second over first
    interval: tuple[float, float] | None  # At 95 percent; None with fewer than five episodes
    p_value: float  # That they differ by chance; 1 without an interval. Holm's replaces it

    @property
    def told_apart(self) -> bool:
        """Whether one of the two is known to err less."""
        return self.p_value < LEVEL

    @property
    def words(self) -> str:
        """What the second one does.

        Examples:
            >>> PairedError(1.12, (1.04, 1.21), 0.01).words
            'errs 12 % more (4 to 21 % more)'
            >>> PairedError(0.97, (0.9, 1.05), 0.4).words
            'cannot be told apart: errs 3 % less (10 % less to 5 % more)'
            >>> PairedError(0.97, None, 1.0).words
            'cannot be told apart: errs 3 % less, fewer than 5 episodes'
        """
        verdict = "" if self.told_apart else "cannot be told apart: "
        between = f", fewer than {LEAST_EPISODES} episodes"
        if self.interval:
            low, high = map(percent_words, self.interval)
            number, _, unit = low.partition(" ")
            between = f" ({number if high.endswith(unit) else low} to {high})"
        return f"{verdict}errs {percent_words(self.ratio)}{between}"


def percent_words(ratio: float) -> str:
    """A ratio of errors as percent.

    Examples:
        >>> percent_words(1.12), percent_words(0.995), percent_words(4.2)
        ('12 % more', '0.5 % less', '4.2 times as much')
    """
    if not 0.25 <= ratio < 3:
        return f"{ratio:.2g} times as much"
    percent = 100 * abs(ratio - 1)
    return f"{percent:.{int(percent < 1)}f} % {'more' if ratio >= 1 else 'less'}"


def why_not_paired(first: Evaluation, second: Evaluation) -> str | None:
    """Why two evaluations are not of the same windows of the same episodes; None where they are."""
    for evaluation in (first, second):
        part = evaluation.main
        if len(part.episode_errors) != len(part.episodes):
            return (
                f"the evaluation of {evaluation.experiment} is of an earlier version and has no "
                f"errors by episode: run gr00t-assets evaluate {evaluation.experiment}"
            )
        if not all(0 < error < LARGEST for error in part.episode_errors):
            return f"{evaluation.experiment} has an error by episode of zero or beyond any size"
    here, there = _sampling(first), _sampling(second)
    differing = [name for name, value in here.items() if there[name] != value]
    return f"they differ in {' and '.join(differing)}" if differing else None


def _sampling(evaluation: Evaluation) -> dict[str, object]:
    """What must be equal before errors are of the same windows, by its words."""
    part = evaluation.main
    return {
        "the dataset's version": (evaluation.dataset, evaluation.dataset_version),
        "the modality config": evaluation.modality_hash,
        "the part of the data": part.part,
        "the episodes": (part.episodes, [(item.dataset, item.episodes) for item in part.datasets]),
        "the windows": (part.stride, part.windows, evaluation.horizon),
        "the draws": (evaluation.settings.seed, evaluation.settings.draws),
        "the denoising steps": evaluation.denoising_steps,
    }


def configuration_error(seeds: Sequence[Sequence[Evaluation]]) -> ConfigurationError:
    """The error of one configuration, from the evaluations of each of its seeds; not none of them.

    Two evaluations of one seed are averaged and count as one. Those of other windows than the
    first are not counted.
    """
    first = next(evaluation for of_seed in seeds for evaluation in of_seed)
    if why_not_paired(first, first):
        error, few = first.main.error, len(first.main.episodes) < LEAST_EPISODES
        interval = (None, None) if few else (error.standard_error, error.interval)
        return ConfigurationError(error.mean, *interval, (error.mean,), np.empty((1, 0)))
    reasons = [[(item, why_not_paired(first, item)) for item in of_seed] for of_seed in seeds]
    counted = [[x.main.episode_errors for x, reason in row if not reason] for row in reasons]
    errors = np.stack([np.mean(of_seed, axis=0) for of_seed in counted if of_seed])
    not_counted = [
        f"{item.experiment} is not in its error: {reason}."
        for of_seed in reasons
        for item, reason in of_seed
        if reason
    ]
    error, means = error_over_seeds(errors), tuple(errors.mean(axis=1).tolist())
    return ConfigurationError(
        error.mean, error.standard_error, error.interval, means, errors, tuple(not_counted)
    )


def error_over_seeds(errors: np.ndarray) -> Estimate:
    """Mean of errors ``(seeds, episodes)`` of one configuration; another seed counts as well.

    Of several seeds the squared standard error is the variance of the episodes' means over their
    number plus that of the seeds' means over theirs; a seed's own noise on an episode is in both,
    so that the interval is rather too wide. Student's t has Satterthwaite's degrees of freedom.
    """
    by_episode = errors.mean(axis=0)
    if len(errors) == 1 or len(by_episode) < LEAST_EPISODES:
        return episode_estimates(by_episode[None])[0]
    parts = [_mean_variance(by_episode), _mean_variance(errors.mean(axis=1))]
    error, _, half = summed_error(parts)
    mean = float(by_episode.mean())
    return Estimate(mean=mean, standard_error=error, low=max(0.0, mean - half), high=mean + half)


def paired(first: np.ndarray, second: np.ndarray) -> PairedError:
    """Second against first configuration, ``(seeds, episodes)`` each, of the same episodes.

    Student's t over the episodes' differences of mean log errors; with one seed on both sides it
    is a paired t test of these two policies. Where a side has several seeds, the variance between
    seeds is counted as in ``error_over_seeds``, pooled over both sides.
    """
    from scipy.special import stdtr

    logs = [np.log(errors) for errors in (first, second)]
    differences = logs[1].mean(axis=0) - logs[0].mean(axis=0)
    mean = float(differences.mean())
    if len(differences) < LEAST_EPISODES:
        return PairedError(math.exp(mean), None, 1.0)
    parts = [_mean_variance(differences)]
    seeds = [side.mean(axis=1) for side in logs]
    if degrees := sum(len(side) - 1 for side in seeds):
        pooled = sum(float(((side - side.mean()) ** 2).sum()) for side in seeds) / degrees
        parts.append((pooled * sum(1 / len(side) for side in seeds), degrees))
    error, degrees, half = summed_error(parts)
    low, high = np.exp(np.clip([mean - half, mean + half], -math.log(LARGEST), math.log(LARGEST)))
    ends = float(low), float(high)
    p_value = float(2 * stdtr(degrees, -abs(mean) / error)) if error else float(mean == 0)
    return PairedError(math.exp(mean), ends, p_value)


def _mean_variance(values: np.ndarray) -> Variance:
    return float(values.var(ddof=1)) / len(values), len(values) - 1
