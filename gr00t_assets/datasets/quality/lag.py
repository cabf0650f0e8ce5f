"""How many rows the state of a joint follows its action, by cross-correlation."""

import numpy as np

from gr00t_assets.datasets.quality.thresholds import LAG_CORRELATION, LAG_SECONDS


def lagged_correlation(leading: np.ndarray, following: np.ndarray, most: int) -> np.ndarray:
    """Pearson's correlation of ``leading[t]`` and ``following[t + k]`` over the rows they share.

    The products of all shifts come from one Fourier transform, as in Knapp and Carter, "The
    generalized correlation method for estimation of time delay", IEEE Transactions on Acoustics,
    Speech, and Signal Processing 24 (1976); the means and variances of what is shared, from
    cumulative sums.

    Args:
        leading: ``(rows, columns)``.
        following: Likewise.
        most: Largest shift in rows, less than the number of rows.

    Returns:
        ``(2 * most + 1, columns)`` for k from ``-most`` to ``most``; NaN where one is constant.

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
        total, squares = (
            sums_to[last + shift] - sums_to[first + shift]
            for sums_to in (
                np.pad(np.cumsum(item, axis=0), ((1, 0), (0, 0))) for item in (values, values**2)
            )
        )
        sums = sums * total
        scale = scale * np.sqrt(np.maximum(squares - total**2 / shared, 0))
    known = scale > 1e-9 * count * leading.std(axis=0) * following.std(axis=0)
    return (products - sums / shared) / np.where(known, scale, np.nan)


def episode_lags(action: np.ndarray, state: np.ndarray, keys: np.ndarray, fps: float) -> np.ndarray:
    """The lag of each key in one episode, read in two ways.

    Steps are correlated, since positions of neighbouring rows are too much alike. An action that
    is a position is compared by its own steps; one that is a step already, as it is.

    Args:
        action: ``(rows, columns)``.
        state: Likewise, the same joints.
        keys: Of each column the number of its key, from 0 on.
        fps: Rows per second.

    Returns:
        ``(keys, 2, 2)``: lag in rows and the mean correlation of the columns at it, of an action
        that is a position and of one that is a step; NaN where nothing moves.
    """
    lags = np.full((int(keys.max(initial=-1)) + 1, 2, 2), np.nan)
    steps = np.nan_to_num(np.diff(state, axis=0))
    most = min(round(LAG_SECONDS * fps), len(steps) // 2)
    for reading, commands in enumerate((np.diff(action, axis=0), action[:-1])):
        commands = np.nan_to_num(commands)
        moving = (commands != commands[:1]).any(axis=0) & (steps != steps[:1]).any(axis=0)
        if most < 1 or not moving.any():
            continue
        found = np.nan_to_num(lagged_correlation(commands[:, moving], steps[:, moving], most))
        for key in np.unique(keys[moving]):
            means = found[:, keys[moving] == key].mean(axis=1)
            best = int(means.argmax())
            lags[key, reading] = best - most + reading, means[best]
    return lags


def median_lag(by_episode: np.ndarray, fps: float) -> float | None:
    """Milliseconds, over the episodes in which the state clearly follows the action; None without
    any.

    Args:
        by_episode: ``(episodes, 2, 2)`` of ``episode_lags``, one key.
        fps: Rows per second.
    """
    clear = by_episode[:, :, 1] >= LAG_CORRELATION
    reading = int(np.where(clear, by_episode[:, :, 1], 0).sum(axis=0).argmax())
    rows = by_episode[clear[:, reading], reading, 0]
    return float(np.median(rows)) * 1000 / fps if len(rows) else None
