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


def spread_evenly(values: Sequence[int], most: int) -> list[int]:
    """At most so many of the values, evenly spread, the first and the last among them.

    Example:
        >>> spread_evenly(range(10), 4), spread_evenly([3, 5], 4)
        ([0, 3, 6, 9], [3, 5])
    """
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
    episodes, rows = [], []
    for episode, length in lengths.items():
        last = max(min(first_row, length - 1), length - 1 - int(indices.max()))
        episode_rows = np.arange(min(first_row, last), last + 1, stride)
        rows.append(episode_rows)
        episodes.append(np.full(len(episode_rows), episode))
    at, of = np.concatenate(rows), np.concatenate(episodes)
    if len(at) < 2:
        raise EvaluationError(
            "open-loop evaluation",
            f"{len(at)} window is not enough; two or more are needed.",
            ["give a smaller --stride, or hold out a longer episode"],
        )
    wanted = at[:, None] + indices
    whole = np.array([lengths[int(episode)] for episode in of])[:, None]
    clusters, resampled = _clusters(of, at, span)
    inside = (wanted >= 0) & (wanted < whole)
    return Windows(of, at, inside, clusters, resampled, stride)


def default_stride(longest: int, horizon: int, max_windows: int) -> int:
    """Rows between two windows: a horizon, fewer in short episodes, more in very long ones.

    Example:
        >>> default_stride(420, 16, 64), default_stride(80, 16, 64), default_stride(4000, 16, 64)
        (16, 5, 63)
    """
    dense = max(1, min(horizon, longest // _FEWEST_WINDOWS))
    return max(dense, math.ceil(longest / max_windows))


def _clusters(episodes: np.ndarray, rows: np.ndarray, horizon: int) -> tuple[np.ndarray, str]:
    """Number of each window's cluster, ``(n,)``, and what the clusters are."""
    different = len(np.unique(episodes))
    if different >= ENOUGH_EPISODES:
        return _numbered(episodes, np.zeros_like(rows)), "episodes"
    for horizons in (4, 2, 1):
        length = horizons * horizon
        numbers = _numbered(episodes, rows // length)
        if numbers.max() + 1 >= ENOUGH_STRETCHES:
            break
    if numbers.max() == 0:
        return np.arange(len(rows)), "windows of one episode, which overlap"
    plural = "s" if different > 1 else ""
    return numbers, f"stretches of {length} rows of {different} episode{plural}"


def _numbered(episodes: np.ndarray, stretches: np.ndarray) -> np.ndarray:
    pairs = np.stack([episodes, stretches], axis=1)
    return np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1)


_AT_ONCE = 250


class ClusterBootstrap:
    """Estimates over the windows of one part.

    Every estimate draws the same clusters, so that the same windows give the same digits. The mean
    is the sum of all values over their number, not a mean of clusters' means.

    Args:
        windows: Their clusters, and which steps count.
        resamples: Draws.
        seed: Of the draws.
    """

    def __init__(self, windows: Windows, resamples: int, seed: int) -> None:
        self._inside = windows.inside.astype(np.float64)
        self._clusters = windows.clusters
        self._count = int(windows.clusters.max()) + 1
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

        pair = self._by_cluster(sums), self._by_cluster(counts)
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

    def _by_cluster(self, values: np.ndarray) -> np.ndarray:
        belongs = self._clusters[:, None] == np.arange(self._count)
        return values @ belongs.astype(np.float64)


def answered(difference: Estimate) -> Answer:
    """Whether a difference, policy minus rule, says that the policy errs less."""
    if difference.high < 0:
        return "yes"
    return "no" if difference.low > 0 else "cannot be told"


def _share(sums: np.ndarray, counts: np.ndarray, axis: int = -1) -> np.ndarray:
    total = counts.sum(axis=axis)
    return sums.sum(axis=axis) / np.where(total > 0, total, 1.0)


def rounded(values: np.ndarray, digits: int = 6) -> np.ndarray:
    """So many significant digits of each value.

    Example:
        >>> rounded(np.array([0.123456789, 1234.5678]), 3)
        array([1.23e-01, 1.23e+03])
    """
    exponents = np.floor(np.log10(np.abs(values), out=np.zeros_like(values), where=values != 0))
    scale = 10.0 ** (digits - 1 - exponents)
    return np.round(values * scale) / scale
