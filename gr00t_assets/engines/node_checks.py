"""What a node has to have before it trains: the store, the package, room, and the time."""

import os
import sys
import time
from datetime import datetime
from pathlib import Path

from gr00t_assets import __version__
from gr00t_assets.core.files import free_bytes
from gr00t_assets.core.processes import host_name
from gr00t_assets.engines.job_record import (
    CLOCKS_APART,
    OTHER_VERSION,
    REFUSALS,
    STORE_FULL,
    STORE_MISSING,
    SUPERSEDED,
    read_job,
)
from gr00t_assets.engines.store_id import STORE_ID
from gr00t_assets.runs.retry import MIN_FREE_BYTES

CLOCK_TOLERANCE = 60.0
"""Seconds by which two clocks may differ."""


class RefusalError(Exception):
    """A node does not train.

    Attributes:
        code: Exit code, of ``REFUSALS``.
        text: What is wrong, and below it the values and what to do.
    """

    def __init__(self, code: int, *details: str) -> None:
        self.code = code
        self.text = "\n".join([REFUSALS[code].format(node=node_name()), *details])
        super().__init__(self.text)


def node_name() -> str:
    """As Slurm has it; else that of this machine."""
    return os.environ.get("SLURMD_NODENAME") or host_name()


def require_store(root: Path, expected: str) -> None:
    """Refuse a store that is not there, or another one."""
    try:
        mark = (root / STORE_ID).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise RefusalError(STORE_MISSING, f"{root}: {error.strerror}") from error
    if mark != expected:
        raise RefusalError(
            STORE_MISSING, f"{root} has the mark {mark[:8]}, expected {expected[:8]}"
        )


def require_current(name: str, run_directory: Path) -> None:
    """Refuse a job that came late: its run has another one by now."""
    job = read_job(run_directory)
    if job is None or job.name != name:
        raise RefusalError(SUPERSEDED)


def require_node(version: str, root: Path, run_directory: Path) -> None:
    """Refuse another version, a full store, a clock that is behind."""
    if version != __version__:
        raise RefusalError(
            OTHER_VERSION,
            f"{__version__} at {sys.executable}, the job was submitted with {version}",
            "install the same one on every node, or mend python in data/engines.yaml",
        )
    free = free_bytes(root)
    if free < MIN_FREE_BYTES:
        raise RefusalError(STORE_FULL, f"{free / 1e6:.0f} MB are free in {root}")
    job = read_job(run_directory)
    assert job is not None
    ahead = datetime.fromisoformat(job.submitted_at).timestamp() - time.time()
    if ahead > CLOCK_TOLERANCE:
        raise RefusalError(
            CLOCKS_APART,
            f"the job was submitted {ahead:.0f} s from now, as it has it",
            "set both clocks: chronyc makestep",
        )
