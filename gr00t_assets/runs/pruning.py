"""Successive halving: a run that is among the worst of its sweep at a rung is not trained on."""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.experiments.experiment import Pruning
from gr00t_assets.runs.final_loss import final_window
from gr00t_assets.runs.metrics import Metric, read_metrics
from gr00t_assets.runs.spec import SPEC, TrainingSpec, load_spec

HOW_TO_CONTINUE = "take pruning out of its sweep file and materialise it again to have it go on"


class Decision(NamedTuple):
    """Whether a run is hopeless at a rung, and its place, from 1, among the runs there."""

    hopeless: bool
    rank: int
    runs: int


@dataclass
class PruningWatch:
    """Decides about a run at each rung that it passes, and calls ``prune`` with the reason.

    What was decided before the run was interrupted is not decided again. Where the other runs
    cannot be read it goes on, and says so.
    """

    spec: TrainingSpec
    pruning: Pruning
    say: Callable[[str], object]
    is_stopping: Callable[[], bool]
    prune: Callable[[str], object]

    def __post_init__(self) -> None:
        last = read_metrics(self.spec.run_directory).last
        self._decided = last.step if last else 0

    def __call__(self, metric: Metric) -> None:
        """Decide about every rung that this logged line has passed."""
        rungs = self.pruning.rungs(self.spec.experiment.hyperparameters.max_steps)
        passed = [rung for rung in rungs if self._decided < rung <= metric.step]
        if not passed or self.is_stopping():
            return
        self._decided = metric.step
        rung = passed[-1]
        try:
            if (own := loss_at(self.spec.run_directory, rung)) is None:
                raise ValueError("not every loss before it was logged")
            decision = decide(own, competitor_losses(self.spec, rung), self.pruning)
        except (Gr00tAssetsError, OSError, ValueError) as error:
            self.say(f"pruning: step {rung} is not decided about: {error}")
            return
        text = (
            f"at step {rung} its loss {own:.4g} is number {decision.rank} of "
            f"{decision.runs}: {'hopeless' if decision.hopeless else 'it goes on'}"
        )
        self.say(f"pruning: {text}")
        if decision.hopeless:
            self.prune(f"{text}; {HOW_TO_CONTINUE}")


def decide(own: float, competitors: Sequence[float], pruning: Pruning) -> Decision:
    """Compare a run's loss at a rung with those of the others that have been there.

    A run goes on while it is among the best ``1 / reduction_factor``. With fewer than
    ``reduction_factor`` runs at the rung nothing is decided, since the second of two would end for
    being second.
    """
    rank = 1 + sum(loss < own for loss in competitors)
    runs = len(competitors) + 1
    go_on = runs // pruning.reduction_factor
    return Decision(0 < go_on < rank, rank, runs)


def loss_at(run_directory: Path, rung: int) -> float | None:
    """The smoothed loss of a run at a rung; ``None`` where it lacks a loss up to there.

    It is the mean over the window that a run of so many steps would end with; infinite where a
    loss in it is no finite number.
    """
    metrics = read_metrics(run_directory)
    losses = metrics.losses[:rung]
    if not np.array_equal(metrics.loss_steps[:rung], np.arange(1, rung + 1)):
        return None
    if rung == 1:
        return float(losses[0])
    window = final_window(losses[:rung], samples_per_step=1)
    return window.mean if window else math.inf


def competitor_losses(spec: TrainingSpec, rung: int) -> list[float]:
    """Losses at a rung of every other run of the sweep that may be compared with this one.

    Those are runs on the same data, with the same trainer, base model and trainable parts, whether
    they train, have finished, failed or were pruned.
    """
    wanted, losses = _compared_by(spec), []
    for path in sorted(Path(spec.store, "runs").glob(f"[!.]*/[!.]*/{SPEC}")):
        other = None
        with suppress(Gr00tAssetsError, OSError):
            other = load_spec(path)
        if other and path.parent != spec.run_directory and _compared_by(other) == wanted:
            losses.append(loss_at(path.parent, rung))
    return [loss for loss in losses if loss is not None]


def _compared_by(spec: TrainingSpec) -> tuple[object, ...]:
    experiment = spec.experiment
    model = experiment.trainer, experiment.base_model, experiment.base_model_revision
    data = spec.data.version, spec.data.modality_hash
    return experiment.sweep, model, data, experiment.hyperparameters.trained()
