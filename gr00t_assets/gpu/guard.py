"""Run a command so that nothing of it outlives the process that asked for it.

``python -m gr00t_assets.gpu.guard [--grace SECONDS] [--parent PID] [--tag TAG] -- COMMAND...``

The command gets a session of its own and a tag in its environment, which every descendant inherits.
When the guard's parent dies, or the guard gets SIGTERM, SIGINT or SIGHUP, the command's process
group gets SIGINT, and after the grace SIGKILL together with every process that left the group. A
second signal, at least a second later, is passed on as well and shortens the grace. The guard exits
with the command's code, or 128 + n for signal n.

Five times a second the guard looks whether its parent is still there. On Linux the kernel kills the
command should the guard itself be killed (``PR_SET_PDEATHSIG``) and hands orphans of the command to
the guard (``PR_SET_CHILD_SUBREAPER``), see prctl(2). What a killed guard leaves is found by its tag
and ended by the process that started the guard (``end_guarded``), or by one that waits for its
slot (``gr00t_assets.gpu.slot_files.end_orphans``).
"""

import argparse
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress

import psutil

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.processes import GUARD_MODULE, kill

GRACE = "GR00T_ASSETS_STOP_GRACE"
DEFAULT_GRACE = 60.0
"""Seconds to write a checkpoint in before SIGKILL."""

PROCESS_TAGS = "GR00T_ASSETS_GUARDED"
"""Tags of every guard above a process, the outermost first, with a slash between them."""

