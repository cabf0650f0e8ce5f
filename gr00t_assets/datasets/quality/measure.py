"""Measuring the quality of a dataset: what no check forbids and a policy still learns from."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from gr00t_assets.core.files import read_limited
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.info import V30
from gr00t_assets.datasets.lerobot.statistics import STATS
from gr00t_assets.datasets.quality import figures, motion
from gr00t_assets.datasets.quality import thresholds as limits
from gr00t_assets.datasets.quality.columns import Columns, measure_language
from gr00t_assets.datasets.quality.figures import Quality
from gr00t_assets.datasets.quality.scores import episode_scores, find_repeats
from gr00t_assets.datasets.quality.table import find_warnings
from gr00t_assets.datasets.videos import spread_positions

if TYPE_CHECKING:
    import pandas as pd

_LUMINANCE_WEIGHTS = np.array([0.299, 0.587, 0.114])  # of red, green and blue, ITU-R BT.601
_EVERY = 4  # pixels of which one is looked at, in each direction
_BLOCK = 64  # frames that are in memory at a time

Parts = list[motion.EpisodeFigures]  # figures of each episode


def measure_quality(
    dataset: LeRobotDataset, cache: FrameCache | None, language_column: str | None = None
) -> Quality:
    """Figures of a dataset, with a warning for each threshold that one of them passes.

    Reads the rows twice, an episode at a time, and the frames of some whole episodes; without a
    cache nothing is said of images. Instructions are of the column of task indices of the data
    config that will be trained, by default of the one that modality.json names.

    Raises:
        DatasetError: Its rows cannot be read, or the cache is of another dataset.
    """
    statistics = None
    if dataset.info.version != V30:  # Its quantiles are means of the episodes' quantiles.
        with suppress(OSError, ValueError):  # Other checks report a damaged file.
            statistics = json.loads(read_limited(dataset.directory / STATS))
    columns = Columns(dataset, statistics)
    parts = [motion.episode_figures(rows, columns, dataset.fps) for rows in columns.rows()]
    indices = [episode.index for episode in dataset.episodes]
    moves, total = [part.moves for part in parts], max(dataset.frame_count, 1)
    start, end = zip(*(part.rest for part in parts), strict=True)
    shares = {"start_share": sum(start) / total, "end_share": sum(end) / total}
    idle = figures.Idle(start=start, end=end, **shares)
    measured = Quality(
        dataset=dataset.name,
        fps=dataset.fps,
        lengths=_lengths(dataset),
        idle=idle if (columns.moving & columns.joints).any() else None,
        vectors=tuple(_vectors(columns, indices, parts)),
        copies=tuple(_copies(columns, parts, total)),
        motion=_motion(columns, indices, parts, dataset.fps),
        repeats=find_repeats(dataset.episodes, parts) if columns.spans else (),
        language=measure_language(dataset, language_column),
        cameras=()
        if cache is None
        else tuple(_camera(dataset, cache, camera, moves) for camera in cache.cameras),
    )
    measured = measured.model_copy(update={"scores": episode_scores(measured, indices)})
    return measured.model_copy(update={"warnings": tuple(find_warnings(measured))})


def _lengths(dataset: LeRobotDataset) -> figures.Lengths:
    rows = np.array([episode.length for episode in dataset.episodes])
    median = float(np.median(rows))
    far = (rows * limits.LENGTH_FACTOR < median) | (rows > median * limits.LENGTH_FACTOR)
    return figures.Lengths(
        rows=tuple(rows.tolist()),
        shortest=int(rows.min()),
        median=median,
        longest=int(rows.max()),
        outliers=_chosen([episode.index for episode in dataset.episodes], far),
    )


def _chosen(indices: Sequence[int], chosen: np.ndarray) -> tuple[int, ...]:
    return tuple(indices[place] for place in np.flatnonzero(chosen).tolist())


def _vectors(columns: Columns, indices: list[int], parts: Parts) -> Iterator[figures.Vector]:
    rows = max(sum(len(part.moves) for part in parts), 1)
    outside = np.sum([part.outside for part in parts], axis=0) / rows
    largest = np.max([part.largest_step for part in parts], axis=0, initial=0.0)
    for column, span in columns.spans.items():
        jumps, first = {}, None
        for index, part in zip(indices, parts, strict=True):
            found = part.jumps[(part.jumps[:, 1] >= span.start) & (part.jumps[:, 1] < span.stop)]
            if not len(found):
                continue
            jumps[index] = len(np.unique(found[:, 0]))
            if first is None:
                at_once = found[found[:, 0] == found[0, 0]]
                row, number, _ = at_once[at_once[:, 2].argmax()].astype(int)
                first = f"episode {index} row {row + 1}, {columns.labels[number]}"
        yield figures.Vector(
            column=column,
            labels=tuple(columns.labels[span]),
            minimum=tuple(columns.minimum[span].tolist()),
            maximum=tuple(columns.maximum[span].tolist()),
            q01=tuple(columns.quantiles[0, span].tolist()),
            q99=tuple(columns.quantiles[1, span].tolist()),
            stored=columns.stored[column],
            outside=tuple(outside[span].tolist()),
            largest_step=tuple(largest[span].tolist()),
            steps=sum(max(len(part.moves) - 1, 0) for part in parts),
            jumps=sum(jumps.values()),
            jumps_by_episode=jumps,
            first_jump=first,
        )


def _copies(columns: Columns, parts: Parts, total: int) -> Iterator[figures.Copy]:
    counts = np.sum([part.copies for part in parts], axis=0).tolist()
    for (key, numbers), (same, moved, followed) in zip(columns.pairs.items(), counts, strict=True):
        share = same / total if columns.moving[np.concatenate(numbers)].any() else None
        yield figures.Copy(key=key, share=share, moving_share=followed / moved if moved else None)


def _motion(columns: Columns, indices: list[int], parts: Parts, fps: float) -> figures.Motion:
    extents = np.array([part.extent for part in parts])
    lags = np.array([part.lags for part in parts])
    jerks = np.array([part.jerk for part in parts])
    median = float(np.median(jerks))
    shaken = motion.robust_scores(np.log(np.maximum(jerks, 1e-12))) > limits.OUTLIER
    shaken &= (jerks > limits.JERK_FACTOR * median) & (len(jerks) >= limits.FEWEST_EPISODES)
    shaken &= median > 0  # One that moves among those that stand still does not shake.
    stuck = _stuck(extents, columns)
    return figures.Motion(
        stuck={
            label: _chosen(indices, still)
            for label, still in zip(columns.labels, stuck.T, strict=True)
            if still.any()
        },
        limits=tuple(_at_limit(columns, indices, parts)),
        lags={key: motion.median_lag(lags[:, n], fps) for n, key in enumerate(columns.pairs)},
        jerk=tuple(jerks.tolist()) if columns.spans else (),
        jerk_median=median,
        jerk_outliers=_chosen(indices, shaken),
    )


def _stuck(extents: np.ndarray, columns: Columns) -> np.ndarray:
    """Numbers of the state that stay where they are in an episode although their action moves;
    without an action, although they move in nearly all other episodes. ``(episodes, n)``.
    """
    moved = extents > limits.COMMANDED
    often = (moved.mean(axis=0) >= limits.USUALLY) & (len(moved) >= limits.FEWEST_EPISODES)
    expected = np.broadcast_to(often, moved.shape).copy()
    for state, action in columns.pairs.values():
        expected[:, state] = moved[:, action]
    return expected & (extents <= limits.STUCK) & columns.joints


def _at_limit(columns: Columns, indices: list[int], parts: Parts) -> Iterator[figures.AtLimit]:
    """Of each number, in the episodes in which it moves and counts. Its least or largest value is a
    limit where three episodes come to it.
    """
    moved = np.array([part.extent for part in parts]) > limits.COMMANDED
    counted, shares = moved & columns.counted, np.array([part.at_limit for part in parts])
    reached = (shares > 0).sum(axis=0) >= min(3, len(shares))
    shares = np.where(counted, (shares * reached).sum(axis=1), 0.0)
    means = shares.sum(axis=0) / np.maximum(counted.sum(axis=0), 1)
    above = [_chosen(indices, number) for number in (shares > limits.LIMIT_SHARE).T]
    for column, span in columns.spans.items():
        yield figures.AtLimit(
            column=column,
            labels=tuple(columns.labels[span]),
            shares=tuple(means[span].tolist()),
            episodes=tuple(above[span]),
        )


def _camera(
    dataset: LeRobotDataset, cache: FrameCache, camera: str, moves: Sequence[np.ndarray]
) -> figures.Camera:
    """Figures of the frames of whole episodes, as many as make ``SCANNED_FRAMES``; ``moves`` are of
    every episode.
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
    return figures.Camera(
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


def _freezes(pairs: "pd.DataFrame", fps: float) -> Iterator[figures.Freeze]:
    """Runs of pairs of the same frame, during most of which the robot moves."""
    state = pairs[["episode", "same"]]
    runs = (state != state.shift()).any(axis=1).cumsum()
    for _, run in pairs[pairs.same].groupby(runs):
        seconds = len(run) / fps
        if seconds >= limits.FREEZE_SECONDS and run.moving.mean() > 0.5:
            first = run.iloc[0]
            yield figures.Freeze(episode=int(first.episode), row=int(first.row), seconds=seconds)


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
