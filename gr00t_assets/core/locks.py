"""Waiting for a file's lock: who holds it is said, and what only a dead holder left is ended.

A lock belongs to the open file, so what a killed process started may hold it on; see proc(5).
"""

import fcntl
import json
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import psutil
from pydantic import BaseModel, ConfigDict, Field

from gr00t_assets.core.errors import user_name
from gr00t_assets.core.processes import (
    GUARD_MODULE,
    host_name,
    is_alive,
    is_stopped,
    kill,
    open_lock,
    start_time,
    try_lock,
)
from gr00t_assets.core.text import printable

RUN = "GR00T_ASSETS_RUN"
"""Environment variable: the run of Dagster that a process and all that it starts belong to."""

REMIND_EVERY = 10.0
"""Seconds between two lines of one who waits."""

UNKNOWN = "unknown"

Log = Callable[[str], object]

_LARGEST = 1 << 16  # characters of a record that are read
_FREE_EVERY = 2.0
_POLL = 0.2
_TAKER = re.compile(r"^lock:\s+\d+: FLOCK\s+ADVISORY\s+WRITE (\d+) ", re.MULTILINE)


class LockRecord(BaseModel):
    """Who holds a lock, as the locked file says; the lock says whether it is still true.

    Unknown keys are passed over and missing ones have a default, so that versions of this package
    that share a store can read each other.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    format: Literal[1] = 1
    host: str = UNKNOWN
    pid: int | None = None
    pid_started: float | None = Field(default=None, description="As ``start_time`` has it")
    experiment: str = UNKNOWN
    user: str = Field(default=UNKNOWN, description="Of the operating system")
    run_id: str | None = Field(default=None, description="Dagster's run; None by hand")
    since: str | None = Field(default=None, description="ISO 8601, UTC")

    def __str__(self) -> str:
        user = f" of {self.user}" if self.is_of_another else ""
        known = "" if self.experiment == UNKNOWN else f", {self.experiment}"
        run = f", run {self.run_id[:8]}" if self.run_id else ""
        since = f", since {self.since}" if self.since else ""
        stopped = f" (stopped; kill -CONT {self.pid} wakes it)" if is_stopped(self.pid) else ""
        text = f"process {self.pid or UNKNOWN}{user}{stopped}{known}{run}{since}"
        return printable(text, lines=False)

    @property
    def is_of_another(self) -> bool:
        """Whether another user's process has it, which can neither be looked into nor ended."""
        return self.user not in (UNKNOWN, user_name())

    def with_remedy(self, path: Path) -> str:
        """Who it is, and who ends what it left in a locked file where it is dead."""
        # The file may be that of one who held it before: the kernel says who took the lock.
        if not self.is_of_another or self.is_alive() or lock_taker(path) != self.pid:
            return str(self)
        command = f"python -m gr00t_assets.core.locks {shlex.quote(str(path))}"
        who = printable(self.user, lines=False)
        return f"{self}; it is dead, and {who} or root ends what it left: {command}"

    def is_alive(self) -> bool:
        """Whether the process that it names runs; taken for granted on another machine."""
        return self.host not in (UNKNOWN, host_name()) or is_alive(self.pid, self.pid_started)

    @classmethod
    def of_this_process(cls, **fields: Any) -> Self:
        """A record that says that this process has the lock from now on."""
        process, since = os.getpid(), datetime.now(UTC).isoformat(timespec="seconds")
        known = {"host": host_name(), "pid": process, "pid_started": start_time(process)}
        known |= {"user": user_name(), "run_id": os.environ.get(RUN), "since": since}
        return cls.model_validate(known | fields)

    @classmethod
    def read(cls, path: Path, **name: Any) -> Self:
        """The first JSON object of a file, and what its name says; all unknown where it is none.

        A number alone is a process id, as version 0.2 wrote it.
        """
        with suppress(OSError, TypeError, ValueError, RecursionError):
            with path.open(errors="replace", encoding="utf-8") as file:
                content, _ = json.JSONDecoder().raw_decode(file.read(_LARGEST))
            content = {"pid": content} if isinstance(content, int) else content
            return cls.model_validate({**content, **name})
        return cls.model_validate(name)

    def write(self, descriptor: int) -> None:
        """Replace the content of an open file; a reader sees the old or the new record first.

        Another user's file, which can be locked and not written, keeps what it says.
        """
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY:
            content = self.model_dump_json().encode() + b"\n"
            os.pwrite(descriptor, content, 0)
            os.ftruncate(descriptor, len(content))


Record = TypeVar("Record", bound=LockRecord)


