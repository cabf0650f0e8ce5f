"""Whether a process lives: by the file lock that the kernel drops when it dies, or by its id.

A lock is the surer way, since an id is given again to another process; see flock(2).
"""

import errno
import fcntl
import os
import signal
import subprocess
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil

_CLOCK_TOLERANCE = 2.0
"""Seconds by which a start time may differ between two looks, as when the clock was set."""


def try_lock(descriptor: int) -> bool:
    """Take an open file's lock for this process alone; False where another has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_file(path: Path, locks: ExitStack) -> int | None:
    """Lock a file, made where it is missing, until ``locks`` ends; None where another has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    locks.callback(os.close, descriptor)
    return descriptor if try_lock(descriptor) else None


def is_locked(path: Path) -> bool:
    """Whether a process holds a file's lock; True also of a file that may not be opened.

    False where there is no such file, or a symbolic link in its place. A shared lock is taken for
    an instant, so that two processes that ask at once do not see each other.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        return error.errno not in (errno.ENOENT, errno.ELOOP)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def is_alive(process: int | None, started: float | None = None) -> bool:
    """Whether a process of this machine runs; a zombie, which has ended, does not.

    Args:
        process: Its id; None counts as a process that is gone.
        started: What ``start_time`` said of it; one with its id that started at another time is
            another one. Not compared where left out.
    """
    if process is None:
        return False
    try:
        running = psutil.Process(process)
        if started is not None and abs(running.create_time() - started) > _CLOCK_TOLERANCE:
            return False
        return running.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except (psutil.NoSuchProcess, ValueError):
        return False
    except psutil.AccessDenied:
        return True


def start_time(process: int | None) -> float | None:
    """When a process of this machine started, in seconds since the epoch; None where it is gone."""
    try:
        return None if process is None else psutil.Process(process).create_time()
    except (psutil.Error, ValueError):
        return None


def ends_within(process: subprocess.Popen[Any], seconds: float) -> bool:
    """Wait at most so many seconds for a child process to end; whether it has."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    return process.returncode is not None


def signal_of(code: int) -> int | None:
    """The signal that ended a process: 128 + n from a shell or guard, -n from ``subprocess``.

    Examples:
        >>> signal_of(137), signal_of(-9), signal_of(1)
        (9, 9, None)
    """
    number = -code if code < 0 else code - 128
    return number if number in set(signal.Signals) else None
