"""Episodes that repeat another one, to the bit or nearly."""

import hashlib
from collections.abc import Mapping

import numpy as np

from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.quality import thresholds as limits
from gr00t_assets.datasets.quality.figures import Repeat
from gr00t_assets.datasets.quality.vectors import Ranges


class RepeatPass:
    """Takes the rows of one episode after another and gives those that repeat an earlier one.

    Keeps ``REPEAT_POINTS`` rows of each. A copy that is cut or shifted in time is not seen.
    """

    def __init__(self, dataset: LeRobotDataset, ranges: Mapping[str, Ranges]) -> None:
        self._episodes = dataset.episodes
        self._ranges = ranges
        self._digests: list[bytes] = []
        self._points: list[np.ndarray] = []

    def add(self, rows: Mapping[str, np.ndarray]) -> None:
        """Take the next episode: its columns, each ``(rows, width)`` float64."""
        digest, points = hashlib.blake2b(digest_size=16), []
        for column, ranges in self._ranges.items():
            digest.update(rows[column].tobytes())
            scaled = (rows[column] / ranges.scale)[:, ranges.moving & ~ranges.noise]
            points.append(resampled(np.nan_to_num(scaled), limits.REPEAT_POINTS))
        self._digests.append(digest.digest())
        self._points.append(np.concatenate(points, axis=1).ravel().astype(np.float32))

    def result(self) -> tuple[Repeat, ...]:
        """Each episode that repeats another, with the first that it repeats."""
        if not self._digests:
            return ()
        first: dict[bytes, int] = {}
        repeats = {}
        for place, digest in enumerate(self._digests):
            original = first.setdefault(digest, place)
            if original != place:
                repeats[place] = (original, 0.0)
        places = np.array(list(first.values()))
        points = np.stack([self._points[place] for place in places])
        lengths = np.array([self._episodes[place].length for place in places])
        for left, right, distance in near_pairs(points, lengths):
            original, place = sorted((int(places[left]), int(places[right])))
            if place not in repeats or original < repeats[place][0]:
                repeats[place] = (original, max(distance, 1e-9))
        return tuple(
            Repeat(
                episode=self._episodes[place].index,
                original=self._episodes[original].index,
                distance=distance,
            )
            for place, (original, distance) in sorted(repeats.items())
        )


def resampled(rows: np.ndarray, points: int) -> np.ndarray:
    """Rows at evenly spaced places from the first to the last, between rows linearly.

    Args:
        rows: ``(rows, columns)``.
        points: How many are wanted.

    Returns:
        ``(points, columns)``; zeros of an episode without rows.
    """
    if not len(rows):
        return np.zeros((points, rows.shape[1]))
    places = np.linspace(0, len(rows) - 1, points)
    below = np.floor(places).astype(int)
    above = np.minimum(below + 1, len(rows) - 1)
    share = (places - below)[:, None]
    return rows[below] * (1 - share) + rows[above] * share


def near_pairs(points: np.ndarray, lengths: np.ndarray) -> list[tuple[int, int, float]]:
    """Pairs whose root mean square difference is below ``REPEAT_DISTANCE``.

    Sorted by a projection on the direction in which they differ most: two that are near are near in
    it, so only neighbours are compared.

    Args:
        points: ``(episodes, numbers)``, as shares of the ranges.
        lengths: Rows of the episodes; of a pair they are alike.
    """
    count, width = points.shape
    if count < 2 or not width:
        return []
    spread = points - points.mean(axis=0)
    axis = spread[np.linalg.norm(spread, axis=1).argmax()]
    axis = axis / (np.linalg.norm(axis) or 1.0)
    along = spread @ axis
    order = np.argsort(along)
    reach = limits.REPEAT_DISTANCE * np.sqrt(width)
    ends = np.searchsorted(along[order], along[order] + reach, side="right")
    pairs = []
    for place, end in enumerate(ends):
        here, others = order[place], order[place + 1 : end]
        distances = np.sqrt(np.mean((points[others] - points[here]) ** 2, axis=1))
        longer = np.maximum(lengths[others], lengths[here])
        alike = np.abs(lengths[others] - lengths[here]) <= limits.REPEAT_LENGTHS * longer
        near = np.flatnonzero((distances < limits.REPEAT_DISTANCE) & alike)
        pairs += [(int(here), int(others[item]), float(distances[item])) for item in near]
    return pairs
