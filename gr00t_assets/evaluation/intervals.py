"""Means with intervals by a bootstrap that draws whole clusters of windows."""

import warnings
from collections.abc import Sequence

import numpy as np

from gr00t_assets.evaluation.result import Answer, Estimate
from gr00t_assets.evaluation.windows import Windows

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
        sums = np.stack([(each * self._inside).sum(axis=1) for each in values])
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
            found = bootstrap(
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
        draws = found.bootstrap_distribution
        plain = np.quantile(draws, [0.025, 0.975], axis=-1)
        low, high = found.confidence_interval
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
