"""Episodes that repeat another one, to the bit or nearly."""

from collections.abc import Sequence

import numpy as np

from gr00t_assets.datasets.lerobot.episodes import Episode
from gr00t_assets.datasets.quality import thresholds as limits
from gr00t_assets.datasets.quality.figures import Repeat


def find_repeats(
    episodes: Sequence[Episode], digests: Sequence[bytes], points: Sequence[np.ndarray]
) -> tuple[Repeat, ...]:
    """Each episode that repeats another, with the first that it repeats.

    A copy that is cut or shifted in time is not seen.

    Args:
        digests: The same of episodes that are equal to the bit.
        points: Where the robot is, as shares of the ranges.
    """
    first: dict[bytes, int] = {}
    originals = [first.setdefault(digest, place) for place, digest in enumerate(digests)]
    repeats = {place: (of, 0.0) for place, of in enumerate(originals) if of != place}
    places = list(first.values())
    lengths = np.array([episodes[place].length for place in places])
    for left, right, distance in near_pairs(np.array([points[n] for n in places]), lengths):
        original, place = places[left], places[right]
        if place not in repeats or original < repeats[place][0]:
            repeats[place] = (original, max(distance, 1e-9))
    return tuple(
        Repeat(episode=episodes[place].index, original=episodes[original].index, distance=distance)
        for place, (original, distance) in sorted(repeats.items())
    )


def near_pairs(points: np.ndarray, lengths: np.ndarray) -> list[tuple[int, int, float]]:
    """Pairs, the lesser first, whose root mean square difference is below ``REPEAT_DISTANCE``.

    Sorted by a projection on the direction in which they differ most: two that are near are near in
    it, so only neighbours are compared.

    Args:
        points: ``(episodes, numbers)``, as shares of the ranges.
        lengths: Rows of the episodes; of a pair they are alike.
    """
    if not points.size:
        return []
    spread = points - points.mean(axis=0)
    axis = spread[np.linalg.norm(spread, axis=1).argmax()]
    along = spread @ (axis / (np.linalg.norm(axis) or 1.0))
    order = np.argsort(along)
    reach = limits.REPEAT_DISTANCE * np.sqrt(points.shape[1])
    ends = np.searchsorted(along[order], along[order] + reach, side="right")
    pairs = []
    for place, end in enumerate(ends):
        here, others = order[place], order[place + 1 : end]
        distances = np.sqrt(np.mean((points[others] - points[here]) ** 2, axis=1))
        longer = np.maximum(lengths[others], lengths[here])
        alike = np.abs(lengths[others] - lengths[here]) <= limits.REPEAT_LENGTHS * longer
        for item in np.flatnonzero((distances < limits.REPEAT_DISTANCE) & alike):
            left, right = sorted((int(here), int(others[item])))
            pairs.append((left, right, float(distances[item])))
    return pairs


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
    below, share = places.astype(int), (places % 1)[:, None]
    return rows[below] * (1 - share) + rows[np.minimum(below + 1, len(rows) - 1)] * share
