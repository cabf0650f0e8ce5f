"""Timestamps of one episode: increasing, a frame apart, and from zero.

GR00T looks a row's image up by its timestamp, so that a wrong one is a wrong image.
"""

import numpy as np

from gr00t_assets.core.finding import Collector

RECORD = "record the time of each frame from the start of its episode"


def measured_fps(times: np.ndarray) -> float | None:
    """Rows a second by the median step; none where there is no step forward.

    Args:
        times: Seconds, shape ``(rows,)``.
    """
    if len(times) < 3 or not np.isfinite(times).all():
        return None
    step = float(np.median(np.diff(times)))
    return 1 / step if step > 1e-6 else None


def check_timestamps(collector: Collector, file: str, times: np.ndarray, fps: float) -> None:
    """Hold the timestamps of an episode against the rate.

    Args:
        collector: Takes the findings.
        file: The episode's file.
        times: Seconds, shape ``(rows,)``, finite.
        fps: Rows a second.
    """
    steps = np.diff(times)
    back = np.flatnonzero(steps <= 0)
    if len(back):
        row = int(back[0])
        collector.error(
            "timestamp-order",
            file,
            f"row {row + 1} is at {times[row + 1]:g} s after {times[row]:g} s"
            + (f", and {len(back) - 1} more rows" if len(back) > 1 else ""),
            "timestamps that increase",
            RECORD,
        )
        return
    _start(collector, file, float(times[0]), fps)
    rate = measured_fps(times)
    if rate is not None and abs(rate - fps) > 0.01 * fps:
        collector.error(
            "timestamp-fps",
            file,
            f"{rate:.4g} rows a second by the timestamps",
            f"{fps:g}, the rate of the dataset",
            "correct fps, or the timestamps",
        )
        return
    off = np.abs(steps - 1 / fps)
    if len(off) and off.max() > 0.5 / fps:
        row = int(off.argmax())
        collector.error(
            "timestamp-step",
            file,
            f"{steps[row]:.4g} s between rows {row} and {row + 1}",
            f"{1 / fps:.4g} s, at most half a frame more or less",
            "frames were dropped or are late: " + RECORD,
        )
        return
    drift = times - times[0] - np.arange(len(times)) / fps
    if np.abs(drift).max() > 0.5 / fps:
        row = int((np.abs(drift) > 0.5 / fps).argmax())
        collector.error(
            "timestamp-drift",
            file,
            f"row {row} is {drift[row] * fps:+.2f} frames from its place; "
            f"{rate or fps:.6g} rows a second by the timestamps",
            f"row i at i / {fps:g} s, at most half a frame more or less",
            "correct fps, or the timestamps",
        )


def _start(collector: Collector, file: str, first: float, fps: float) -> None:
    shift = round(first * fps)
    if shift == 0:
        return
    report = collector.warn if abs(shift) == 1 else collector.error
    report(
        "timestamp-start",
        file,
        f"the first row is at {first:.4g} s, so row i gets frame i{shift:+d}",
        "0 s",
        "subtract the first timestamp of each episode",
    )
