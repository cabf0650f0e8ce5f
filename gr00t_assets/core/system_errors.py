"""What the operating system refuses, for people: whose file, what is full, and what to do."""

import errno
import grp
import os
import pwd
import resource
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gr00t_assets.core.errors import StoreError

_KEPT = "nothing that was complete is lost."
_AGAIN = "then run it again"
_MOVE = "move the store with GR00T_ASSETS_STORE, and run it again"


def explained_error(error: OSError, path: Path | None = None) -> StoreError | None:
    """The error that says what to do; None where it is no refusal that a person can lift.

    Args:
        error: As the operating system gave it.
        path: What was at work, where the error names no file.
    """
    name = error.filename if isinstance(error.filename, str) else None
    at = Path(name) if name else path or Path.cwd()
    match error.errno:
        case errno.ENOSPC:
            return StoreError(str(path or at), *_full(path or at))
        case errno.EDQUOT:
            problem = f"the disk is full for {user_name()}: the disk quota is used up; {_KEPT}"
            return StoreError(str(path or at), problem, [f"free some of your files, or {_MOVE}"])
        case errno.EFBIG:
            return StoreError(str(at), *_too_large())
        case errno.EROFS:
            problem = "it cannot be written: its file system is mounted read-only."
            remedy = "set GR00T_ASSETS_STORE to a folder that you may write; what only reads works"
            return StoreError(str(at), problem, [remedy])
        case errno.EACCES | errno.EPERM if name:
            return _not_allowed(at)
    return None


@contextmanager
def system_errors_explained(path: Path | None = None) -> Iterator[None]:
    """Raise what the operating system refuses in the block as a ``StoreError``."""
    try:
        yield
    except OSError as error:
        explained = explained_error(error, path)
        if explained is None:
            raise
        raise explained from error


def is_read_only(error: StoreError) -> bool:
    """Whether an explained error is that this user may read the store and not write it."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.EROFS, errno.EACCES, errno.EPERM)


def no_inodes(path: Path) -> bool:
    """Whether a path's disk takes no further file, however much space it has."""
    disk = os.statvfs(_existing(path))
    return disk.f_files > 0 and disk.f_favail == 0


def user_name() -> str:
    """Who this process works as, by name or number."""
    with suppress(KeyError):
        return pwd.getpwuid(os.geteuid()).pw_name
    return f"user {os.geteuid()}"


def rights(path: Path) -> str:
    """Owner, group and mode of a file: ``alice, group robots, mode -rw-r-----``."""
    status = path.stat()
    owner, group = str(status.st_uid), str(status.st_gid)
    with suppress(KeyError):
        owner = pwd.getpwuid(status.st_uid).pw_name
    with suppress(KeyError):
        group = grp.getgrgid(status.st_gid).gr_name
    return f"{owner}, group {group}, mode {stat.filemode(status.st_mode)}"


def _full(path: Path) -> tuple[str, list[str]]:
    disk = os.statvfs(_existing(path))
    free = f"{disk.f_bavail * disk.f_frsize / 1e6:.0f} MB free"
    if no_inodes(path):
        problem = f"the disk is full: it has no inodes left, of {disk.f_files}, and {free}; {_KEPT}"
        return problem, [f"delete some files, however small, or {_MOVE}"]
    problem = f"the disk is full ({free}); {_KEPT}"
    return problem, [f"free some space, or {_MOVE}"]


def _too_large() -> tuple[str, list[str]]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    if soft == resource.RLIM_INFINITY:
        return f"its file system takes no file so large; {_KEPT}", [_MOVE]
    problem = f"no file may be larger than {soft / 1e6:.0f} MB here, as ulimit -f says; {_KEPT}"
    if hard == resource.RLIM_INFINITY:
        return problem, [f"ulimit -f unlimited; {_AGAIN}"]
    return problem, [f"have root raise the hard limit of file sizes (ulimit -Hf); {_AGAIN}"]


def _not_allowed(path: Path) -> StoreError:
    """Whose the file is, or the nearest folder that keeps it from this user, and the one command.

    A group that the user is in can be given the right by the owner; else root gives it the files.
    """
    blocked = _blocked(path)
    if blocked is None:
        return StoreError(str(path), f"{user_name()} may not use it.", ["ask who set it up"])
    named = os.environ.get("GR00T_ASSETS_STORE")
    stores = [
        folder
        for folder in (blocked, *blocked.parents)
        if (folder == Path(named).resolve() if named else folder.parts[-2:] == ("data", "store"))
    ]
    tree, group = shlex.quote(str((*stores, blocked)[0])), blocked.stat().st_gid
    command, who = f"chmod -R g+rwX {tree}", "its owner or root runs"
    if group not in {os.getegid(), *os.getgroups()} or group == 0:
        command, who = f"chgrp -R {os.getegid()} {tree} && {command}", "root runs"
    kind = "folder" if blocked.is_dir() else "file"
    problem = f"{user_name()} may not use this {kind}; it is of {rights(blocked)}."
    return StoreError(str(blocked), problem, [f"{who}: {command}"])


def _blocked(path: Path) -> Path | None:
    """The first of a path's folders that may not be entered, else the file or the folder itself."""
    for folder in reversed(path.parents):
        try:
            if folder.is_dir() and not os.access(folder, os.X_OK):
                return folder
        except OSError:
            return folder.parent
    return path if os.access(path, os.F_OK) else _existing(path)


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if os.access(folder, os.F_OK))
