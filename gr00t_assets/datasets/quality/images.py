"""Brightness, flicker and frozen video, from sampled pairs of successive frames."""

from collections.abc import Mapping

import numpy as np

from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.lerobot.lerobot import LeRobotDataset
from gr00t_assets.datasets.quality.figures import Camera
from gr00t_assets.datasets.quality.thresholds import (
    BRIGHT,
    DARK,
    FLICKER,
    MOVING,
    SAMPLED_EPISODES,
    SAMPLED_PAIRS,
)
from gr00t_assets.datasets.quality.vectors import Ranges

_WEIGHTS = np.array([0.299, 0.587, 0.114])
"""Of red, green and blue in luminance, ITU-R BT.601."""

_EVERY = 4


def cameras(
    dataset: LeRobotDataset, cache: FrameCache, states: Mapping[str, Ranges]
) -> tuple[Camera, ...]:
    """Figures of every camera of a frame cache.

    Args:
        dataset: The dataset.
        cache: Its frames.
        states: Columns that say whether the robot moves, with their ranges.

    Raises:
        DatasetError: A column cannot be read, or the cache lacks an episode.
    """
    return tuple(_camera(dataset, cache, camera, states) for camera in cache.cameras)


def _camera(
    dataset: LeRobotDataset, cache: FrameCache, camera: str, states: Mapping[str, Ranges]
) -> Camera:
    chosen = np.linspace(0, len(dataset.episodes) - 1, SAMPLED_EPISODES).round().astype(int)
    when: list[float] = []
    levels: list[float] = []
    pairs = flickers = identical = moving = frozen = 0
    for position in dict.fromkeys(chosen.tolist()):
        episode = dataset.episodes[position]
        rows = cache.rows(episode.index, camera, dataset.timestamps(episode.index))
        moves = _moves(dataset, episode.index, len(rows), states)
        starts = np.linspace(0, max(len(rows) - 2, 0), SAMPLED_PAIRS).round().astype(int)
        for start in dict.fromkeys(starts.tolist()):
            two = cache.frames(camera, rows[start : start + 2])
            light = two[:, ::_EVERY, ::_EVERY].mean(axis=(1, 2)) @ _WEIGHTS
            when.append(position + start / max(len(rows), 1))
            levels.append(float(light[0]))
            if len(two) < 2 or rows[start] == rows[start + 1]:
                continue
            same = np.array_equal(two[0], two[1])
            pairs += 1
            identical += same
            moving += bool(moves[start])
            frozen += bool(moves[start]) and same
            flickers += bool(abs(light[1] - light[0]) > FLICKER)
    light = np.array(levels)
    return Camera(
        camera=camera,
        episode=tuple(when),
        luminance=tuple(levels),
        mean=float(light.mean()),
        dark_share=float((light < DARK).mean()),
        bright_share=float((light > BRIGHT).mean()),
        pairs=pairs,
        flicker_share=flickers / max(pairs, 1),
        identical_share=identical / max(pairs, 1),
        frozen_share=frozen / max(moving, 1),
    )


def _moves(
    dataset: LeRobotDataset, episode: int, length: int, states: Mapping[str, Ranges]
) -> np.ndarray:
    """Whether a joint moves between each row and the next, ``(rows,)``."""
    moves = np.zeros(length, dtype=bool)
    for column, found in states.items():
        rows = dataset.vector(episode, column).astype(np.float64)[:, found.moving]
        steps = np.abs(np.diff(rows, axis=0)) / found.extent[found.moving]
        moves[: len(steps)] |= (steps > MOVING).any(axis=1)
    return moves
