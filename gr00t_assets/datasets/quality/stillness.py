"""Rows in which nothing moves, and actions that repeat the state."""

import numpy as np

from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.quality.figures import Copy, Idle
from gr00t_assets.datasets.quality.thresholds import COPY_SLACK, IDLE_MOVE
from gr00t_assets.datasets.quality.vectors import Ranges, Slice, matching_keys, rows_by_episode


def measure_idle(dataset: LeRobotDataset, columns: dict[str, Ranges]) -> Idle | None:
    """Rows at rest at the start and the end of every episode, all of these columns together.

    Raises:
        DatasetError: A column cannot be read.
    """
    used = {column: ranges for column, ranges in columns.items() if ranges.moving.any()}
    if not used:
        return None
    start, end = [], []
    for parts in rows_by_episode(dataset, used):
        scaled = [
            parts[column][:, ranges.moving] / ranges.extent[ranges.moving]
            for column, ranges in used.items()
        ]
        rows = np.concatenate(scaled, axis=1)
        start.append(_rows_at_rest(rows))
        end.append(_rows_at_rest(rows[::-1]))
    total = max(dataset.frame_count, 1)
    return Idle(
        start=tuple(start),
        end=tuple(end),
        start_share=sum(start) / total,
        end_share=sum(end) / total,
    )


def measure_copies(
    dataset: LeRobotDataset, states: list[Slice], actions: list[Slice], ranges: dict[str, Ranges]
) -> tuple[Copy, ...]:
    """Share of rows whose action is the state of the same row, by key that is in both.

    A joint that is held still repeats its state rightly; one that moves and repeats it was recorded
    without its commands.

    Raises:
        DatasetError: A column cannot be read.
    """
    pairs: list[tuple[Slice, Slice, np.ndarray]] = []
    for state, action in matching_keys(states, actions):
        extents = [ranges[item.column].extent[item.span] for item in (state, action)]
        pairs.append((state, action, np.maximum(*extents)))
    counts = {state.key: np.zeros(3, dtype=int) for state, _, _ in pairs}
    for rows in rows_by_episode(dataset, (item.column for pair in pairs for item in pair[:2])):
        for state, action, extent in pairs:
            slack = COPY_SLACK * extent[extent > 0]
            now = rows[state.column][:, state.span][:, extent > 0]
            commanded = rows[action.column][:, action.span][:, extent > 0]
            equal = np.all(np.abs(now - commanded) <= slack, axis=1)
            moving = (np.abs(np.diff(now, axis=0)) > slack).any(axis=1)
            counts[state.key] += equal.sum(), moving.sum(), (equal[:-1] & moving).sum()
    copies = []
    for state, _, extent in pairs:
        same, moved, followed = counts[state.key].tolist()
        share = same / max(dataset.frame_count, 1) if (extent > 0).any() else None
        moving_share = followed / moved if moved else None
        copies.append(Copy(key=state.key, share=share, moving_share=moving_share))
    return tuple(copies)


def _rows_at_rest(rows: np.ndarray) -> int:
    """Rows before the first that is away from the first row; all but one of an idle episode."""
    away = (np.abs(rows - rows[:1]) > IDLE_MOVE).any(axis=1)
    return int(away.argmax()) - 1 if away.any() else max(len(rows) - 1, 0)
