"""Statistics of the keys of a modality config: of columns, and of relative actions.

For N1.5 ``meta/stats.json`` is used as it is where it has a column, as Isaac-GR00T does. Where the
file, the column or one of the six statistics is missing (v2.1 keeps statistics by episode), and for
N1.7, they are computed from the rows. Relative actions have a row for each step of a chunk, over
whole chunks alone, as N1.7 computes ``meta/relative_stats.json`` (``gr00t/data/stats.py`` of
NVIDIA/Isaac-GR00T at 65cc4a1): the further ahead a step is, the further the robot may have moved.
Nothing is ever written into the dataset.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.folder import Folder, read_object
from gr00t_assets.datasets.lerobot.statistics import STATISTIC_NAMES, STATS, array_statistics
from gr00t_assets.modality.config import ChunkStatistics, Statistics, VectorKey
from gr00t_assets.modality.key_transform import KeyTransform


class ColumnStatistics:
    """The statistics of a dataset's columns, each computed once at most.

    Args:
        dataset: Of the columns.
        stored: Whether ``meta/stats.json`` is used where it has a column.

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
        """The six statistics over every row by name, each (D,), whatever the file says.

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
        return Statistics(**{name: tuple(part.tolist()) for name, part in parts.items()})

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
            statistics = _statistics(dataset, states[key.state_key or key.key], key, indices)
            key = key.model_copy(update={"chunk_statistics": statistics})
        keys.append(key)
    return tuple(keys)


def _statistics(
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
    return ChunkStatistics(
        **{
            name: tuple(tuple(np.asarray(step[name]).reshape(-1).tolist()) for step in steps)
            for name in STATISTIC_NAMES
        }
    )
