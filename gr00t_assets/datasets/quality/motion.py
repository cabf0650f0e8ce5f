"""How the joints move: stuck, at their limits, behind their commands, and with how much jerk."""

from collections.abc import Mapping

import numpy as np

from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.quality import thresholds as limits
from gr00t_assets.datasets.quality.figures import AtLimit, Motion
from gr00t_assets.datasets.quality.lag import episode_lags, median_lag
from gr00t_assets.datasets.quality.vectors import (
    Ranges,
    Slice,
    dimension_names,
    matching_keys,
    robot_moves,
)


class MotionPass:
    """Takes the rows of one episode after another and gives the figures of all.

    Args:
        dataset: Whose rows they are.
        states: Keys of the state.
        actions: Keys of the action.
        ranges: Of each of their columns.
    """

    def __init__(
        self,
        dataset: LeRobotDataset,
        states: list[Slice],
        actions: list[Slice],
        ranges: Mapping[str, Ranges],
    ) -> None:
        self._dataset = dataset
        self._ranges = ranges
        self._labels = {
            column: dimension_names(dataset, column, len(of.minimum), [*states, *actions])
            for column, of in ranges.items()
        }
        self._joints = {item.column: ranges[item.column] for item in states or actions}
        self._pairs = matching_keys(states, actions)
        self._extents: dict[str, list[np.ndarray]] = {column: [] for column in ranges}
        self._at_limit: dict[str, list[np.ndarray]] = {column: [] for column in ranges}
        self._keys = np.repeat(range(len(self._pairs)), [state.size for state, _ in self._pairs])
        self._lags: list[np.ndarray] = []
        self._jerks: list[float] = []

    def add(self, rows: Mapping[str, np.ndarray]) -> None:
        """Take the next episode: its columns, each ``(rows, width)`` float64."""
        fps, count = self._dataset.fps, len(next(iter(rows.values())))
        moves = robot_moves(rows, self._joints, count)
        for column, ranges in self._ranges.items():
            values = rows[column]
            known = values if len(values) else ranges.minimum[None]
            extent = np.fmax.reduce(known) - np.fmin.reduce(known)
            self._extents[column].append(np.nan_to_num(extent / ranges.scale) * ~ranges.noise)
            slack = limits.LIMIT_SLACK * ranges.extent
            ends = values <= ranges.minimum + slack, values >= ranges.maximum - slack
            counted = under_way(values, slack) & moves[:, None]
            counts = np.array([(end & counted).sum(axis=0) for end in ends])
            self._at_limit[column].append(counts / max(moves.sum(), 1))
        if self._pairs:
            quiet = {name: rows[name] * ~ranges.noise for name, ranges in self._ranges.items()}
            state, action = (
                np.concatenate([quiet[item.column][:, item.span] for item in side], axis=1)
                for side in zip(*self._pairs, strict=True)
            )
            self._lags.append(episode_lags(action, state, self._keys, fps))
        scaled = [rows[column] / ranges.scale for column, ranges in self._joints.items()]
        counted = [ranges.counted & ~ranges.noise for ranges in self._joints.values()]
        if scaled:
            joints = np.concatenate(scaled, axis=1)[:, np.concatenate(counted)]
            self._jerks.append(root_mean_square_jerk(joints, fps))

    def result(self) -> Motion:
        """The figures of all episodes that were taken."""
        extents = {column: np.array(values) for column, values in self._extents.items()}
        fps, lags = self._dataset.fps, np.array(self._lags)
        jerks = np.array(self._jerks)
        median = float(np.median(jerks)) if self._jerks else 0.0
        return Motion(
            stuck=self._stuck(extents),
            limits=tuple(self._limit(column, extents[column]) for column in self._ranges),
            lags={
                state.key: median_lag(lags[:, number], fps)
                for number, (state, _) in enumerate(self._pairs)
            },
            jerk=tuple(self._jerks),
            jerk_median=median,
            jerk_outliers=self._indices(
                (robust_scores(np.log(np.maximum(jerks, 1e-12))) > limits.OUTLIER)
                & (jerks > limits.JERK_FACTOR * median)
                & (len(jerks) >= limits.FEWEST_EPISODES)
            ),
        )

    def _stuck(self, extents: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
        """Dimensions of the state that stay where they are in an episode although their action
        moves; without an action, although they move in nearly all other episodes.
        """
        stuck = {}
        for column in self._joints:
            moved = extents[column] > limits.COMMANDED
            often = (moved.mean(axis=0) >= limits.USUALLY) & (len(moved) >= limits.FEWEST_EPISODES)
            expected = np.broadcast_to(often, moved.shape).copy()
            for state, action in self._pairs:
                if state.column == column:
                    commands = extents[action.column][:, action.span]
                    expected[:, state.span] = commands > limits.COMMANDED
            still = expected & (extents[column] <= limits.STUCK)
            for number in np.flatnonzero(still.any(axis=0)):
                stuck[self._labels[column][number]] = self._indices(still[:, number])
        return stuck

    def _limit(self, column: str, extents: np.ndarray) -> AtLimit:
        """Of each dimension, in the episodes in which it moves. Its least or largest value is a
        limit where three episodes come to it.
        """
        counted = (extents > limits.COMMANDED) & self._ranges[column].counted
        shares = np.array(self._at_limit[column])
        reached = (shares > 0).sum(axis=0) >= min(3, len(shares))
        shares = np.where(counted, (shares * reached).sum(axis=1), 0.0)
        return AtLimit(
            column=column,
            labels=self._labels[column],
            shares=tuple((shares.sum(axis=0) / np.maximum(counted.sum(axis=0), 1)).tolist()),
            episodes=tuple(self._indices(row) for row in (shares > limits.LIMIT_SHARE).T),
        )

    def _indices(self, chosen: np.ndarray) -> tuple[int, ...]:
        return tuple(self._dataset.episodes[place].index for place in np.flatnonzero(chosen))


def under_way(values: np.ndarray, slack: np.ndarray) -> np.ndarray:
    """Rows from where each column has left its first value to where it comes to its last,
    ``(rows, columns)``: a pose to start from is no limit.

    Examples:
        >>> under_way(np.array([[0.0], [0.0], [2.0], [2.0], [1.0], [1.0]]), np.zeros(1))[:, 0] * 1
        array([0, 0, 1, 1, 0, 0])
    """
    left = np.logical_or.accumulate(np.abs(values - values[:1]) > slack, axis=0)
    ahead = np.logical_or.accumulate((np.abs(values - values[-1:]) > slack)[::-1], axis=0)[::-1]
    return left & ahead


def root_mean_square_jerk(positions: np.ndarray, fps: float) -> float:
    """Third difference times fps cubed, its root mean square over rows and joints.

    Jerk as the measure of how smooth a movement is: Flash and Hogan, "The coordination of arm
    movements", Journal of Neuroscience 5 (1985).

    Args:
        positions: ``(rows, joints)``, as shares of their ranges.
        fps: Rows per second.

    Returns:
        Ranges per second cubed; 0 of fewer than four rows.

    Examples:
        >>> seconds = np.arange(40)[:, None] / 20
        >>> round(root_mean_square_jerk(seconds**3, 20), 6)
        6.0
    """
    jerk = np.diff(positions, n=3, axis=0) * fps**3
    finite = jerk[np.isfinite(jerk)]
    return float(np.sqrt(np.mean(finite**2))) if finite.size else 0.0


def robust_scores(values: np.ndarray) -> np.ndarray:
    """Distances from the median in units of the spread, which outliers do not widen.

    The modified z-score of Iglewicz and Hoaglin, "How to Detect and Handle Outliers" (1993):
    0.6745 times the deviation from the median over the median absolute deviation; over 1.2533 times
    the mean absolute deviation where more than half of the values are the same.

    Examples:
        >>> robust_scores(np.array([1.0, 2.0, 3.0, 4.0, 50.0])).round(1).tolist()
        [-1.3, -0.7, 0.0, 0.7, 31.7]
    """
    if not len(values):
        return values
    deviations = values - np.median(values)
    sizes = np.abs(deviations)
    spread = np.median(sizes) / 0.6745 or 1.2533 * np.mean(sizes) or 1.0
    return deviations / spread
