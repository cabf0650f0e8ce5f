"""Errors for people, of the operating system too: found, expected, and the one thing to do."""

import errno
import grp
import os
import pwd
import re
import resource
import shlex
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from gr00t_assets.core.text import printable

_PLACED = re.compile(r"line (\d+): (.*)", re.DOTALL)
_LINE = re.compile(r":(\d+)$")
"""One of several problems of a file; the line behind a file's name."""

_KEPT = "nothing that was complete is lost."
_AGAIN = "then run it again"
_MOVE = "move the store with GR00T_ASSETS_STORE, and run it again"


class Gr00tAssetsError(Exception):
    """Base of every error that a person caused and a person can mend.

    Its texts may quote a file: control characters in them are shown escaped.

    Args:
        subject: What the error is about, such as a dataset name or ``data/sweeps/demo.yaml:12``.
        problem: One sentence that says what is wrong.
        details: Further lines: each problem found, what was expected, what exists, what to do.

    Examples:
        >>> print(DatasetError("demo", "camera 'front' is not in this dataset.", ["it has: wrist"]))
        demo: camera 'front' is not in this dataset.
          it has: wrist
    """

    def __init__(self, subject: str, problem: str, details: Sequence[str] = ()) -> None:
        self.subject = printable(subject, lines=False)
        self.problem = printable(problem)
        self.details = tuple(map(printable, details))
        lines = [f"{self.subject}: {self.problem}", *(f"  {line}" for line in self.details)]
        super().__init__("\n".join(lines))

    def explain(self) -> str:
        """The whole message with the kind of error in front, as shown on a terminal."""
        return f"{type(self).__name__}: {self}"

    @property
    def problems(self) -> list[tuple[int | None, str]]:
        """What it finds wrong, each with its line of the file that the error is about.

        Examples:
            >>> SweepError("a.yaml", "2 problems.", ["line 3: unknown", "line 9: twice"]).problems
            [(3, 'unknown'), (9, 'twice')]
            >>> SweepError("a.yaml:3", "this is not YAML.", ["found a tab"]).problems
            [(3, 'this is not YAML: found a tab')]
        """
        placed = [match for line in self.details if (match := _PLACED.fullmatch(line))]
        if placed:
            return [(int(match[1]), match[2]) for match in placed]
        details = "; ".join(self.details)
        text = f"{self.problem.rstrip('.')}: {details}" if details else self.problem
        line = _LINE.search(self.subject)
        return [(int(line[1]) if line else None, text)]

    @property
    def headline(self) -> str:
        """The first of its problems in one line, behind the file and its line.

        Examples:
            >>> SweepError("a.yaml", "2 problems.", ["line 3: unknown", "line 9: x"]).headline
            'a.yaml:3: unknown'
        """
        line, text = self.problems[0]
        where = _LINE.sub("", self.subject) + (f":{line}" if line else "")
        return " ".join(f"{where}: {text}".split())


class DatasetError(Gr00tAssetsError):
    """A dataset cannot be had, cannot be read, or does not fit its data config."""


class DataConfigError(Gr00tAssetsError):
    """A data config's file is wrong, or there is no data config of a name."""


class ProjectError(Gr00tAssetsError):
    """``data/project.yaml`` is wrong."""


class CatalogError(Gr00tAssetsError):
    """``data/datasets.yaml`` is wrong, or a name is not in it."""


class SweepError(Gr00tAssetsError):
    """A sweep file is wrong, or an experiment is not in any of them."""


class SpecError(Gr00tAssetsError):
    """A training spec cannot be read or does not describe a run that can be done."""


class BaseModelError(Gr00tAssetsError):
    """A base model cannot be found or is not in GR00T's layout."""


class CheckpointError(Gr00tAssetsError):
    """A checkpoint or run directory is corrupt, partial or belongs to another run."""


class TrainingError(Gr00tAssetsError):
    """Training could not go on, such as a loss that is no longer a finite number."""


class EngineError(Gr00tAssetsError):
    """``data/engines.yaml`` is wrong, or an engine or one of its nodes does not take a job."""


class StoreError(Gr00tAssetsError):
    """The store cannot be written, such as a full disk."""


class ComparisonError(Gr00tAssetsError):
    """Runs cannot be compared as asked: a table is wrong, or a factor or a run is not known."""


class EvaluationError(Gr00tAssetsError):
    """A run cannot be evaluated, or its evaluation cannot be read."""


class TrialsError(Gr00tAssetsError):
    """Trials on a robot cannot be planned or served, or their outcomes cannot be read."""


class ObservationError(Gr00tAssetsError):
    """An observation is not what a policy takes: missing, in another shape, units or order."""


class ActionError(Gr00tAssetsError):
    """A policy answers with what is no action, such as NaN, or an action is not safe to send."""


class ServingError(Gr00tAssetsError):
    """A policy cannot be served as asked, or a server cannot be reached or refuses."""


class SimulationError(Gr00tAssetsError):
    """An environment is declared wrong, is not installed, or does not fit a policy."""


class PromotionError(Gr00tAssetsError):
    """A model cannot be promoted: its run is not good enough, or the Hub does not take it."""


class PageError(Gr00tAssetsError):
    """The page cannot be served as asked."""


class NotificationError(Gr00tAssetsError):
    """``data/notifications.yaml`` is wrong, or a channel of it does not take a message."""


def explained_error(error: OSError, path: Path | None = None) -> StoreError | None:
    """The error that says what to do; None where it is no refusal that a person can lift.

    ``path`` was at work, where the operating system names no file.
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
        case errno.ENAMETOOLONG if name:
            return StoreError(str(at), "this name is too long for a file.", ["give a shorter one"])
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
