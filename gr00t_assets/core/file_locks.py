"""Locks on files, which the kernel drops when their holder dies; see flock(2)."""

import errno
import fcntl
import os
from pathlib import Path


def try_lock(descriptor: int) -> bool:
    """Take an open file's lock for this process alone; False where another has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(path: Path) -> bool:
    """Whether somebody holds a file's lock; True also of a file that may not be looked at.

    False where there is no such file, or a symbolic link in its place. The look takes a shared lock
    for an instant, so that two who look do not see each other.
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
