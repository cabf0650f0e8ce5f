"""An earlier attempt that is still writing its last checkpoint when the next one is started."""

import time
from collections.abc import Callable
from pathlib import Path

from gr00t_assets.runs.ends import trained_by

_POLL = 0.5


def wait_for_earlier(
    run_directory: Path,
    patience: float,
    log: Callable[[str], object] = lambda line: None,
    check: Callable[[], object] = lambda: None,
) -> bool:
    """Wait until no process trains in a run directory, so that no slot is taken for waiting.

    A trainer whose run worker was killed has its grace to save in, and the run is requested again
    meanwhile.

    Args:
        run_directory: Where the attempts are.
        patience: Seconds; who trains longer than that does more than saving.
        log: Where a line goes when it waits.
        check: Called while it waits; what it raises ends the waiting.

    Returns:
        Whether it is free.
    """
    deadline = time.monotonic() + patience
    told = False
    while (holder := trained_by(run_directory)) is not None:
        if time.monotonic() >= deadline:
            return False
        if not told:
            log(f"waiting for {holder}, an earlier attempt that is still writing its checkpoint")
            told = True
        check()
        time.sleep(_POLL)
    return True
