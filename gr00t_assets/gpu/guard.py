"""Run a command so that nothing of it outlives the process that asked for it.

``python -m gr00t_assets.gpu.guard [--grace SECONDS] [--parent PID] -- COMMAND...``

The command gets a session of its own. When the guard's parent dies, or the guard gets SIGTERM or
SIGINT, the command's process group gets SIGINT, and after the grace SIGKILL together with every
process that left the group. The guard exits with the command's code, or 128 + n for signal n.

On Linux the kernel tells of the parent's death (``PR_SET_PDEATHSIG``) and hands orphans of the
command to the guard (``PR_SET_CHILD_SUBREAPER``), see prctl(2). Elsewhere the guard looks at its
parent five times a second and knows the command's process group only. Standard library alone, so
that it starts in a few hundredths of a second.
"""

import argparse
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

DEFAULT_GRACE = 60.0
"""Seconds to write a checkpoint in before SIGKILL."""

_POLL = 0.2
_LEFTOVERS = 2.0
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def guarded(command: Sequence[str], grace: float = DEFAULT_GRACE) -> list[str]:
    """The command line that runs ``command`` under a guard of the calling process.

    Example:
        >>> guarded(["sleep", "1"], grace=2)[1:5]
        ['-m', 'gr00t_assets.gpu.guard', '--grace', '2']
    """
    options = ["--grace", str(grace), "--parent", str(os.getpid())]
    return [sys.executable, "-m", "gr00t_assets.gpu.guard", *options, "--", *command]


class Guard:
    """One command, started at once, and the duty to end it.

    Args:
        command: Program and arguments. It inherits the guard's inheritable file descriptors.
        parent: Process whose death ends the command.
        grace: Seconds between SIGINT and SIGKILL.

    Raises:
        OSError: The program cannot be started.
    """

    def __init__(self, command: Sequence[str], parent: int, grace: float) -> None:
        self.parent = parent
        self.grace = grace
        self.told_to_stop = False
        self.code: int | None = None
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGUSR1, lambda *_: None)
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGUSR1)
        # Kept, since a Popen that is thrown away collects the exit code of its process.
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            close_fds=False,
            preexec_fn=_die_with_guard,
        )

    def run(self) -> int:
        """Wait for the command, or end it; the guard's exit code."""
        while self.code is None and not self._must_stop():
            self._reap()
            if self.code is None:
                time.sleep(_POLL)
        patience = _LEFTOVERS
        if self.code is None:
            self._signal_group(signal.SIGINT)
            patience = self.grace
        self._end_all(time.monotonic() + patience)
        return 0 if self.code is None else self.code

    def _stop(self, *_: object) -> None:
        self.told_to_stop = True

    def _must_stop(self) -> bool:
        return self.told_to_stop or os.getppid() != self.parent

    def _end_all(self, deadline: float) -> None:
        """Wait until nothing of the command is left; from the deadline on kill what is."""
        while self._reap():
            if time.monotonic() >= deadline:
                self._signal_group(signal.SIGKILL)
                for process in _children():
                    _send(process, signal.SIGKILL)
            time.sleep(_POLL / 4)
        self._signal_group(signal.SIGKILL)

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
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):
            return


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the command line.

    Returns:
        The command's exit code; 127 where it cannot be started; 143 where the parent was gone
        before the command was started.
    """
    parser = argparse.ArgumentParser(prog="gr00t_assets.gpu.guard")
    parser.add_argument("--grace", type=float, default=DEFAULT_GRACE, help="seconds")
    parser.add_argument("--parent", type=int, default=None, help="process to outlive in no case")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    parent = os.getppid() if options.parent is None else options.parent
    if os.getppid() != parent:
        return 128 + signal.SIGTERM
    try:
        return Guard(options.command, parent, options.grace).run()
    except OSError as error:
        sys.stderr.write(f"guard: {options.command[0]} cannot be started: {error.strerror}\n")
        return 127


def _die_with_guard() -> None:
    """In the child before the program starts: be killed should the guard itself be killed."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    if _LIBC is not None:
        _LIBC.prctl(option, value, 0, 0, 0)


def _children() -> list[int]:
    """Processes whose parent is this one, orphans of the command included; empty off Linux."""
    found = []
    for listing in Path("/proc/self/task").glob("*/children"):
        found += [int(process) for process in listing.read_text().split()]
    return found


def _send(process: int, number: int) -> None:
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return


_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


if __name__ == "__main__":
    raise SystemExit(main())
