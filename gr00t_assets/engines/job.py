"""What every engine's job is to whoever started it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from gr00t_assets.core.errors import EngineError
from gr00t_assets.core.project import Store
from gr00t_assets.runs.spec import TrainingSpec


@dataclass(frozen=True)
class JobFailure:
    """A node refused a job, or the engine ended it.

    Attributes:
        error: For people.
        name: Of ``gr00t_assets.runs.retry``: whether another attempt may well succeed.
    """

    error: EngineError
    name: Literal["job-refused", "job-lost"]


class Job(Protocol):
    """A trainer that runs somewhere.

    Attributes:
        where: For one line of a log: ``cuda:0``, ``Slurm job 17 on node3``.
        code: Exit code, 128 + n for signal n, once it has ended and its block is left.
        failure: What ended it where that was not the trainer; None else.
        last_lines: The last lines of output so far.
    """

    @property
    def code(self) -> int:
        """See above."""
        ...

    @property
    def where(self) -> str:
        """See above."""
        ...

    @property
    def failure(self) -> "JobFailure | None":
        """See above."""
        ...

    @property
    def last_lines(self) -> list[str]:
        """See above."""
        ...

    def ended_within(self) -> bool:
        """Wait for a moment, and copy new lines of its log to standard output; has it ended?"""
        ...

    def stop(self) -> None:
        """Cancel it, and wait until its checkpoint is written or its grace is over."""
        ...


def _nothing() -> None:
    """No reason to give up waiting."""


@dataclass(frozen=True)
class JobRequest:
    """What is to run, and for whom.

    Attributes:
        command: The trainer's own command line.
        spec: Of the run; it is in its run directory by now.
        store: Of the run.
        run_id: Dagster's run; None by hand.
        priority: Higher ones go first.
        log: Takes a line for a person.
        check: Raises where nobody waits for the job any more; called now and then.
        variables: Further environment variables, of a trainer on this machine.
    """

    command: Sequence[str]
    spec: TrainingSpec
    store: Store
    run_id: str | None = None
    priority: int = 0
    log: Callable[[str], object] = print
    check: Callable[[], object] = _nothing
    variables: Mapping[str, str] = field(default_factory=dict)
