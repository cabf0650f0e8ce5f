"""Changes to the columns and frames of a dataset, and what is measured of it then."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.quality.figures import Quality
from gr00t_assets.datasets.quality.measure import measure_quality
from gr00t_assets.datasets.videos import decode, write_video

EGO = "observation.images.ego_view"
STATE, ACTION = "observation.state", "action"
TASK = "annotation.human.action.task_description"


def rewrite(
    directory: Path,
    column: str,
    change: Callable[[np.ndarray], np.ndarray],
    only: int | None = None,
) -> None:
    """Change a column of every episode, or of one."""
    dataset = LeRobotDataset.open(directory)
    for episode in dataset.episodes:
        if only not in (None, episode.index):
            continue
        path = dataset.parquet_path(episode.index)
        table = pq.read_table(path)
        rows = change(dataset.vector(episode.index, column).copy())
        values = pa.array(list(rows)) if rows.shape[1] > 1 else pa.array(rows[:, 0])
        pq.write_table(table.set_column(table.column_names.index(column), column, values), path)


def refilm(directory: Path, change: Callable[[list[np.ndarray]], list[np.ndarray]]) -> None:
    """Change the frames of every episode."""
    dataset = LeRobotDataset.open(directory)
    for episode in dataset.episodes:
        path = dataset.video_path(episode.index, EGO)
        frames = change([frame for _, frame in decode(path) if frame is not None])
        write_video(path, iter(frames), dataset.fps)


def measured(directory: Path, filmed: bool = False) -> Quality:
    dataset = LeRobotDataset.open(directory)
    cache = None
    if filmed:
        folder = directory.parent / "cache"
        build_frame_cache(dataset, dataset.cameras, folder, workers=1)
        cache = FrameCache.open(folder)
    return measure_quality(dataset, cache)


def warned(quality: Quality) -> set[str]:
    return {warning.measure for warning in quality.warnings}


def held(rows: np.ndarray) -> np.ndarray:
    rows[:25] = rows[25]
    return rows
