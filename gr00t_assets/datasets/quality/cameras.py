"""Brightness, flicker and frozen frames of a camera, from the frame cache."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.quality import thresholds as limits
from gr00t_assets.datasets.quality.figures import Camera, Freeze
from gr00t_assets.datasets.videos import spread_positions

if TYPE_CHECKING:
    import pandas as pd

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
        moves: Of each episode, whether the robot moves between each row and the next.

    Raises:
        DatasetError: Rows cannot be read, or the cache is of another dataset.
    """
    import pandas as pd

    parts = []
    most = max(limits.SCANNED_FRAMES * len(dataset.episodes) // max(dataset.frame_count, 1), 1)
    for place in spread_positions(len(dataset.episodes), most):
        index = dataset.episodes[place].index
        rows = cache.rows(index, camera, dataset.timestamps(index))
        light, same = _scan(cache, camera, rows)
        columns = {"light": light, "same": same, "moving": moves[place]}
        part = pd.DataFrame({"episode": index, "row": np.arange(len(rows)), **columns})
        part["place"] = place + part.row / len(rows)
        parts.append(part)
    frames = pd.concat(parts, ignore_index=True)
    pairs = frames[frames.duplicated("episode", keep="last")]
    flickers = frames.groupby("episode").light.diff().abs() > limits.FLICKER
    black = (frames.light < limits.BLACK).groupby(frames.episode, sort=False).mean()
    shown = frames.iloc[spread_positions(len(frames), limits.SHOWN_FRAMES)]
    return Camera(
        camera=camera,
        episode=tuple(shown.place.tolist()),
        luminance=tuple(shown.light.tolist()),
        frames=len(frames),
        mean=float(frames.light.mean()),
        dark_share=float((frames.light < limits.DARK).mean()),
        bright_share=float((frames.light > limits.BRIGHT).mean()),
        flicker_share=flickers.sum() / max(len(pairs), 1),
        identical_share=pairs.same.sum() / max(len(pairs), 1),
        frozen_share=(pairs.same & pairs.moving).sum() / max(pairs.moving.sum(), 1),
        freezes=tuple(_freezes(pairs, dataset.fps)),
        black={int(index): float(share) for index, share in black[black > 0].items()},
    )


def _freezes(pairs: "pd.DataFrame", fps: float) -> Iterator[Freeze]:
    """Runs of pairs of the same frame, during most of which the robot moves."""
    state = pairs[["episode", "same"]]
    runs = (state != state.shift()).any(axis=1).cumsum()
    for _, run in pairs[pairs.same].groupby(runs):
        seconds = len(run) / fps
        if seconds >= limits.FREEZE_SECONDS and run.moving.mean() > 0.5:
            first = run.iloc[0]
            yield Freeze(episode=int(first.episode), row=int(first.row), seconds=seconds)


def _scan(cache: FrameCache, camera: str, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean grey level of each frame, and whether the next is the same; False of the last."""
    light, same, last = [], [], None
    for start in range(0, len(rows), _BLOCK):
        frames = cache.frames(camera, rows[start : start + _BLOCK])[:, ::_EVERY, ::_EVERY]
        light.append(frames.mean(axis=(1, 2)) @ _LUMINANCE_WEIGHTS)
        levels = frames.astype(np.int16)
        levels = levels if last is None else np.concatenate([last, levels])
        differences = np.abs(np.diff(levels, axis=0)).max(axis=(1, 2, 3))
        same.append(differences <= limits.FREEZE_LEVELS * np.ptp(levels[1:], axis=(1, 2, 3)))
        last = levels[-1:]
    return np.concatenate(light), np.append(np.concatenate(same), False)
