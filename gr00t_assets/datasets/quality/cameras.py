"""Brightness, flicker and frozen frames of a camera, from the frame cache."""

from collections.abc import Iterator, Sequence

import numpy as np

from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.quality import thresholds as limits
from gr00t_assets.datasets.quality.figures import Camera, Freeze
from gr00t_assets.datasets.video_decoding import spread_positions

_LUMINANCE_WEIGHTS = np.array([0.299, 0.587, 0.114])
"""Of red, green and blue in luminance, ITU-R BT.601."""

_EVERY = 4
"""Pixels of which one is looked at, in each direction."""

_BLOCK = 64
"""Frames that are in memory at a time."""


def measure_camera(
    dataset: LeRobotDataset, cache: FrameCache, camera: str, moves: Sequence[np.ndarray]
) -> Camera:
    """Figures of the frames of whole episodes, as many as make ``SCANNED_FRAMES``.

    Args:
        dataset: Whose frames they are.
        cache: Where they are.
        camera: Its feature name.
        moves: Of each episode, whether the robot moves between each row and the next.

    Raises:
        DatasetError: Rows cannot be read, or the cache is of another dataset.
    """
    lights, sames, in_motion, flickers, when = [], [], [], [], []
    freezes: list[Freeze] = []
    black: dict[int, float] = {}
    most = max(limits.SCANNED_FRAMES * len(dataset.episodes) // max(dataset.frame_count, 1), 1)
    for place in spread_positions(len(dataset.episodes), most):
        index = dataset.episodes[place].index
        rows = cache.rows(index, camera, dataset.timestamps(index))
        light, same = _scan(cache, camera, rows)
        moving = moves[place][:-1]
        for start, length in true_runs(same):
            seconds = length / dataset.fps
            if seconds >= limits.FREEZE_SECONDS and moving[start : start + length].mean() > 0.5:
                freezes.append(Freeze(episode=index, row=start, seconds=seconds))
        if (light < limits.BLACK).any():
            black[index] = float((light < limits.BLACK).mean())
        when.append(place + np.arange(len(rows)) / max(len(rows), 1))
        flickers.append(np.abs(np.diff(light)) > limits.FLICKER)
        lights.append(light)
        sames.append(same)
        in_motion.append(moving)
    light, same, moving, flicker = map(np.concatenate, (lights, sames, in_motion, flickers))
    shown = spread_positions(len(light), limits.SHOWN_FRAMES)
    return Camera(
        camera=camera,
        episode=tuple(np.concatenate(when)[shown].tolist()),
        luminance=tuple(light[shown].tolist()),
        frames=len(light),
        mean=float(light.mean()),
        dark_share=float((light < limits.DARK).mean()),
        bright_share=float((light > limits.BRIGHT).mean()),
        flicker_share=flicker.sum() / max(len(flicker), 1),
        identical_share=same.sum() / max(len(same), 1),
        frozen_share=(same & moving).sum() / max(moving.sum(), 1),
        freezes=tuple(freezes),
        black=black,
    )


def _scan(cache: FrameCache, camera: str, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean grey level of each frame, and whether each is the same as the next."""
    light, same, last = [], [], None
    for start in range(0, len(rows), _BLOCK):
        frames = cache.frames(camera, rows[start : start + _BLOCK])[:, ::_EVERY, ::_EVERY]
        light.append(frames.mean(axis=(1, 2)) @ _LUMINANCE_WEIGHTS)
        levels = frames.astype(np.int16)
        levels = levels if last is None else np.concatenate([last, levels])
        differences = np.abs(np.diff(levels, axis=0)).max(axis=(1, 2, 3))
        same.append(differences <= limits.FREEZE_LEVELS * np.ptp(levels[1:], axis=(1, 2, 3)))
        last = levels[-1:]
    return np.concatenate(light), np.concatenate(same)


def true_runs(values: np.ndarray) -> Iterator[tuple[int, int]]:
    """Where each run of True begins, and how long it is.

    Examples:
        >>> list(true_runs(np.array([True, True, False, True])))
        [(0, 2), (3, 1)]
    """
    borders = np.flatnonzero(np.diff(np.concatenate([[False], values, [False]]).astype(int)))
    for start, end in zip(borders[::2], borders[1::2], strict=True):
        yield int(start), int(end - start)
