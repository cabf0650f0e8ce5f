"""What multiprocessing keeps for a session of tests, removed before its temporary folder is."""

import multiprocessing.forkserver
import multiprocessing.util
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def no_fork_server_left() -> Iterator[None]:
    """End the server from which environments' processes are forked, with its socket."""
    yield
    multiprocessing.forkserver._forkserver._stop()  # type: ignore[attr-defined]
    multiprocessing.util._run_finalizers(-100)  # type: ignore[attr-defined]
