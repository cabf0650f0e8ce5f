"""Statistics of a dataset's columns, cut to the slices of the keys.

``meta/stats.json`` is used as it is where it has a column, as Isaac-GR00T does. Where the file,
the column or one of the six statistics is missing (v2.1 keeps statistics by episode) they are
computed from the rows. Nothing is ever written into the dataset.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.statistics import STATISTIC_NAMES, STATS, array_statistics
from gr00t_assets.modality.config import Statistics


class ColumnStatistics:
    """The statistics of a dataset's columns, each computed once at most.

    Raises:
        DatasetError: ``meta/stats.json`` is there and is no JSON object.
    """

    def __init__(self, dataset: LeRobotDataset) -> None:
        self._dataset = dataset
        self._stored = _read(dataset)
        self._computed: dict[str, dict[str, np.ndarray]] = {}

    @property
    def has_file(self) -> bool:
        """Whether there is ``meta/stats.json``."""
        return bool(self._stored)

    def is_stored(self, column: str) -> bool:
        """Whether ``meta/stats.json`` has all six statistics of the column.

        Those of a column of several axes count where they are of each number: LeRobot merges the
        leading axes with the rows.
        """
        stored, feature = self._stored.get(column), self._dataset.features.get(column)
        if not isinstance(stored, Mapping) or any(name not in stored for name in STATISTIC_NAMES):
            return False
        return (
            feature is None
            or not feature.is_flattened
            or all(_length(stored[name]) == feature.width for name in STATISTIC_NAMES)
        )

    def column(self, column: str) -> dict[str, np.ndarray]:
        """The six statistics of a whole column by name, each (D,).

        Raises:
            DatasetError: They cannot be read or computed.
        """
        return self._from_file(column) if self.is_stored(column) else self.computed(column)

    def computed(self, column: str) -> dict[str, np.ndarray]:
        """The six statistics over every row, whatever the file says.

        Raises:
            DatasetError: The column cannot be read.
        """
        if column not in self._computed:
            dataset = self._dataset
            episodes = [dataset.vector(episode.index, column) for episode in dataset.episodes]
            try:
                rows = np.concatenate(episodes)
            except ValueError as error:
                problem = f"{column} is not the same many numbers in every episode."
                raise DatasetError(dataset.name, problem, [str(error)]) from error
            self._computed[column] = _flat(array_statistics(rows))
        return self._computed[column]

    def require_finite_rows(self, column: str, start: int, end: int) -> None:
        """Make sure that no row of the numbers ``start`` to ``end`` of a column is NaN or infinite.

        Raises:
            DatasetError: One is.
        """
        rows = self.computed(column)
        bounds = np.stack([rows["min"], rows["max"]])[:, start:end]
        if not np.isfinite(bounds).all():
            raise DatasetError(
                self._dataset.name,
                f"rows of {column} hold NaN or infinity.",
                [f"{column}[{start}:{end}] holds NaN or infinity in the rows"],
            )

    def key(self, column: str, start: int, end: int) -> Statistics:
        """The statistics of the numbers ``start`` to ``end`` of a column.

        Raises:
            DatasetError: They are too short or hold NaN or infinity.
        """
        values = self.column(column)
        parts = {name: values[name][start:end] for name in STATISTIC_NAMES}
        source = STATS if self.is_stored(column) else "the rows"
        wrong = [
            f"{name} of {column} in {source} has {len(values[name])} numbers, not {end} or more"
            for name in STATISTIC_NAMES
            if len(parts[name]) != end - start
        ] or [
            f"{name} of {column}[{start}:{end}] is not finite in {source}"
            for name in STATISTIC_NAMES
            if not np.isfinite(parts[name]).all()
        ]
        if wrong:
            raise DatasetError(
                self._dataset.name, f"the statistics of {column} cannot be used.", wrong
            )
        return Statistics(**{name: tuple(part.tolist()) for name, part in parts.items()})

    def _from_file(self, column: str) -> dict[str, np.ndarray]:
        try:
            return _flat(self._stored[column])
        except (TypeError, ValueError) as error:
            problem = f"{column} in {STATS} is not made of numbers."
            raise DatasetError(self._dataset.name, problem, [str(error)]) from error


def _length(values: Any) -> int:
    return len(values) if isinstance(values, list) else 1


def _flat(statistics: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(statistics[name], np.float64).reshape(-1) for name in STATISTIC_NAMES}


def _read(dataset: LeRobotDataset) -> dict[str, Any]:
    path = dataset.directory / STATS
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise DatasetError(dataset.name, f"{STATS} is not JSON.", [str(error)]) from error
    if not isinstance(content, dict):
        raise DatasetError(dataset.name, f"{STATS} is not a JSON object with a field per column.")
    return content
