"""Statistics of a column over episodes that are read one at a time."""

import numpy as np

MOST_SAMPLE_BYTES = 32 * 2**20
"""Rows that are kept for the quantiles, as float32; above it the quantiles are not compared."""


class RunningStatistics:
    """Minimum, maximum, mean and standard deviation, exact, and quantiles of small datasets.

    Means and squared deviations of parts are joined as in Chan, Golub and LeVeque, "Updating
    Formulae and a Pairwise Algorithm for Computing Sample Variances" (1979).

    Args:
        width: Numbers in a row.

    Example:
        >>> running = RunningStatistics(1)
        >>> running.add(np.array([[1.0], [2.0]]))
        >>> running.add(np.array([[3.0]]))
        >>> float(running.found()["mean"][0])
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
            apart = mean - self._mean
            self._squares += ((rows - mean) ** 2).sum(axis=0)
            self._squares += apart**2 * self.count * count / total
            self._mean += apart * count / total
            self._keep(values.astype(np.float32))
        self.count = total

    def found(self) -> dict[str, np.ndarray]:
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

    def _keep(self, rows: np.ndarray) -> None:
        if self._sample is None:
            return
        self._bytes += rows.nbytes
        if self._bytes > MOST_SAMPLE_BYTES:
            self._sample = None
        else:
            self._sample.append(rows)
