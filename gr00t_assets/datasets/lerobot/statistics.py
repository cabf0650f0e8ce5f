"""Statistics of a dataset's columns, as Isaac-GR00T defines them."""

import numpy as np

from gr00t_assets.modality.config import Statistics

STATS = "meta/stats.json"

STATISTIC_NAMES = tuple(Statistics.model_fields)
"""min, max, mean, std, q01, q99."""

MOST_SAMPLE_BYTES = 32 * 2**20
"""Rows that are kept for the quantiles, as float32; above it the quantiles are not compared."""


def array_statistics(values: np.ndarray) -> dict[str, np.ndarray]:
    """Statistics of the rows of an array of shape ``(rows, numbers)``.

    As ``calculate_dataset_statistics`` in Isaac-GR00T's ``gr00t/data/dataset.py``: in float32,
    population standard deviation, linearly interpolated quantiles.

    Returns:
        ``min``, ``max``, ``mean``, ``std``, ``q01`` and ``q99``, each of shape ``(numbers,)``.

    Examples:
        >>> float(array_statistics(np.array([[0.0], [1.0]]))["q99"][0])
        0.9900000095367432
    """
    rows = values.astype(np.float32)
    return {
        "min": rows.min(axis=0),
        "max": rows.max(axis=0),
        "mean": rows.mean(axis=0),
        "std": rows.std(axis=0),
        "q01": np.quantile(rows, 0.01, axis=0),
        "q99": np.quantile(rows, 0.99, axis=0),
    }


class RunningStatistics:
    """Minimum, maximum, mean and standard deviation, exact, and quantiles of small datasets.

    For columns that are read an episode at a time. Means and squared deviations of parts are
    joined as in Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing
    Sample Variances" (1979).

    Args:
        width: Numbers in a row.

    Examples:
        >>> running = RunningStatistics(1)
        >>> running.add(np.array([[1.0], [2.0]]))
        >>> running.add(np.array([[3.0]]))
        >>> float(running.result()["mean"][0])
        2.0
    """

    def __init__(self, width: int) -> None:
        self.count = 0
        self._min = np.full(width, np.inf)
        self._max = np.full(width, -np.inf)
        self._mean = np.zeros(width)
        self._squares = np.zeros(width)
        self._sample: list[np.ndarray] | None = []
        self._bytes = 0

    def add(self, values: np.ndarray) -> None:
        """Take rows, shape ``(rows, width)``, finite."""
        rows = values.astype(np.float64)
        count = len(rows)
        if not count:
            return
        self._min = np.minimum(self._min, rows.min(axis=0))
        self._max = np.maximum(self._max, rows.max(axis=0))
        total = self.count + count
        with np.errstate(over="ignore", invalid="ignore"):
            mean = rows.mean(axis=0)
            difference = mean - self._mean
            self._squares += ((rows - mean) ** 2).sum(axis=0)
            self._squares += difference**2 * self.count * count / total
            self._mean += difference * count / total
        if self._sample is not None:
            with np.errstate(over="ignore"):
                self._sample.append(values.astype(np.float32))
            self._bytes += self._sample[-1].nbytes
            if self._bytes > MOST_SAMPLE_BYTES:
                self._sample = None
        self.count = total

    def result(self) -> dict[str, np.ndarray]:
        """Statistics by name, each of shape ``(width,)``; q01 and q99 where every row was kept."""
        statistics = {
            "min": self._min,
            "max": self._max,
            "mean": self._mean,
            "std": np.sqrt(self._squares / max(self.count, 1)),
        }
        if self._sample:
            rows = np.concatenate(self._sample)
            statistics["q01"], statistics["q99"] = np.quantile(rows, [0.01, 0.99], axis=0)
        return statistics