class Every:
    """Whether it is time again for something that is done every so many seconds, from now on."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._last = seconds, float("-inf")

    def __call__(self) -> bool:
        """True the first time, and then once in so many seconds."""
        if due := time.monotonic() - self._last >= self._seconds:
            self._last = time.monotonic()
        return due


class LockWait:
    """What one who waits for a lock does at each look: it says so now and then, and frees it.

    ``what`` is such as ``the frame cache of demo``; ``log`` gets a line every ten seconds.
    """

    def __init__(self, path: Path, what: str, log: Log) -> None:
        self._path, self._what, self._log = path, what, log
        self._remind, self._free = Every(REMIND_EVERY), Every(_FREE_EVERY)

    def look(self) -> None:
        """Say who holds it, and end what only a dead holder left."""
        if self._remind():
            holder = lock_holder(self._path).with_remedy(self._path)
            self._log(f"waiting for {self._what}; held by {holder}")
        if self._free():
            free_lock(self._path, self._log)


@contextmanager
def exclusive_lock(
    path: Path, what: str, log: Log, check: Callable[[], object] = lambda: None, **holder: Any
) -> Iterator[int]:
    """Hold a file's lock for the block, once no other process does; the open file.

    What ``check`` raises while another holds it ends the waiting; ``holder`` are further fields of
    the record.
    """
    descriptor = open_lock(path)
    try:
        waiting = LockWait(path, what, log)
        while not try_lock(descriptor):
            # Whoever only asks whether it is locked holds it for an instant.
            time.sleep(_POLL)
            if not try_lock(descriptor):
                check()
                waiting.look()
        LockRecord.of_this_process(**holder).write(descriptor)
        yield descriptor
    finally:
        os.close(descriptor)


def lock_holder(path: Path, kind: type[Record] = LockRecord, **name: Any) -> Record:
    """What a locked file, and its name, say of its holder; else the process that has it."""
    record = kind.read(path, **name)
    if record.pid is None:
        record = record.model_copy(update={"pid": next(iter(lock_owners(path)), None)})
    return record


def lock_owners(path: Path) -> dict[int, int]:
    """Processes of this machine that hold a file's lock, and for each of them who took it.

    Empty where ``/proc`` does not say, as elsewhere than on Linux or of another user's processes.
    """
    owners = {}
    for process in (int(folder.name) for folder in Path("/proc").glob("[0-9]*")):
        with suppress(PermissionError):
            if (taker := _taker(process, path)) is not None:
                owners[process] = taker
    return owners


def lock_taker(path: Path) -> int | None:
    """The process that took a file's lock, dead or of another user too, by ``/proc/locks``."""
    with suppress(OSError):
        file = path.stat()
        place = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
        text = Path("/proc/locks").read_text(encoding="utf-8")
        if match := re.search(rf"^\d+: FLOCK .* WRITE (\d+) {place} ", text, re.MULTILINE):
            return int(match[1])
    return None


def free_lock(path: Path, log: Log) -> list[int]:
    """Kill what holds a file's lock though the process that took it holds it no longer.

    What has a guard is left to it; a guard that is stopped is woken. Returns what was killed.
    """
    killed = []
    for process, taker in lock_owners(path).items():
        if process in (os.getpid(), taker) or taker <= 0:
            continue
        try:  # in this order, since both may take it and give it back meanwhile
            if _taker(taker, path) is not None or _taker(process, path) != taker:
                continue
        except PermissionError:
            continue
        if (guard := _guard_of(process)) is None:
            kill(process)
            killed.append(process)
        elif is_stopped(guard.pid):
            log(f"process {taker} is dead; woke its guard, process {guard.pid}")
            guard.resume()
    if killed:
        listed = ", ".join(map(str, killed))
        log(f"{path.name}: the process that took it is dead; ended what it left: {listed}")
    return killed


def _taker(process: int, path: Path) -> int | None:
    """Who took a process's lock on a file, if it has one; ``PermissionError``: another user's."""
    with suppress(FileNotFoundError, ProcessLookupError):
        file = path.stat()
        for descriptor in Path(f"/proc/{process}/fd").iterdir():
            with suppress(OSError):
                if os.path.samestat(descriptor.stat(), file):
                    info = Path(f"/proc/{process}/fdinfo/{descriptor.name}")
                    if match := _TAKER.search(info.read_text(encoding="utf-8")):
                        return int(match[1])
    return None


def _guard_of(process: int) -> psutil.Process | None:
    with suppress(psutil.Error):
        own = psutil.Process(process)
        return next((p for p in [own, *own.parents()] if GUARD_MODULE in p.cmdline()), None)
    return None


if __name__ == "__main__":
    free_lock(Path(sys.argv[1]), print)
