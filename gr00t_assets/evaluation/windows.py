"""Rows that a policy is asked at, and means over them with a bootstrap over clusters of rows."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gr00t_assets.core.errors import EvaluationError
from gr00t_assets.evaluation.result import Answer, Estimate, EvaluationSettings

ENOUGH_EPISODES = 8
"""Of fewer episodes a bootstrap over episodes has nothing to go by."""

ENOUGH_STRETCHES = 12
_FEWEST_WINDOWS = 16


@dataclass(frozen=True)
class Windows:
    """Rows that a policy is asked at, n in all, in order of episode and row.

    Attributes:
        episodes: Index of the episode of each, ``(n,)``.
        rows: Row in its episode, ``(n,)``.
        inside: Whether each step of the chunk lies in the episode, ``(n, horizon)``.
        clusters: Number of the cluster that each belongs to, from 0 on, ``(n,)``.
        resampled: What a cluster is, in words.
        stride: Rows between two windows of an episode.
    """

    episodes: np.ndarray
    rows: np.ndarray
    inside: np.ndarray
    clusters: np.ndarray
    resampled: str
    stride: int

    def __len__(self) -> int:
        return len(self.rows)


def joined_windows(parts: Sequence[Windows]) -> Windows:
    """Windows of several datasets as one; numbers of episodes are those of each dataset.

    Clusters stay apart, and the stride is the longest.
    """
    if len(parts) == 1:
        return parts[0]
    clusters, before = [], 0
    for part in parts:
        clusters.append(part.clusters + before)
        before += int(part.clusters.max()) + 1
    return Windows(
        np.concatenate([part.episodes for part in parts]),
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.inside for part in parts]),
        np.concatenate(clusters),
        " and ".join(dict.fromkeys(part.resampled for part in parts)),
        max(part.stride for part in parts),
    )


def spread_evenly(values: Sequence[int], most: int) -> list[int]:
    """At most so many of the values, evenly spread, the first and the last among them."""
    chosen = np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int)
    return [values[place] for place in chosen]


def choose_windows(
    lengths: dict[int, int],
    action_indices: Sequence[int],
    settings: EvaluationSettings,
    first_row: int = 0,
) -> Windows:
    """Rows at one stride in every episode whose whole chunk lies in the episode.

    An episode that is shorter than the horizon gives one window, and its steps past the end are
    not counted. Clusters are episodes where there are enough, else stretches of episodes that are
    one to four horizons long, so that windows that overlap stay together.

    Args:
        lengths: Rows of each episode by its index.
        action_indices: Rows of a chunk relative to its window.
        settings: Stride, and windows of an episode at most.
        first_row: Rows before it are left out.

    Raises:
        EvaluationError: There are fewer than two windows.
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
        raise EvaluationError(
            "open-loop evaluation",
            f"{len(rows)} window is not enough; two or more are needed.",
            ["give a smaller --stride, or hold out a longer episode"],
        )
    episodes, ends = np.repeat(list(lengths), counts), np.repeat(list(lengths.values()), counts)
    wanted = rows[:, None] + indices
    inside = (wanted >= 0) & (wanted < ends[:, None])
    return Windows(episodes, rows, inside, *_clusters(episodes, rows, span), stride)


