"""From the end of a trainer's log and its exit code to one message for people."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

from gr00t_assets.core.errors import Gr00tAssetsError, TrainingError
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.failures import data, device, ends, environment, host, hub, resuming
from gr00t_assets.trainers.failures.known import Known, Told, Words
from gr00t_assets.trainers.failures.log_tail import (
    Exceptions,
    cleaned,
    find_exceptions,
    redacted,
)

TAIL = 200
"""Lines of a log's end that are read."""

BESIDE = 12
"""Lines of the log that stand below a message; more of them are on the page."""

LONGEST = 400
"""Characters of a line that are shown in a message."""

MESSAGE_LINES = 10
"""Lines of an unknown exception's message that are shown below its first."""

KNOWN: tuple[Known, ...] = (
    *ends.KNOWN,
    *device.KNOWN,
    *host.KNOWN,
    *environment.KNOWN,
    *hub.KNOWN,
    *resuming.KNOWN,
    *data.KNOWN,
)
"""Every known failure; of several in one text the first one here is the one to tell."""

_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals from outside: whatever stands in the log was there before and did not end the process."""


@dataclass(frozen=True)
class Explanation:
    """Why a trainer ended.

    Attributes:
        name: The known failure; ``signal``, ``exception`` or ``silent`` where it is none.
        problem: One sentence that says what happened.
        details: What it means and what to do.
        tail: The log's last lines, without secrets.
    """

    name: str
    problem: str
    details: tuple[str, ...]
    tail: tuple[str, ...]

    @property
    def recognised(self) -> bool:
        """Whether it is one of the known failures."""
        return self.name in {known.name for known in KNOWN}

    def error(self, subject: str, log: str | None = None) -> TrainingError:
        """The error to raise: the message, where the whole log is, and its last lines.

        Args:
            subject: Name of the experiment.
            log: Path of the log; without it the last lines are left out as well.
        """
        return failure(subject, self.problem, self.details, self.tail, log)


def failure(
    subject: str, problem: str, details: Sequence[str], tail: Sequence[str], log: str | None
) -> TrainingError:
    """An error that ends in the last lines of a log, below what it says."""
    beside = []
    if log:
        last = [f"| {_cut(line)}" for line in tail[-BESIDE:]]
        beside = [f"log: {log}", *(["its last lines:", *last] if last else [])]
    said = [redacted(line) for line in details if line.strip()]
    return TrainingError(subject, redacted(problem), [*said, *beside])


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."


def explain(lines: Sequence[str], code: int, spec: TrainingSpec) -> Explanation:
    """Hold the end of a log and the exit code against the known failures.

    Args:
        lines: The last lines of this attempt, as many as there are; the last 200 are read.
        code: Exit code of the trainer; 128 + n or -n for signal n.
        spec: What was asked.
    """
    read = cleaned(lines[-TAIL:])
    tail = tuple(line for line in read if line.strip())
    number = ends.signal_of(code)
    heed = number not in _OUTSIDE
    known = _recognise(read, spec) if heed else None
    if known is None and number is not None:
        known = "signal", ends.ended_by(number)
    name, said = known or _unknown(read, code)
    return Explanation(name, said.problem, said.details, tail)


def _recognise(lines: list[str], spec: TrainingSpec) -> tuple[str, Told] | None:
    """The known failure that the log ends in.

    A cause is told before what follows from it. An exception that is not known is taken for a
    cause.
    """
    chains, whole = _fatal(find_exceptions(lines)), "\n".join(lines)
    for known in (each for each in KNOWN if not each.consequence):
        found = _find(known, [chain.text for chain in chains], whole)
        if found is not None:
            return known.name, known.tell(found, spec)
    if any(_is_cause(chain) for chain in chains):
        return None
    for known in (each for each in KNOWN if each.consequence):
        found = _find(known, [chain.text for chain in chains], whole)
        if found is not None:
            return known.name, known.tell(found, spec)
    return None


def _find(known: Known, exceptions: list[str], whole: str) -> Words | None:
    texts = [*exceptions, *([whole] if known.anywhere else [])]
    return next((found for text in texts if (found := known.found(text)) is not None), None)


def _is_cause(chain: Exceptions) -> bool:
    return all(known.found(chain.text) is None for known in KNOWN if known.consequence)


def _fatal(chains: list[Exceptions]) -> list[Exceptions]:
    """The exceptions that can have ended the training.

    Of one process that is its last chain, since it survived those before. Of several processes it
    is every one, in the order of the log.
    """
    own = [chain for chain in chains if not chain.wrapper]
    several = len(own) < len(chains) or len({chain.rank for chain in own}) > 1
    return own if several else own[-1:]


def _unknown(lines: list[str], code: int) -> tuple[str, Told]:
    """The exception in its own words; what a fatal end printed; or that there is nothing."""
    chains = _fatal(find_exceptions(lines))
    for chain in [*filter(_is_cause, chains), *chains]:
        if chain.last:
            first, *rest = chain.last.split("\n")
            more = tuple(_cut(line) for line in rest[:MESSAGE_LINES])
            return "exception", Told(f"training failed: {_cut(first)}", more)
    if fatal := ends.FATAL.search("\n".join(lines)):
        return "exception", Told(f"training failed: {fatal['error']}", ())
    words = [line for line in lines if line.strip() and not line.startswith((" ", "\t"))]
    last = (f"its last words: {words[-1]}",) if words else ()
    said = f"the trainer ended with code {code} and no exception in its log."
    return "silent", Told(said, (*last, ends.AGAIN))


def is_explained(message: str | None) -> TypeGuard[str]:
    """Whether a manifest's failure is an error of this package, which says all there is to say."""
    return bool(message) and message.split(":")[0] in _kinds(Gr00tAssetsError)


def _kinds(error: type[Exception]) -> set[str]:
    names = (_kinds(kind) for kind in error.__subclasses__())
    return {error.__name__}.union(*names)


def as_explained(message: str, subject: str, tail: Sequence[str], log: str) -> TrainingError:
    """The failure that a trainer wrote into its manifest, with the end of its log below.

    The trainer printed that failure last; it is not shown twice.
    """
    first, *rest = message.split("\n")
    said = first.split(": ", 1)[-1].removeprefix(f"{subject}: ")
    printed = {line.rstrip() for line in message.split("\n")}
    before = [line for line in tail if line not in printed]
    return failure(subject, said, [line.removeprefix("  ") for line in rest], before, log)
