"""What to run next for one question, why, and as what experiment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import computed_field

from gr00t_assets.comparison.run import Run, RunId, upstream_trainer
from gr00t_assets.experiments.registry import trainer_named, trainer_names


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

    reference: RunId
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

    @computed_field
    @property
    def gpu_hours(self) -> float | None:
        """Sum over the experiments; hours of a CPU where they run on one; None where unknown."""
        hours = [experiment.hours for experiment in self.experiments]
        known = [value for value in hours if value is not None]
        return sum(known) if len(known) == len(hours) else None


@dataclass(frozen=True)
class Origin:
    """What a run was trained on, with and from, in the words of a sweep file."""

    dataset: str
    trainer: str
    base_model: str
    base_model_revision: str | None = None

    @classmethod
    def of(cls, run: Run) -> "Origin":
        """From the experiment of a run of the store; else from what its table says.

        A table that names no trainer is of the upstream fine-tuning script's runs, and a base model
        that it does not name is the trainer's default.
        """
        if run.stored is not None:
            experiment = (run.stored.spec or run.stored).experiment
            return cls(
                experiment.dataset,
                experiment.trainer,
                experiment.base_model,
                experiment.base_model_revision,
            )
        name = run.data.get("trainer", "").partition(" ")[0]
        name = name if name in trainer_names() else upstream_trainer()
        base, _, revision = run.data.get("base model", "").partition(" at ")
        return cls(
            run.dataset, name, base or trainer_named(name).default_base_model, revision or None
        )

    def fields(self) -> dict[str, str]:
        """The fields of a sweep file's defaults, or of an entry."""
        fields = {
            "dataset": self.dataset,
            "trainer": self.trainer,
            "base_model": self.base_model,
            "base_model_revision": self.base_model_revision,
        }
        return {name: value for name, value in fields.items() if value is not None}
