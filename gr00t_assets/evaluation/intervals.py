"""Rows that a policy is asked at, means over their episodes with Student's t, rates of success."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from gr00t_assets.core.errors import EvaluationError
from gr00t_assets.core.files import FrozenModel
from gr00t_assets.evaluation.result import Estimate, EvaluationSettings
from gr00t_assets.runs.final_loss import Answer

LEAST_EPISODES = 5
"""With fewer, what another episode would give cannot be told: a mean has no interval."""

_FEWEST_WINDOWS = 16


@dataclass(frozen=True)
class Windows:
    """Rows that a policy is asked at, n in all, in order of episode and row."""

    episodes: np.ndarray  # Index of the episode of each, ``(n,)``
    rows: np.ndarray  # Row in its episode, ``(n,)``
    inside: np.ndarray  # Whether each step of the chunk lies in the episode, ``(n, horizon)``
    places: np.ndarray  # Place of its episode among those of all datasets, from 0 on, ``(n,)``
    stride: int  # Rows between two windows of an episode

    def __len__(self) -> int:
        return len(self.rows)


def joined_windows(parts: Sequence[Windows]) -> Windows:
    """Windows of several datasets as one: their places stay apart, the stride is the longest."""
    before = np.cumsum([0, *(part.places.max() + 1 for part in parts)])
    columns = (
        (part.episodes, part.rows, part.inside, part.places + first)
        for part, first in zip(parts, before, strict=False)
    )
    joined = map(np.concatenate, zip(*columns, strict=True))
    return Windows(*joined, stride=max(part.stride for part in parts))


def choose_windows(
    lengths: dict[int, int],
    action_indices: Sequence[int],
    settings: EvaluationSettings,
    first_row: int = 0,
) -> Windows:
    """Rows at one stride in every episode whose whole chunk lies in the episode.

    An episode that is shorter than the horizon gives one window, and its steps past the end are
    not counted. ``EvaluationError`` where there are fewer than two windows.

    Args:
        lengths: Rows of each episode by its index.
        action_indices: Rows of a chunk relative to its window.
        settings: Stride, and windows of an episode at most.
        first_row: Rows before it are left out.
    """
    indices = np.asarray(action_indices)
    span = int(indices.max()) - min(0, int(indices.min())) + 1
    stride = settings.stride or default_stride(max(lengths.values()), span, settings.max_windows)
    by_episode = []
    for length in lengths.values():
        last = max(min(first_row, length - 1), length - 1 - int(indices.max()))
        by_episode.append(np.arange(min(first_row, last), last + 1, stride))
    counts, rows = [len(chosen) for chosen in by_episode], np.concatenate(by_episode)
    if len(rows) < 2:
        problem = f"{len(rows)} window is not enough; two or more are needed."
        remedy = "give a smaller --stride, or hold out a longer episode"
        raise EvaluationError("open-loop evaluation", problem, [remedy])
    places = np.repeat(np.arange(len(lengths)), counts)
    episodes, ends = np.array(list(lengths))[places], np.array(list(lengths.values()))[places]
    wanted = rows[:, None] + indices
    inside = (wanted >= 0) & (wanted < ends[:, None])
    return Windows(episodes, rows, inside, places, stride)


def default_stride(longest: int, horizon: int, max_windows: int) -> int:
    """Rows between two windows: a horizon, fewer in short episodes, more in very long ones.

    A horizon of 16 and 64 windows at most: 16 of 420 rows, 5 of 80 rows, 63 of 4,000 rows.
    """
    dense = max(1, min(horizon, longest // _FEWEST_WINDOWS))
    return max(dense, math.ceil(longest / max_windows))


class EpisodeMeans:
    """Means over the windows of one part, in which each episode counts once.

    Windows of one episode resemble each other; episodes do not. So a mean is the mean of the
    episodes' means, and its 95 percent interval is Student's t over them (``episode_estimates``).
    """

    def __init__(self, windows: Windows) -> None:
        self._inside = windows.inside.astype(np.float64)
        places = np.arange(windows.places.max() + 1)
        self._belongs = (windows.places[:, None] == places).astype(np.float64)

    def by_episode(self, values: np.ndarray) -> np.ndarray:
        """Each episode's mean of an array ``(n, horizon)``, ``(episodes,)``."""
        return self._shares((values * self._inside).sum(axis=1), self._inside.sum(axis=1))

    def mean(self, values: np.ndarray) -> Estimate:
        """Mean of an array, ``(n, horizon)``."""
        return episode_estimates(self.by_episode(values)[None])[0]

    def by_step(self, values: np.ndarray) -> list[Estimate]:
        """Mean at each step of the horizon of an array, ``(n, horizon)``."""
        return episode_estimates(self._shares((values * self._inside).T, self._inside.T))

    def plain(self, values: np.ndarray) -> tuple[float, ...]:
        """The same without intervals."""
        return tuple(estimate.mean for estimate in self.by_step(values))

    def ratio(self, above: np.ndarray, below: np.ndarray) -> Estimate:
        """Mean of one array over the mean of another, ``(n, horizon)`` each.

        The interval is that of the linearised ratio (Cochran, Sampling Techniques, 1977, 6.3).
        """
        over, under = self.by_episode(above), self.by_episode(below)
        ratio = over.mean() / under.mean() if under.mean() else 0.0
        residuals = (over - ratio * under) / (under.mean() or 1.0)
        return episode_estimates((ratio + residuals)[None])[0]

    def _shares(self, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Sums ``(..., n)`` over counts, by episode; NaN where nothing counts."""
        total = counts @ self._belongs
        return np.where(total > 0, sums @ self._belongs / np.maximum(total, 1e-300), np.nan)


def episode_estimates(values: np.ndarray) -> list[Estimate]:
    """Mean and Student's t interval of each row of ``(k, episodes)``; NaN is passed over.

    With fewer than ``LEAST_EPISODES`` there is a mean alone. A mean of what is never negative has
    no interval below zero.
    """
    from scipy.special import stdtrit

    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=-1), 1)
    values = np.where(known, values, 0.0)
    mean = values.sum(axis=-1) / count
    squares = (np.where(known, values - mean[:, None], 0.0) ** 2).sum(axis=-1)
    degrees = np.maximum(count - 1, 1)
    error = np.sqrt(squares / degrees / count)
    half = stdtrit(degrees, 0.975) * error
    low = np.where((values >= 0).all(axis=-1), np.maximum(mean - half, 0.0), mean - half)
    rows = rounded(np.stack([mean, error, low, mean + half], axis=-1)).tolist()
    names = ("mean", "standard_error", "low", "high")
    return [
        Estimate(**dict(zip(names, row if episodes >= LEAST_EPISODES else row[:1], strict=False)))
        for row, episodes in zip(rows, count.tolist(), strict=True)
    ]


def student_t(degrees: float) -> float:
    """Standard errors that half a 95 percent interval has."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 0.975))


Variance = tuple[float, float]  # With its degrees of freedom


def summed_error(parts: Sequence[Variance]) -> tuple[float, float, float]:
    """Standard error, degrees of freedom and half a 95 percent interval of a sum of variances.

    Degrees of freedom after Satterthwaite (Biometrics Bulletin 2, 1946).
    """
    total = sum(variance for variance, _ in parts)
    below = sum(variance**2 / degrees for variance, degrees in parts)
    degrees = total**2 / below if below else 1.0
    return math.sqrt(total), degrees, student_t(degrees) * math.sqrt(total)


def answered(difference: Estimate) -> Answer:
    """Whether a difference, policy minus rule, says that the policy errs less."""
    low, high = difference.interval or (-math.inf, math.inf)
    if high < 0:
        return "yes"
    return "no" if low > 0 else "cannot be told"


def rounded(values: np.ndarray, digits: int = 6) -> np.ndarray:
    """So many significant digits of each value."""
    exponents = np.floor(np.log10(np.abs(values), out=np.zeros_like(values), where=values != 0))
    scale = 10.0 ** (digits - 1 - exponents)
    return np.round(values * scale) / scale


Interval = tuple[float, float]


class SuccessRate(FrozenModel):
    """Successes among independent episodes.

    Examples:
        >>> SuccessRate(successes=25, episodes=50).words()
        '25 of 50 (50 %, 37 to 63 %)'
    """

    successes: int = Field(ge=0)
    episodes: int = Field(ge=0)

    @model_validator(mode="after")
    def _no_more_than_episodes(self) -> Self:
        if self.successes > self.episodes:
            raise ValueError(f"{self.successes} successes in {self.episodes} episodes")
        return self

    @property
    def rate(self) -> float:
        """Share of the episodes that succeeded; 0 where there are none."""
        return self.successes / self.episodes if self.episodes else 0.0

    def wilson(self) -> Interval:
        """95 percent score interval (Wilson, JASA 22, 1927): its level on average over rates."""
        return self._interval("wilson")

    def clopper_pearson(self) -> Interval:
        """Exact one (Clopper and Pearson, Biometrika 26, 1934): never under its level."""
        return self._interval("exact")

    def words(self, interval: Interval | None = None) -> str:
        """Counts, rate and an interval in percent; Wilson's where none is given."""
        if not self.episodes:
            return "no episode"
        low, high = (f"{100 * end:.0f}" for end in interval or self.wilson())
        counts = f"{self.successes:,} of {self.episodes:,}"
        return f"{counts} ({100 * self.rate:.0f} %, {low} to {high} %)"

    def _interval(self, method: str) -> Interval:
        from scipy.stats import binomtest

        if not self.episodes:
            return 0.0, 1.0
        ends = binomtest(self.successes, self.episodes).proportion_ci(method=method)  # pyright: ignore[reportArgumentType]
        return float(ends.low), float(ends.high)
