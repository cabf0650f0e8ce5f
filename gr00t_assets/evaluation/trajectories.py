"""Recorded and predicted actions over one episode, to be drawn."""

import math

import numpy as np

from gr00t_assets.evaluation.part_errors import PartPredictions, joint_name
from gr00t_assets.evaluation.recorded_actions import ActionGroup
from gr00t_assets.evaluation.result import Trajectory, TrajectoryLine
from gr00t_assets.evaluation.windows import rounded

SHOWN_JOINTS = 6
RECORDED_POINTS = 160
PREDICTED_POINTS = 240
"""Of all chunks of one number at most; of a chunk every second step is kept, or fewer."""


def trajectory(
    predictions: PartPredictions, seconds: np.ndarray, columns: dict[str, np.ndarray]
) -> Trajectory:
    """The first episode of a part: the numbers that move most, and chunks that do not overlap.

    Args:
        predictions: The part with its predictions.
        seconds: Of the episode's rows, ``(rows,)``.
        columns: Its action columns by name, ``(rows, numbers)``.
    """
    windows = predictions.windows
    horizon = windows.inside.shape[1]
    episode = int(windows.episodes[0])
    places = _non_overlapping(windows.rows, windows.episodes == episode, horizon)
    every = max(1, math.ceil(len(places) * horizon / PREDICTED_POINTS))
    steps = [np.flatnonzero(windows.inside[place])[::every] for place in places]
    rows = [windows.rows[place] + kept for place, kept in zip(places, steps, strict=True)]
    shown = np.unique(np.linspace(0, len(seconds) - 1, RECORDED_POINTS).round().astype(int))
    lines = []
    for group, number in _most_moving(predictions):
        truth = columns[group.key.original_key][:, group.key.start + number]
        anchor = predictions.recorded.anchors.get(group.key.key)
        anchor = None if anchor is None else anchor[places]
        predicted = predictions.predicted[:, places][..., group.normalised]
        units = group.inverse(predicted, anchor)[..., number]
        chunks = [units[:, at][:, kept] for at, kept in enumerate(steps)]
        lines.append(
            TrajectoryLine(
                joint=joint_name(group, number),
                recorded=_numbers(truth[shown]),
                predicted=tuple(_numbers(chunk.mean(axis=0)) for chunk in chunks),
                low=tuple(_numbers(chunk.min(axis=0)) for chunk in chunks),
                high=tuple(_numbers(chunk.max(axis=0)) for chunk in chunks),
            )
        )
    return Trajectory(
        part=predictions.part,
        episode=episode,
        seconds=_numbers(seconds[shown]),
        chunk_seconds=tuple(_numbers(seconds[chunk_rows]) for chunk_rows in rows),
        lines=tuple(lines),
    )


def _non_overlapping(rows: np.ndarray, chosen: np.ndarray, horizon: int) -> list[int]:
    """Indices of windows that are at least a horizon from each other."""
    places: list[int] = []
    for place in np.flatnonzero(chosen):
        if not places or rows[place] - rows[places[-1]] >= horizon:
            places.append(int(place))
    return places


def _most_moving(predictions: PartPredictions) -> list[tuple[ActionGroup, int]]:
    """The number of each group that moves most, then others, in the order of the groups."""
    ranked: list[tuple[int, float, int, int]] = []
    for at, group in enumerate(predictions.groups):
        values = predictions.recorded.actions_in_units[group.key.key]
        extent = np.subtract(group.key.statistics.max, group.key.statistics.min)
        moved = values.std(axis=(0, 1)) / np.where(extent > 0, extent, 1)
        for place, number in enumerate(np.argsort(-moved, kind="stable")):
            ranked.append((min(place, 1), -float(moved[number]), at, int(number)))
    chosen = sorted((at, number) for _, _, at, number in sorted(ranked)[:SHOWN_JOINTS])
    return [(predictions.groups[at], number) for at, number in chosen]


def _numbers(values: np.ndarray) -> tuple[float, ...]:
    return tuple(rounded(np.asarray(values, np.float64), 4).tolist())
