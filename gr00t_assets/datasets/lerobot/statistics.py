"""Statistics of a dataset's columns and of relative actions, as Isaac-GR00T defines them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.folder import Folder, read_object
from gr00t_assets.modality.config import ChunkStatistics, Statistics, VectorKey
from gr00t_assets.modality.key_transform import KeyTransform

STATS = "meta/stats.json"

STATISTIC_NAMES = tuple(Statistics.model_fields)
"""min, max, mean, std, q01, q99."""

MOST_SAMPLE_BYTES = 32 * 2**20
"""Rows that are kept for the quantiles, as float32; above it the quantiles are not compared."""


def array_statistics(values: np.ndarray) -> dict[str, np.ndarray]:
    """The six statistics of an array's rows, ``(rows, numbers)``, each of shape ``(numbers,)``.

    As ``calculate_dataset_statistics`` in Isaac-GR00T's ``gr00t/data/dataset.py``: in float32,
    population standard deviation, linearly interpolated quantiles.

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

    For columns that are read an episode at a time. Means and squared
    deviations of parts are joined as in Chan, Golub and LeVeque, "Updating Formulae and a Pairwise
    Algorithm for Computing Sample Variances" (1979).

    Examples:
        >>> running = RunningStatistics()
        >>> running.add(np.array([[1.0], [2.0]]))
        >>> running.add(np.array([[3.0]]))
        >>> float(running.result()["mean"][0])
        2.0
    """

    def __init__(self) -> None:
        self.count = 0
        self._min, self._max = np.array(np.inf), np.array(-np.inf)
        self._mean, self._squares = np.array(0.0), np.array(0.0)
        self._sample: list[np.ndarray] | None = []

    def add(self, values: np.ndarray) -> None:
        """Take rows, shape ``(rows, numbers)``, finite."""
        rows, count, total = values.astype(np.float64), len(values), self.count + len(values)
        if not count:
            return
        self._min = np.minimum(self._min, rows.min(axis=0))
        self._max = np.maximum(self._max, rows.max(axis=0))
        with np.errstate(over="ignore", invalid="ignore"):
            mean = rows.mean(axis=0)
            difference = mean - self._mean
            self._squares = self._squares + ((rows - mean) ** 2).sum(axis=0)
            self._squares += difference**2 * self.count * count / total
            self._mean = self._mean + difference * count / total
            if self._sample is not None:
                self._sample.append(values.astype(np.float32))
                if total * rows.shape[1] * 4 > MOST_SAMPLE_BYTES:
                    self._sample = None
        self.count = total

    def result(self) -> dict[str, np.ndarray]:
        """Statistics by name, ``(numbers,)`` each; q01 and q99 where every row was kept."""
        statistics = {"min": self._min, "max": self._max, "mean": self._mean}
        statistics["std"] = np.sqrt(self._squares / max(self.count, 1))
        if self._sample:
            rows = np.concatenate(self._sample)
            statistics["q01"], statistics["q99"] = np.quantile(rows, [0.01, 0.99], axis=0)
        return statistics


class ColumnStatistics:
    """The statistics of a dataset's columns, each computed once at most.

    They are those of ``meta/stats.json`` where that has a column, if ``stored`` ones are wanted.

    Raises:
        DatasetError: ``meta/stats.json`` is there and is no JSON object.
    """

    def __init__(self, dataset: LeRobotDataset, stored: bool = True) -> None:
        self._dataset = dataset
        folder = Folder(dataset.directory, confined=False)
        self._stored = (read_object(folder, STATS, missing=None) if stored else None) or {}
        folder.raise_errors(dataset.name, f"{STATS} cannot be read.")
        self._computed: dict[str, dict[str, np.ndarray]] = {}

    def computed(self, column: str) -> dict[str, np.ndarray]:
        """The six statistics over every row by name, each (D,), whatever the file says."""
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

    def key(self, column: str, start: int, end: int) -> Statistics:
        """The statistics of the numbers ``start`` to ``end`` of a column.

        Raises:
            DatasetError: They cannot be computed, are too short or hold NaN or infinity.
        """
        values, source = self._from_file(column), STATS
        if values is None:
            values, source = self.computed(column), "the rows"
        parts = {name: values[name][start:end] for name in STATISTIC_NAMES}
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
            problem = f"the statistics of {column} cannot be used."
            raise DatasetError(self._dataset.name, problem, wrong)
        return Statistics.model_validate({name: part.tolist() for name, part in parts.items()})

    def _from_file(self, column: str) -> dict[str, np.ndarray] | None:
        """All six of the file; none where it lacks some.

        Those of a column of several axes count where they are of each number: LeRobot merges the
        leading axes with the rows.
        """
        stored, feature = self._stored.get(column), self._dataset.features.get(column)
        if not isinstance(stored, Mapping) or any(name not in stored for name in STATISTIC_NAMES):
            return None
        try:
            values = _flat(stored)
        except (TypeError, ValueError) as error:
            problem = f"{column} in {STATS} is not made of numbers."
            raise DatasetError(self._dataset.name, problem, [str(error)]) from error
        if feature is not None and feature.is_flattened:
            lists = [stored[name] for name in STATISTIC_NAMES if isinstance(stored[name], list)]
            if len(lists) < len(values) or any(len(part) != feature.width for part in lists):
                return None
        return values


def _flat(statistics: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(statistics[name], np.float64).reshape(-1) for name in STATISTIC_NAMES}


def relative_statistics(
    dataset: LeRobotDataset,
    state: Sequence[VectorKey],
    action: Sequence[VectorKey],
    action_indices: Sequence[int],
) -> tuple[VectorKey, ...]:
    """The action keys, each relative one with the statistics of what it is relative to.

    Raises:
        DatasetError: No episode is as long as a chunk, or a row holds no rotation where it should.
    """
    states, indices, keys = {key.key: key for key in state}, np.asarray(action_indices), []
    for key in action:
        if key.is_relative:
            statistics = _chunk_statistics(dataset, states[key.state_key or key.key], key, indices)
            key = key.model_copy(update={"chunk_statistics": statistics})
        keys.append(key)
    return tuple(keys)


def _chunk_statistics(
    dataset: LeRobotDataset, state: VectorKey, key: VectorKey, indices: np.ndarray
) -> ChunkStatistics:
    columns = sorted({state.original_key, key.original_key})
    before, after = max(0, -int(indices.min())), max(0, int(indices.max()))
    episodes = []
    for episode in dataset.episodes:
        vectors = dataset.vectors(episode.index, columns)
        of_state, of_action = (
            vectors[part.original_key][:, part.start : part.end].astype(np.float64)
            for part in (state, key)
        )
        episodes.append((of_state, of_action, np.arange(before, len(of_state) - after)))
    if not any(len(rows) for _, _, rows in episodes):
        problem = f"no episode is as long as a chunk of {len(indices)} actions."
        raise DatasetError(dataset.name, problem, ["give the data config fewer action_indices"])
    steps = []
    for index in indices:
        try:
            # Step by step: all chunks of a large dataset together are many times its rows.
            values = [
                KeyTransform(key).forward(of_action[rows + index], of_state[rows])
                for of_state, of_action, rows in episodes
                if len(rows)
            ]
        except ValueError as error:
            what = key.rotation_type or "pose"
            problem = f"key '{key.key}' of {key.original_key} holds no {what}."
            raise DatasetError(dataset.name, problem, [str(error)]) from error
        steps.append(array_statistics(np.concatenate(values)))
    values = {name: [step[name].tolist() for step in steps] for name in STATISTIC_NAMES}
    return ChunkStatistics.model_validate(values)
