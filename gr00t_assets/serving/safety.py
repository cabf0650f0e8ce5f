"""What stands between a policy and an arm: joint ranges, joint speed, a dead-man, fresh images.

None of this replaces an emergency stop that cuts the power.
"""

import os
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from gr00t_assets.core.errors import ActionError, ObservationError


class JointLimits:
    """Keeps commands in the joints' ranges, in the robot's units, and slow.

    A command is clipped to ``low`` and ``high``, then to what ``speed``, the most units in a second
    of each joint or of all, allows from the last command, and is never further from the measured
    position than ``lead`` seconds of that speed: an arm that is held back by something is not
    pushed ever harder. ValueError where a range is empty or a speed not above 0.
    """

    def __init__(
        self,
        names: Iterable[str],
        low: np.ndarray,
        high: np.ndarray,
        speed: float | np.ndarray,
        lead: float = 0.5,
    ) -> None:
        self.names, shape = tuple(names), np.shape(low)
        self.low, self.high = np.array(low, float), np.array(high, float)
        self.speed, self.lead = np.broadcast_to(np.array(speed, float), shape), lead
        if not ((self.low <= self.high).all() and (self.speed > 0).all() and lead > 0):
            raise ValueError("low <= high, speed > 0 and lead > 0, for every joint")
        self._last: np.ndarray | None = None

    def hold(self, measured: np.ndarray) -> np.ndarray:
        """The command that keeps an arm where it is; commands start anew from there."""
        self._last = self._checked(measured, "measured position").copy()
        return self._last

    def limited(self, wanted: np.ndarray, measured: np.ndarray, seconds: float) -> np.ndarray:
        """The command for a position, ``seconds`` after the last; ``ActionError`` if it is NaN."""
        wanted = self._checked(wanted, "action")
        measured = self._checked(measured, "measured position")
        last = measured if self._last is None else self._last
        step, lead = self.speed * seconds, self.speed * self.lead
        command = np.clip(wanted, self.low, self.high)
        command = np.clip(command, last - step, last + step)
        self._last = np.clip(command, measured - lead, measured + lead)
        return self._last

    def _checked(self, values: np.ndarray, what: str) -> np.ndarray:
        values = np.asarray(values, float)
        if values.shape != self.low.shape:
            found = f"{values.shape}, not {self.low.shape}"
            raise ActionError("arm", f"the {what} has the shape {found}.")
        if not np.isfinite(values).all():
            bad = ", ".join(self.names[at] for at in np.flatnonzero(~np.isfinite(values)))
            raise ActionError("arm", f"the {what} is NaN or infinite: {bad}; nothing is sent.")
        return values


class FreshImages:
    """Tells a camera whose image stays the same for longer: real ones differ, if only by noise."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._seen: dict[str, tuple[float, int]] = {}

    def check(self, observation: Mapping[str, Any], now: float) -> None:
        """Look at the images seen ``now``, seconds; ``ObservationError`` where a camera hangs."""
        for name, image in observation.items():
            if np.ndim(image) != 3:
                continue
            content = zlib.crc32(np.ascontiguousarray(image).data)
            since, before = self._seen.get(name, (now, content))
            since = since if content == before else now
            self._seen[name] = since, content
            if now - since > self._seconds:
                problem = f"the image of this camera has not changed for {now - since:.1f} s."
                raise ObservationError(name, problem, ["is it plugged in? start it again"])


@contextmanager
def held_key(seconds: float = 0.7) -> Iterator[Callable[[], bool]]:
    """The terminal's space bar as a dead-man: a function that says whether it is held down.

    The arm may move for ``seconds`` after a key, as terminals repeat one after half a second; any
    other key lets go at once.
    """
    import select
    import termios
    import tty

    last = -np.inf

    def held() -> bool:
        nonlocal last
        while select.select([sys.stdin], [], [], 0)[0]:
            character = os.read(sys.stdin.fileno(), 1)
            if not character:
                return False
            last = time.monotonic() if character == b" " else -np.inf
        return time.monotonic() - last <= seconds

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield held
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
