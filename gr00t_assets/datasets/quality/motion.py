"""Second pass: what one episode's rows say of how the joints move."""

import hashlib
from typing import NamedTuple

import numpy as np

from gr00t_assets.datasets.quality import thresholds as limits
from gr00t_assets.datasets.quality.columns import Columns


class EpisodeFigures(NamedTuple):
    """Figures of one episode; arrays over the ``n`` numbers of all columns."""

    moves: np.ndarray  # (rows,): whether a joint moves from each row to the next; False of the last
    extent: np.ndarray  # share of its range that each number goes through; 0 of noise
    at_limit: np.ndarray  # (2, n): share of rows in motion at the least and at the largest value
    outside: np.ndarray  # rows outside q01..q99
    largest_step: np.ndarray  # between successive rows, as a share of the range; 0 of switches
    jumps: np.ndarray  # (jumps, 3): row before it, number and share of the range of each
    lags: np.ndarray  # as ``episode_lags`` gives them
    jerk: float
    rest: tuple[int, int]  # rows at rest before the first and after the last move
    copies: list[list[int]]  # as ``_copies`` gives them
    digest: bytes  # the same of episodes that are equal to the bit
    points: np.ndarray  # where the robot is in ``REPEAT_POINTS`` rows, as shares of ranges, flat


def episode_figures(rows: np.ndarray, columns: Columns, fps: float) -> EpisodeFigures:
    """The figures of an episode, its rows ``(rows, n)``."""
    quiet, scaled = ~columns.noise, rows / columns.scale
    changes = np.abs(np.diff(rows, axis=0)) / columns.scale
    moves = np.zeros(len(rows), dtype=bool)
    moves[: len(changes)] = (changes[:, columns.joints & quiet] > limits.MOVING).any(axis=1)
    known = rows if len(rows) else columns.minimum[None]
    extent = np.fmax.reduce(known) - np.fmin.reduce(known)
    slack = limits.LIMIT_SLACK * columns.extent
    ends = rows <= columns.minimum + slack, rows >= columns.maximum - slack
    in_motion = under_way(rows, slack) & moves[:, None]
    low, high = columns.quantiles + 1e-6 * columns.scale * np.array([[-1], [1]])
    steps = np.where(columns.counted, np.nan_to_num(changes), 0.0)
    jumping = np.nonzero(steps > limits.JUMP)
    used = scaled[:, columns.joints & columns.moving]
    points = np.nan_to_num(scaled[:, columns.moving & quiet])
    return EpisodeFigures(
        moves=moves,
        extent=np.nan_to_num(extent / columns.scale) * quiet,
        at_limit=np.array([(end & in_motion).sum(axis=0) for end in ends]) / max(moves.sum(), 1),
        outside=((rows < low) | (rows > high)).sum(axis=0) * columns.moving,
        largest_step=steps.max(axis=0, initial=0.0),
        jumps=np.column_stack([*jumping, steps[jumping]]),
        lags=_lags(rows * quiet, columns, fps),
        jerk=root_mean_square_jerk(scaled[:, columns.joints & columns.counted & quiet], fps),
        rest=(_rows_at_rest(used), _rows_at_rest(used[::-1])),
        copies=_copies(rows, columns),
        digest=hashlib.blake2b(rows.tobytes(), digest_size=16).digest(),
        points=resampled(points, limits.REPEAT_POINTS).ravel().astype(np.float32),
    )


def _lags(rows: np.ndarray, columns: Columns, fps: float) -> np.ndarray:
    if not columns.pairs:
        return np.zeros((0, 2, 2))
    states, actions = zip(*columns.pairs.values(), strict=True)
    keys = np.repeat(range(len(states)), [len(state) for state in states])
    action, state = (rows[:, np.concatenate(numbers)] for numbers in (actions, states))
    return episode_lags(action, state, keys, fps)


def _rows_at_rest(rows: np.ndarray) -> int:
    """Rows before the first that is away from the first row; all but one of an idle episode."""
    away = (np.abs(rows - rows[:1]) > limits.IDLE_MOVE).any(axis=1)
    return int(away.argmax()) - 1 if away.any() else max(len(rows) - 1, 0)


def _copies(rows: np.ndarray, columns: Columns) -> list[list[int]]:
    """Of each key that is in both: rows whose action is the state; steps in which the state
    changes; those of them whose action is the state.

    A joint that is held still repeats its state rightly; one that moves and repeats it was recorded
    without its commands.
    """
    counts = []
    for state, action in columns.pairs.values():
        extent = np.maximum(columns.extent[state], columns.extent[action])
        slack = limits.COPY_SLACK * extent[extent > 0]
        now = rows[:, state[extent > 0]]
        equal = np.all(np.abs(now - rows[:, action[extent > 0]]) <= slack, axis=1)
        changing = (np.abs(np.diff(now, axis=0)) > slack).any(axis=1)
        counts.append([equal.sum(), changing.sum(), (equal[:-1] & changing).sum()])
    return counts


