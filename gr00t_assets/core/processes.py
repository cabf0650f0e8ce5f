"""Whether a process of this machine is there, and waiting for its end."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any


def is_alive(process: int | None) -> bool:
    """Whether a process runs; one that has ended and that nobody collects does not.

    Alive where it cannot be told, as of a number that no process has.
    """
    if process is None:
        return False
    try:
        os.kill(process, 0)
        stat = Path(f"/proc/{process}/stat").read_text()
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


def ends_within(process: subprocess.Popen[Any], seconds: float) -> bool:
    """Wait so long at most for a process to end; whether it has."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    return process.returncode is not None
