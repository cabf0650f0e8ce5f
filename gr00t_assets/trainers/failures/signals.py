"""Explanations of trainers that a signal ended, and of the fatal errors that Python prints."""

import re
import signal

from gr00t_assets.trainers.failures.failure_pattern import RESUMES, Explanation

_SIGNALS: dict[int, tuple[str, tuple[str, ...]]] = {
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

FATAL_ERROR = re.compile(r"^Fatal Python error: (?P<error>.*)$", re.MULTILINE)
"""Line of Python's fault handler."""


def explain_signal(number: int) -> Explanation:
    """The explanation of a trainer that a signal ended."""
    end, details = _SIGNALS.get(number, (f"was ended by {signal.Signals(number).name}", ()))
    return Explanation(f"the trainer {end}.", (*details, RESUMES))


def explain_rank(rank: str, number: int) -> Explanation:
    """The explanation of a signal that ended one process of several."""
    explanation = explain_signal(number)
    problem = explanation.problem.replace("the trainer", f"process {rank} of it")
    return Explanation(problem, explanation.details)