def resampled(rows: np.ndarray, points: int) -> np.ndarray:
    """Rows, ``(rows, columns)``, at so many evenly spaced places; zeros of an episode without."""
    if not len(rows):
        return np.zeros((points, rows.shape[1]))
    places = np.linspace(0, len(rows) - 1, points)
    below, share = places.astype(int), (places % 1)[:, None]
    return rows[below] * (1 - share) + rows[np.minimum(below + 1, len(rows) - 1)] * share


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
    movements", Journal of Neuroscience 5 (1985). In ranges per second cubed, of positions ``(rows,
    joints)`` as shares of their ranges; 0 of fewer than four rows.

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
    deviations = values - np.median(values)
    sizes = np.abs(deviations)
    spread = np.median(sizes) / 0.6745 or 1.2533 * np.mean(sizes) or 1.0
    return deviations / spread


def lagged_correlation(leading: np.ndarray, following: np.ndarray, most: int) -> np.ndarray:
    """Pearson's correlation of ``leading[t]`` and ``following[t + k]`` over the rows they share.

    The products of all shifts come from one Fourier transform, as in Knapp and Carter, "The
    generalized correlation method for estimation of time delay", IEEE Transactions on Acoustics,
    Speech, and Signal Processing 24 (1976); the means and variances of what is shared, from
    cumulative sums.

    Both are ``(rows, columns)``, with more than ``most`` rows; the correlation is ``(2 * most + 1,
    columns)`` for k from ``-most`` to ``most``, NaN where one is constant.

    Examples:
        >>> wave = np.sin(np.arange(60) / 5)[:, None] ** 3
        >>> int(lagged_correlation(wave[2:], wave[:-2], 5)[:, 0].argmax()) - 5
        2
    """
    count, shifts = len(leading), np.arange(-most, most + 1)
    first, last = np.maximum(-shifts, 0), count - np.maximum(shifts, 0)
    shared = (last - first)[:, None]
    leading, following = leading - leading.mean(axis=0), following - following.mean(axis=0)
    size = 1 << (count + most).bit_length()
    spectra = [np.fft.rfft(values, size, axis=0) for values in (leading, following)]
    products = np.fft.irfft(np.conj(spectra[0]) * spectra[1], size, axis=0)[shifts]
    sums, scale = np.ones(1), np.ones(1)
    for values, shift in ((leading, 0), (following, shifts)):
        to_row = np.pad(np.cumsum([values, values**2], axis=1), ((0, 0), (1, 0), (0, 0)))
        total, squares = to_row[:, last + shift] - to_row[:, first + shift]
        sums = sums * total
        scale = scale * np.sqrt(np.maximum(squares - total**2 / shared, 0))
    known = scale > 1e-9 * count * leading.std(axis=0) * following.std(axis=0)
    return (products - sums / shared) / np.where(known, scale, np.nan)


def episode_lags(action: np.ndarray, state: np.ndarray, keys: np.ndarray, fps: float) -> np.ndarray:
    """The lag of each key in one episode, read in two ways.

    Steps are correlated, since positions of neighbouring rows are too much alike. An action that
    is a position is compared by its own steps; one that is a step already, as it is.

    Args:
        action: ``(rows, columns)``; the state has the same joints.
        keys: Of each column the number of its key, from 0 on.

    Returns:
        ``(keys, 2, 2)``: lag in rows and the mean correlation of the columns at it, of an action
        that is a position and of one that is a step; NaN where nothing moves.
    """
    lags = np.full((int(keys.max(initial=-1)) + 1, 2, 2), np.nan)
    steps = np.nan_to_num(np.diff(state, axis=0))
    most = min(round(limits.LAG_SECONDS * fps), len(steps) // 2)
    for reading, commands in enumerate((np.diff(action, axis=0), action[:-1])):
        commands = np.nan_to_num(commands)
        moving = (commands != commands[:1]).any(axis=0) & (steps != steps[:1]).any(axis=0)
        if most < 1 or not moving.any():
            continue
        correlations = np.nan_to_num(
            lagged_correlation(commands[:, moving], steps[:, moving], most)
        )
        for key in np.unique(keys[moving]):
            means = correlations[:, keys[moving] == key].mean(axis=1)
            best = int(means.argmax())
            lags[key, reading] = best - most + reading, means[best]
    return lags


def median_lag(by_episode: np.ndarray, fps: float) -> float | None:
    """Milliseconds, over the episodes in which the state clearly follows the action; None without
    any. ``by_episode`` has those of one key by ``episode_lags``, ``(episodes, 2, 2)``.
    """
    clear = by_episode[:, :, 1] >= limits.LAG_CORRELATION
    reading = int(np.where(clear, by_episode[:, :, 1], 0).sum(axis=0).argmax())
    rows = by_episode[clear[:, reading], reading, 0]
    return float(np.median(rows)) * 1000 / fps if len(rows) else None
