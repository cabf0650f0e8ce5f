"""What to run next for one question, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gr00t_assets.comparison.contrasts.observation import Observation


@dataclass(frozen=True)
class ProposedExperiment:
    """One run that is to be made.

    Attributes:
        reference: The run that it is to be held against.
        changes: What differs from that run: hyperparameters by name.
        reason: What it tells, in one sentence; it becomes the hypothesis of the sweep file.
        hours: GPU-hours that it is expected to take, hours of a CPU where it runs on one; None
            where no run tells.
    """

    reference: Observation
    changes: Mapping[str, Any]
    reason: str
    hours: float | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting: those of the reference, and what differs from them."""
        return {**self.reference.settings, **self.changes}


@dataclass(frozen=True)
class Proposal:
    """The fewest experiments that settle a question.

    Attributes:
        questions: The factors that are asked about, the first one the reason of the proposal.
        kind: ``control`` for a run that a confounded answer lacks, ``replicates`` for a noisy one,
            ``continue`` where a run that would settle it has been begun.
        reason: Why the answer is open and what these runs would change about it.
        experiments: None where a begun run has only to be continued.
        runs: Ids of the runs whose contrast is open.
    """

    questions: tuple[str, ...]
    kind: Literal["control", "replicates", "continue"]
    reason: str
    experiments: tuple[ProposedExperiment, ...]
    runs: tuple[str, ...] = field(default=())

    @property
    def question(self) -> str:
        """The factor that it is proposed for."""
        return self.questions[0]

    @property
    def gpu_hours(self) -> float | None:
        """Sum over the experiments; hours of a CPU where they run on one; None where unknown."""
        hours = [experiment.hours for experiment in self.experiments]
        known = [value for value in hours if value is not None]
        return sum(known) if len(known) == len(hours) else None
