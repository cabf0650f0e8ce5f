"""One run of an experiment as the store has it, and what may be said of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from gr00t_assets.comparison.formatting import shown_setting
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.runs.loss_window import final_window, first_window
from gr00t_assets.runs.manifest import LossWindow, Manifest
from gr00t_assets.runs.metric_table import MetricTable
from gr00t_assets.runs.metrics import Metric
from gr00t_assets.runs.spec import TrainingSpec

if TYPE_CHECKING:
    from gr00t_assets.comparison.contrasts.observation import Observation

Status = Literal[
    "finished", "pruned", "failed", "interrupted", "unfinished", "unreadable", "missing", "stale"
]

STATUS_WORDS: dict[Status, str] = {
    "finished": "the run did all its steps",
    "pruned": "the run was given up as hopeless; its sweep asks for pruning",
    "failed": "the run ended with an error",
    "interrupted": "the run was stopped; materialising it again continues it",
    "unfinished": "the run has no manifest: it is training, or it was killed",
    "unreadable": "the run's manifest cannot be read or belongs to another run",
    "missing": "there is no run",
    "stale": "the run was made with an older configuration or older data",
}


@dataclass(frozen=True)
class Run:
    """One run directory as found, or the place of one that is missing.

    Attributes:
        experiment: The experiment as its sweep file has it now.
        config_hash: Name of the run directory; of a missing run the hash that it would have, or
            None where the data is not there to tell.
        status: One of :data:`STATUS_WORDS`.
        manifest: None where there is none that can be trusted.
        metrics: Logged lines in order of steps.
        stale: Made with another configuration or other data than the experiment has now.
        problems: What is wrong with the files, one sentence each.
        spec: What was asked, where it can be read.
    """

    experiment: Experiment
    config_hash: str | None
    status: Status
    manifest: Manifest | None
    metrics: Sequence[Metric]
    stale: bool
    problems: tuple[str, ...] = ()
    spec: TrainingSpec | None = None

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.experiment.name

    @property
    def hyperparameters(self) -> Hyperparameters | None:
        """What this run was made with; None for a stale run that has lost its spec."""
        if not self.stale:
            return self.experiment.hyperparameters
        return self.spec.experiment.hyperparameters if self.spec else None

    @cached_property
    def observation(self) -> "Observation":
        """The run as the comparison takes it, whatever its source."""
        from gr00t_assets.comparison.contrasts.store_runs import observation_of

        return observation_of(self)

    @cached_property
    def losses(self) -> np.ndarray:
        """Loss of each logged step, shape ``(steps,)``."""
        metrics = self.metrics
        table = metrics if isinstance(metrics, MetricTable) else MetricTable.of(metrics)
        return table.losses

    @property
    def steps(self) -> int | None:
        """Optimizer steps done."""
        if self.manifest:
            return self.manifest.steps
        return self.metrics[-1].step if self.metrics else None

    @property
    def samples_seen(self) -> int | None:
        """Samples of all steps done."""
        if self.manifest:
            return self.manifest.samples_seen
        return self.metrics[-1].samples_seen if self.metrics else None

    @property
    def first_loss(self) -> LossWindow | None:
        """Window at the start; from the metrics where no manifest has it."""
        return self.manifest.first_loss if self.manifest else self._window(first=True)

    @property
    def final_loss(self) -> LossWindow | None:
        """Window at the end, or so far; from the metrics where no manifest has it."""
        return self.manifest.final_loss if self.manifest else self._window(first=False)

    @property
    def failed_checks(self) -> tuple[str, ...]:
        """Names of the checks that the run did not pass."""
        checks = self.manifest.checks if self.manifest else {}
        return tuple(name for name, passed in checks.items() if not passed)

    @property
    def rankable(self) -> bool:
        """Finished, current, complete, with a final loss that is a finite number."""
        return not self.stale and self.status == "finished" and unrankable(self.manifest) is None

    @property
    def changes(self) -> tuple[str, ...]:
        """What a stale run was made with and the experiment has otherwise now, in words."""
        if not self.stale or self.spec is None:
            return ()
        old, new = _settings(self.spec.experiment), _settings(self.experiment)
        changed = [
            f"{name} {shown_setting(old[name])}, now {shown_setting(new[name])}"
            for name in new
            if old[name] != new[name]
        ]
        return tuple(changed) or ("the dataset or its modality config",)

    @property
    def command(self) -> str:
        """What to run to have this experiment trained, or continued."""
        return (
            "dagster asset materialize -m gr00t_assets.definitions "
            f"--select checkpoint --partition {self.name}"
        )

    def _window(self, first: bool) -> LossWindow | None:
        samples = self.hyperparameters.samples_per_step if self.hyperparameters else 0
        return (first_window if first else final_window)(self.losses, samples)


def _settings(experiment: Experiment) -> dict[str, object]:
    fields = ("dataset", "trainer", "base_model", "base_model_revision", "continue_from")
    settings: dict[str, object] = {name: getattr(experiment, name) for name in fields}
    return settings | experiment.hyperparameters.model_dump()


def unrankable(manifest: Manifest | None) -> str | None:
    """Why a run that says it finished has no place in a ranking; None where it has one."""
    if manifest is None or manifest.status != "finished":
        return "it is not finished"
    if manifest.steps < manifest.max_steps:
        return f"its manifest says finished at step {manifest.steps} of {manifest.max_steps}"
    window = manifest.final_loss
    if window is None:
        return "its manifest has no final loss"
    if not np.isfinite([window.mean, window.standard_error]).all() or window.standard_error < 0:
        return "its final loss is not a finite number"
    return None
