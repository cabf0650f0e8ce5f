"""Processes that were ended by a signal, as their exit code says."""

import re
import signal

from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.failures.known import Known, Told, Words, told

AGAIN = "materialise it again: it goes on from its last complete checkpoint"

_WORDS: dict[int, tuple[str, tuple[str, ...]]] = {
    signal.SIGKILL: (
        "was killed (SIGKILL)",
        (
            "the kernel ends a process so where the machine's memory runs out, and says so in: "
            "dmesg | grep -i 'out of memory'; a container has a limit of its own",
            "lower dataloader_num_workers or batch_size, or give it more memory",
        ),
    ),
    signal.SIGSEGV: (
        "crashed in native code (SIGSEGV)",
        (
            "packages that do not go together do that: gr00t-assets isaac doctor",
            "for the line that did it, set PYTHONFAULTHANDLER=1",
        ),
    ),
    signal.SIGBUS: (
        "lost a memory-mapped file (SIGBUS)",
        (
            "a full /dev/shm does that: raise it (--shm-size=16g for a container), or lower "
            "dataloader_num_workers",
            "so does a frame cache that was replaced while it was read, and a full disk",
        ),
    ),
    signal.SIGABRT: (
        "gave up in native code (SIGABRT)",
        ("the lines above 'terminate called' in the log have its reason",),
    ),
    signal.SIGILL: (
        "met an instruction that this processor lacks (SIGILL)",
        ("a package was built for another machine: install it anew",),
    ),
    signal.SIGTERM: (
        "was told to end (SIGTERM)",
        ("a machine that shuts down or a job queue does that; nothing is wrong with the run",),
    ),
    signal.SIGINT: ("was interrupted (SIGINT)", ()),
    signal.SIGHUP: ("lost its terminal (SIGHUP)", ()),
}


def signal_of(code: int) -> int | None:
    """The signal that ended a process: 128 + n from a shell or guard, -n from ``subprocess``."""
    number = -code if code < 0 else code - 128
    return number if number in {int(each) for each in signal.Signals} else None


def ended_by(number: int) -> Told:
    """What to say of a trainer that a signal ended."""
    end, details = _WORDS.get(number, (f"was ended by {signal.Signals(number).name}", ()))
    return Told(f"the trainer {end}.", (*details, AGAIN))


def _tell_rank(words: Words, spec: TrainingSpec) -> Told:
    end = ended_by(int(words["signal"]))
    return Told(end.problem.replace("the trainer", f"process {words['rank']} of it"), end.details)


KNOWN = (
    Known(
        "rank-signal",
        (
            r"^Root Cause \(first observed failure\):\n(?:[^\n]*\n){1,3}?"
            r"  rank +: (?P<rank>\d+) [^\n]*\n  exitcode +: -(?P<signal>\d+) ",
        ),
        _tell_rank,
        anywhere=True,
        consequence=True,
    ),
    Known(
        "rendezvous",
        (r"EADDRINUSE|address already in use",),
        told(
            "a network port that the processes meet at is taken.",
            "another training holds it; materialise this one again",
        ),
    ),
)

FATAL = re.compile(r"^Fatal Python error: (?P<error>.*)$", re.MULTILINE)
