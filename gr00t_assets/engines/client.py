"""What differs between remote engines: their commands, and what they say of a job."""

import time
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol, TypeVar

from gr00t_assets.core.errors import EngineError
from gr00t_assets.core.locks import Every
from gr00t_assets.engines.job import JobRequest

T = TypeVar("T")

REMIND_EVERY = 30.0
"""Seconds between two lines of the same reason to wait."""

PATIENCE = 300.0
"""Seconds for which an engine that does not answer is asked again before a submission."""

_ASK_AGAIN = 3.0


class EngineSilentError(EngineError):
    """An engine does not answer; asking again may help."""


class JobState(NamedTuple):
    """What an engine says of a job.

    ``words`` are the engine's own: why it waits, or how it ended; ``code`` is its exit code.
    """

    id: str
    phase: Literal["waiting", "running", "ended"]
    words: str = ""
    node: str | None = None
    code: int | None = None


class Client(Protocol):
    """One engine's commands. Each raises ``EngineSilentError`` where it does not answer.

    Attributes:
        label: What its jobs are called: ``Slurm job``.
    """

    label: str

    def find(self, name: str, job: str | None) -> JobState | None:
        """The job of a unique name, and of an id where it is known; None where it has none."""
        ...

    def submit(self, name: str, request: JobRequest) -> str:
        """Submit a job; its id.

        Raises:
            EngineError: It is refused, in the engine's words, and nothing was submitted.
        """
        ...

    def interrupt(self, job: str) -> None:
        """Ask the node's program of a running job for a checkpoint and an end."""
        ...

    def cancel(self, job: str) -> None:
        """End a job, whatever it does."""
        ...


def patiently(ask: Callable[[], T], request: JobRequest) -> T:
    """The engine's answer, for which it has ``PATIENCE`` seconds; what it says is passed on.

    Raises:
        EngineSilentError: There was none.
    """
    deadline, remind = time.monotonic() + PATIENCE, Every(REMIND_EVERY)
    while True:
        try:
            return ask()
        except EngineSilentError as error:
            if time.monotonic() >= deadline:
                raise
            if remind():
                request.log(f"{error}; asking again")
        request.check()
        time.sleep(_ASK_AGAIN)