_POLL = 0.2
_LEFTOVERS = 2.0
_SHORT_GRACE = 5.0
_TAG_POLL = 0.02
_QUIET_SCANS = 2
"""Scans in a row that find nothing: a process has no environment while it starts a program."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def stop_grace() -> float:
    """Seconds that a stopped training has for its checkpoint: ``GR00T_ASSETS_STOP_GRACE``, or 60.

    Raises:
        TrainingError: The variable is not a number of seconds.
    """
    text = os.environ.get(GRACE, "").strip()
    try:
        seconds = float(text) if text else DEFAULT_GRACE
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise TrainingError(GRACE, f"'{text}' is not a number of seconds.", ["write 60, or 300"])
    return seconds


def guarded(
    command: Sequence[str], grace: float | None = None, tag: str | None = None
) -> list[str]:
    """The command line that runs ``command`` under a guard of the calling process.

    ``grace`` are the seconds between SIGINT and SIGKILL, ``stop_grace`` where left out.

    Examples:
        >>> guarded(["sleep", "1"], grace=2)[1:5]
        ['-m', 'gr00t_assets.gpu.guard', '--grace', '2']
    """
    options = ["--grace", str(stop_grace() if grace is None else grace)]
    options += ["--parent", str(os.getpid())]
    if tag is not None:
        options += ["--tag", tag]
    return [sys.executable, "-m", GUARD_MODULE, *options, "--", *command]


def end_guarded(guard: "subprocess.Popen[bytes]", tag: str) -> int:
    """End at once a guard and all that it started; its exit code, 128 + n for signal n.

    Also for a guard that has ended: by itself it leaves nothing, killed it may have.
    """
    if guard.poll() is None:
        guard.kill()
        guard.wait()
    code = guard.returncode
    if code < 0:
        end_tagged(tag)
    return code if code >= 0 else 128 - code


def new_process_tag() -> str:
    """A tag that no other training has."""
    return uuid.uuid4().hex


def tagged_processes(tag: str) -> list[int]:
    """Running processes with a tag in their environment; not this one, and no zombie."""
    return [
        process.pid
        for process in psutil.process_iter(["environ"])
        if process.pid != os.getpid()
        and tag in (process.info["environ"] or {}).get(PROCESS_TAGS, "").split("/")
    ]


def end_tagged(tag: str, seconds: float = 10.0) -> list[int]:
    """Kill every process of this user with a tag, and those that they start meanwhile.

    What is left after so many seconds is given up and returned.
    """
    deadline = time.monotonic() + seconds
    quiet_scans = 0
    left: list[int] = []
    while quiet_scans < _QUIET_SCANS and time.monotonic() < deadline:
        left = tagged_processes(tag)
        for process in left:
            kill(process)
        quiet_scans = 0 if left else quiet_scans + 1
        time.sleep(_TAG_POLL)
    return left


class Guard:
    """One command, started at once, and the duty to end it; see above.

    The command inherits the guard's inheritable file descriptors.

    Raises:
        OSError: The program cannot be started.
    """

    def __init__(self, command: Sequence[str], parent: int, grace: float, tag: str) -> None:
        self.parent, self.grace, self.tag = parent, grace, tag
        self.requests: list[float] = []
        self.code: int | None = None
        self._wakeup, written = os.pipe()
        os.set_blocking(written, False)
        signal.set_wakeup_fd(written, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self.requests.append(time.monotonic()))
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        tags = "/".join(filter(None, [os.environ.get(PROCESS_TAGS), self.tag]))
        # Kept, since a Popen that is thrown away collects the exit code of its process.
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            close_fds=False,
            env={**os.environ, PROCESS_TAGS: tags},
            preexec_fn=_prepare_command,
        )

    def run(self) -> int:
        """Wait for the command, or end it; the guard's exit code."""
        while self.code is None and not self.requests and os.getppid() == self.parent:
            self._reap()
            # Until a signal comes, such as that of a child's end.
            if self.code is None and select.select([self._wakeup], [], [], _POLL)[0]:
                os.read(self._wakeup, 4096)
        patience = _LEFTOVERS
        if self.code is None:
            self._signal_group(signal.SIGINT)
            patience = self.grace
        self._end_all(time.monotonic() + patience)
        return 0 if self.code is None else self.code

    def _end_all(self, deadline: float) -> None:
        """Wait until nothing of the command is left; from the deadline on kill what is."""
        shortened = False
        while self._reap() or tagged_processes(self.tag):
            # A second request within the second is the first one by another way.
            if self.requests and self.requests[-1] - self.requests[0] > 1.0 and not shortened:
                shortened = True
                self._signal_group(signal.SIGINT)
                deadline = min(deadline, time.monotonic() + _SHORT_GRACE)
            if time.monotonic() >= deadline:
                self._signal_group(signal.SIGKILL)
                children = [child.pid for child in psutil.Process().children()]
                for process in [*children, *tagged_processes(self.tag)]:
                    kill(process)
            time.sleep(_POLL / 4)

    def _reap(self) -> bool:
        """Collect every child that has ended; whether any is left."""
        while True:
            try:
                process, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if process == 0:
                return True
            if process == self.process.pid:
                code = os.waitstatus_to_exitcode(status)
                self.process.returncode = code
                self.code = code if code >= 0 else 128 - code

    def _signal_group(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the command line.

    Returns:
        The command's exit code; 127 where it cannot be started; 143 where the parent was gone
        before the command was started.
    """
    parser = argparse.ArgumentParser(prog=GUARD_MODULE)
    parser.add_argument("--grace", type=float, default=DEFAULT_GRACE, help="seconds")
    parent, tag = os.getppid(), new_process_tag()
    parser.add_argument("--parent", type=int, default=parent, help="process to outlive in no case")
    parser.add_argument("--tag", default=tag, help="in the environment of what is started")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    if os.getppid() != options.parent:
        return 128 + signal.SIGTERM
    try:
        return Guard(options.command, options.parent, options.grace, options.tag).run()
    except OSError as error:
        sys.stderr.write(f"guard: {options.command[0]} cannot be started: {error.strerror}\n")
        return 127


def die_with_parent() -> None:
    """Have the kernel kill this process should its parent end; see prctl(2), Linux alone."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prepare_command() -> None:
    """In the child before the program starts: interruptible, and killed should the guard be."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    die_with_parent()


def _prctl(option: int, value: int) -> None:
    if _LIBC is not None:
        _LIBC.prctl(option, value, 0, 0, 0)


_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
"""None where there is no prctl(2)."""


if __name__ == "__main__":
    raise SystemExit(main())
