"""Processes by a mark in their environment, which every descendant inherits.

The guard marks what it starts. A process that left its group and its session, and whose parents are
dead, still has the mark, and can be found and ended by it. Standard library alone.
"""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

MARK = "GR00T_ASSETS_GUARDED"
"""Marks of every guard above a process, the outermost first, with a slash between them."""

_LINUX = sys.platform == "linux"
_POLL = 0.02
_QUIET = 2
"""Looks in a row that find nothing: a process has no environment while it starts a program."""


def new_mark() -> str:
    """A mark that no other training has."""
    return uuid.uuid4().hex


def marked_environment(mark: str) -> dict[str, str]:
    """The variable that marks a process and all it starts, inside the marks that are there."""
    return {MARK: "/".join(filter(None, [os.environ.get(MARK), mark]))}


def marked_processes(mark: str) -> list[int]:
    """Running processes that carry a mark; not this one, and not what has ended unreaped."""
    own = os.getpid()
    return [process for process, marks in _marks() if process != own and mark in marks.split("/")]


def end_marked(mark: str, seconds: float = 10.0) -> list[int]:
    """Kill every process that carries a mark, and those that they start meanwhile.

    Args:
        mark: The mark; only processes of this user can be ended.
        seconds: After which the rest is given up.

    Returns:
        Those that are left.
    """
    deadline = time.monotonic() + seconds
    quiet = 0
    left: list[int] = []
    while quiet < _QUIET and time.monotonic() < deadline:
        left = marked_processes(mark)
        for process in left:
            _kill(process)
        quiet = 0 if left else quiet + 1
        time.sleep(_POLL)
    return left


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _marks() -> Iterator[tuple[int, str]]:
    yield from _from_proc() if _LINUX else _from_ps()


def _from_proc() -> Iterator[tuple[int, str]]:
    start = f"{MARK}=".encode()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        for variable in variables:
            if variable.startswith(start):
                yield int(folder.name), variable[len(start) :].decode(errors="replace")
                break


def _from_ps() -> Iterator[tuple[int, str]]:
    """As BSD's ps shows it: the command line with the environment behind it."""
    listing = subprocess.run(
        ["ps", "axeww", "-o", "pid=,stat=,command="],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    for line in listing.stdout.splitlines():
        process, state, *words = line.split()
        for word in reversed(words):
            if word.startswith(f"{MARK}=") and not state.startswith("Z"):
                yield int(process), word[len(MARK) + 1 :]
                break
