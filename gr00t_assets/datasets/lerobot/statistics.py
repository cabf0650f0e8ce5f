"""Statistics of a dataset's columns, as Isaac-GR00T defines them."""

import numpy as np

from gr00t_assets.datasets.lerobot.lerobot import LeRobotDataset


def column_statistics(dataset: LeRobotDataset, column: str) -> dict[str, np.ndarray]:
    """Statistics of a numeric column over every row of the dataset.

    As ``calculate_dataset_statistics`` in Isaac-GR00T's ``gr00t/data/dataset.py``: in float32,
    population standard deviation, linearly interpolated quantiles.

    Returns:
        ``min``, ``max``, ``mean``, ``std``, ``q01`` and ``q99``, each of shape ``(numbers,)``.

    Raises:
        DatasetError: The column is missing or not rectangular.
    """
    episodes = [dataset.vector(episode.index, column) for episode in dataset.episodes]
    return array_statistics(np.concatenate(episodes))


def array_statistics(values: np.ndarray) -> dict[str, np.ndarray]:
    """The same of an array of shape ``(rows, numbers)``.

    Example:
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