def default_stride(longest: int, horizon: int, max_windows: int) -> int:
    """Rows between two windows: a horizon, fewer in short episodes, more in very long ones.

    A horizon of 16 and 64 windows at most: 16 of 420 rows, 5 of 80 rows, 63 of 4,000 rows.
    """
    dense = max(1, min(horizon, longest // _FEWEST_WINDOWS))
    return max(dense, math.ceil(longest / max_windows))


def _clusters(episodes: np.ndarray, rows: np.ndarray, horizon: int) -> tuple[np.ndarray, str]:
    """Number of each window's cluster, ``(n,)``, and what the clusters are."""
    kinds, numbers = np.unique(episodes, return_inverse=True)
    different, length = len(kinds), 0
    if different >= ENOUGH_EPISODES:
        return numbers, "episodes"
    for horizons in (4, 2, 1):
        length = horizons * horizon
        stretches = np.stack([episodes, rows // length])
        numbers = np.unique(stretches, axis=1, return_inverse=True)[1].reshape(-1)
        if numbers.max() + 1 >= ENOUGH_STRETCHES:
            break
    if numbers.max() == 0:
        return np.arange(len(rows)), "windows of one episode, which overlap"
    plural = "s" if different > 1 else ""
    return numbers, f"stretches of {length} rows of {different} episode{plural}"


_AT_ONCE = 250
"""Resamples at a time."""


class ClusterBootstrap:
    """Estimates over the windows of one part.

    Every estimate draws the same clusters, so that the same windows give the same digits. The mean
    is the sum of all values over their number, not a mean of clusters' means.
    """

    def __init__(self, windows: Windows, resamples: int, seed: int) -> None:
        self._inside = windows.inside.astype(np.float64)
        numbers = np.arange(windows.clusters.max() + 1)
        self._belongs = (windows.clusters[:, None] == numbers).astype(np.float64)
        self._resamples = resamples
        self._seed = seed

    def means(self, values: Sequence[np.ndarray]) -> list[Estimate]:
        """Mean of each of some arrays, ``(n, horizon)`` each, over the steps that count."""
        sums = np.stack([(array * self._inside).sum(axis=1) for array in values])
        counts = np.broadcast_to(self._inside.sum(axis=1), sums.shape)
        return self._estimates(sums, counts)

    def by_step(self, values: np.ndarray) -> list[Estimate]:
        """Mean at each step of the horizon of one array, ``(n, horizon)``."""
        return self._estimates((values * self._inside).T, self._inside.T)

    def ratio(self, above: np.ndarray, below: np.ndarray) -> Estimate:
        """Mean of one array over the mean of another, ``(n, horizon)`` each."""
        sums = (above * self._inside).sum(axis=1)
        return self._estimates(sums[None], (below * self._inside).sum(axis=1)[None])[0]

    def plain(self, values: np.ndarray) -> tuple[float, ...]:
        """Mean at each step of one array ``(n, horizon)``, without intervals."""
        sums, counts = (values * self._inside).sum(axis=0), self._inside.sum(axis=0)
        return tuple(rounded(sums / np.maximum(counts, 1)).tolist())

    def _estimates(self, sums: np.ndarray, counts: np.ndarray) -> list[Estimate]:
        """One estimate for each row of ``sums`` and ``counts``, ``(k, n)``."""
        from scipy.stats import bootstrap

        pair = sums @ self._belongs, counts @ self._belongs
        with warnings.catch_warnings():
            # Values without any variation have no bias-corrected interval; see below.
            warnings.simplefilter("ignore")
            resampled = bootstrap(
                pair,
                _share,
                paired=True,
                vectorized=True,
                axis=-1,
                n_resamples=self._resamples,
                batch=_AT_ONCE,
                method="BCa",
                rng=np.random.default_rng(self._seed),
            )
        draws = resampled.bootstrap_distribution
        plain = np.quantile(draws, [0.025, 0.975], axis=-1)
        low, high = resampled.confidence_interval
        low = np.where(np.isfinite(low), low, plain[0])
        high = np.where(np.isfinite(high), high, plain[1])
        rows = np.stack([_share(*pair), draws.std(axis=-1, ddof=1), low, high], axis=-1)
        names = ("mean", "standard_error", "low", "high")
        return [Estimate(**dict(zip(names, row, strict=True))) for row in rounded(rows).tolist()]


def answered(difference: Estimate) -> Answer:
    """Whether a difference, policy minus rule, says that the policy errs less."""
    if difference.high < 0:
        return "yes"
    return "no" if difference.low > 0 else "cannot be told"


def _share(sums: np.ndarray, counts: np.ndarray, axis: int = -1) -> np.ndarray:
    total = counts.sum(axis=axis)
    return sums.sum(axis=axis) / np.where(total > 0, total, 1.0)


def rounded(values: np.ndarray, digits: int = 6) -> np.ndarray:
    """So many significant digits of each value."""
    exponents = np.floor(np.log10(np.abs(values), out=np.zeros_like(values), where=values != 0))
    scale = 10.0 ** (digits - 1 - exponents)
    return np.round(values * scale) / scale
