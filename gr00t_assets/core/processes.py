"""Whether a process lives: by the file lock that ends with it, or by its id, which is given again.

A lock is the surer way; see flock(2).
"""

import errno
import fcntl
import os
import re
import signal
import socket
import subprocess
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil

HOST = "GR00T_ASSETS_HOST"

GUARD_MODULE = "gr00t_assets.gpu.guard"
"""In the command line of a guard, which ends what is below it when its parent is dead."""

_FIRST_DATE = 1e9  # seconds that are a date, and not the time since the machine started: 30 years
_TICK, _CLOCK_TOLERANCE = 0.02, 2.0
"""Seconds by which a start time may differ between two looks, by the kernel and by the clock."""


def try_lock(descriptor: int) -> bool:
    """Take an open file's lock for this process alone; False where another has it."""
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def open_lock(path: Path) -> int:
    """Open a file to lock it, made where it is missing; a lock needs no more than to read it.

    A file of another user, or of a store that cannot be written, is opened to be read alone.

    Raises:
        OSError: It may not even be read, or is a symbolic link.
    """
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS) or not path.is_file():
            raise
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)


def lock_file(path: Path, locks: ExitStack) -> int | None:
    """Lock a file, made where it is missing, until ``locks`` ends; None where another has it."""
    descriptor = open_lock(path)
    locks.callback(os.close, descriptor)
    return descriptor if try_lock(descriptor) else None


def is_locked(path: Path) -> bool:
    """Whether a process holds a file's lock; True also of a file that may not be opened.

    False where there is no such file, or a symbolic link in its place.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        return error.errno not in (errno.ENOENT, errno.ELOOP)
    try:  # a shared lock, so that two processes that ask at once do not see each other
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
        if started is not None:
            since_boot, tolerance = _seconds_since_boot(process), _TICK
            if since_boot is None or started > _FIRST_DATE:  # elsewhere, or of version 0.2
                since_boot, tolerance = running.create_time(), _CLOCK_TOLERANCE
            if abs(since_boot - started) > tolerance:
                return False
        return running.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except (psutil.NoSuchProcess, ValueError):
        return False
    except psutil.AccessDenied:
        return True


def _seconds_since_boot(process: int) -> float | None:
    """See proc(5), ``starttime``; None elsewhere than on Linux."""
    with suppress(OSError, ValueError, IndexError):
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        return int(text.rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    return None


def is_stopped(process: int | None) -> bool:
    """Whether a process of this machine is suspended, as by Ctrl-Z."""
    with suppress(psutil.Error, ValueError):
        return process is not None and psutil.Process(process).status() == psutil.STATUS_STOPPED
    return False


def kill(process: int) -> None:
    """Send SIGKILL to a process, unless it is gone or another user's."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(process, signal.SIGKILL)


def processes_using(folder: Path) -> list[int]:
    """Processes of this machine that have a file below a folder open or mapped.

    Only those are seen that this user may look into.
    """
    inside = f"{folder}{os.sep}"
    using = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            paths = [file.path for file in process.open_files()]
            if hasattr(process, "memory_maps"):
                paths += [mapped.path for mapped in process.memory_maps()]
            if any(path.startswith(inside) for path in paths):
                using.append(process.pid)
    return sorted(using)


def host_name() -> str:
    """This machine's name in the store, ``GR00T_ASSETS_HOST`` where it is set.

    Containers that share a machine's GPUs and a store have to be given one name, since each has a
    host name of its own.
    """
    name = os.environ.get(HOST) or socket.gethostname()
    return re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".") or "localhost"


def start_time(process: int | None) -> float | None:
    """When a process of this machine started, to tell it from a later one; None where it is gone.

    In seconds since the machine's start, which stay as they are when the clock is set; elsewhere
    than on Linux, and in records of version 0.2, since the epoch.
    """
    if process is None:
        return None
    with suppress(psutil.Error, ValueError):
        since_boot = _seconds_since_boot(process)
        return psutil.Process(process).create_time() if since_boot is None else since_boot
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
