"""Which rows of which episodes a policy is asked at, and what the bootstrap draws of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gr00t_assets.core.errors import EvaluationError
from gr00t_assets.evaluation.result import EvaluationSettings

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
        found = np.arange(min(first_row, last), last + 1, stride)
        rows.append(found)
        episodes.append(np.full(len(found), episode))
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
