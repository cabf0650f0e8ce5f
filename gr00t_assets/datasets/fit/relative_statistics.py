"""Statistics of relative actions: one row for each step of a chunk, over whole chunks alone.

As N1.7 computes ``meta/relative_stats.json`` (``gr00t/data/stats.py`` of NVIDIA/Isaac-GR00T at
65cc4a1): the further ahead a step is, the further the robot may have moved. Nothing is written
into the dataset.
"""

from collections.abc import Sequence

import numpy as np

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.statistics import STATISTIC_NAMES, array_statistics
from gr00t_assets.modality.config import ChunkStatistics, VectorKey
from gr00t_assets.modality.key_transform import KeyTransform


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
            problem = (
                f"key '{key.key}' of {key.original_key} holds no {key.rotation_type or 'pose'}."
            )
            raise DatasetError(dataset.name, problem, [str(error)]) from error
        steps.append(array_statistics(np.concatenate(values)))
    return ChunkStatistics(
        **{
            name: tuple(tuple(np.asarray(step[name]).reshape(-1).tolist()) for step in steps)
            for name in STATISTIC_NAMES
        }
    )
