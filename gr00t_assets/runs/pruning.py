"""Successive halving: a run that is among the worst of its sweep at a rung is not trained on."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Pruning
from gr00t_assets.runs.final_loss import final_window
from gr00t_assets.runs.metrics import Metric, read_metrics
from gr00t_assets.runs.spec import SPEC, TrainingSpec, load_spec

HOW_TO_CONTINUE = "take pruning out of its sweep file and materialise it again to have it go on"

RungLosses = Mapping[int, float]
"""Smoothed loss of a run by rung, for the rungs that it has reached; infinite where it diverged."""


class Decision(NamedTuple):
    """What a rung decides.

    Attributes:
        hopeless: The run is not to go on.
        rank: Its place among the runs at this rung, from 1.
        runs: Runs that have reached this rung, itself included.
    """

    hopeless: bool
    rank: int
    runs: int


class PruningWatch:
    """Decides about a run at each rung that it passes, while it trains.

    What was decided before the run was interrupted is not decided again. Where the other runs
    cannot be read it goes on, and says so.

    Args:
        say: Where a line for people goes.
        is_stopping: Whether the training is asked to stop already.
        prune: Called with the reason once the run is hopeless.
    """

    def __init__(
        self,
        spec: TrainingSpec,
        pruning: Pruning,
        say: Callable[[str], object],
        is_stopping: Callable[[], bool],
        prune: Callable[[str], object],
    ) -> None:
        self._spec, self._pruning = spec, pruning
        self._say, self._is_stopping, self._prune = say, is_stopping, prune
        self._rungs = pruning.rungs(spec.experiment.hyperparameters.max_steps)
        metrics = read_metrics(spec.run_directory)
        self._decided = metrics[-1].step if metrics else 0

    def __call__(self, metric: Metric) -> None:
        """Decide about every rung that this logged line has passed."""
        passed = [rung for rung in self._rungs if self._decided < rung <= metric.step]
        if not passed or self._is_stopping():
            return
        self._decided = metric.step
        last = passed[-1]
        try:
            rungs = [rung for rung in self._rungs if rung <= last]
            own = losses_at(self._spec.run_directory, rungs)
            decision = decide(own, competitor_losses(self._spec, rungs), self._pruning)
        except (Gr00tAssetsError, OSError, ValueError, LookupError, ImportError) as error:
            self._say(f"pruning: step {last} is not decided about: {error}")
            return
        text = (
            f"at step {last} its loss {own[last]:.4g} is number {decision.rank} of "
            f"{decision.runs}: {'hopeless' if decision.hopeless else 'it goes on'}"
        )
        self._say(f"pruning: {text}")
        if decision.hopeless:
            self._prune(f"{text}; {HOW_TO_CONTINUE}")


def decide(own: RungLosses, competitors: Sequence[RungLosses], pruning: Pruning) -> Decision:
    """Compare a run at its last rung with those that have been there.

    The decision is that of Optuna's ``SuccessiveHalvingPruner``, on a study in memory: a run goes
    on while it is among the best ``1 / reduction_factor``. With fewer than ``reduction_factor``
    runs at the rung nothing is decided, since the second of two would end for being second.

    Args:
        own: The losses of the run at its rungs; not empty.
        competitors: Those of the other runs.
    """
    rung = max(own)
    at_rung = [losses[rung] for losses in competitors if rung in losses]
    rank = 1 + sum(loss < own[rung] for loss in at_rung)
    runs = len(at_rung) + 1
    if runs < pruning.reduction_factor:
        return Decision(False, rank, runs)
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.SuccessiveHalvingPruner(
        min_resource=pruning.min_steps, reduction_factor=pruning.reduction_factor
    )
    study = optuna.create_study(direction="minimize", pruner=pruner)

    def report(losses: RungLosses) -> bool:
        trial, pruned = study.ask(), False
        for step in sorted(losses):
            trial.report(losses[step], step)
            pruned = trial.should_prune()
        return pruned

    for losses in competitors:
        report(losses)
    return Decision(report(own), rank, runs)


def losses_at(run_directory: Path, rungs: Sequence[int]) -> dict[int, float]:
    """The smoothed loss of a run at each rung that it has reached.

    It is the mean over the window that a run of so many steps would end with; infinite where a
    loss in it is no finite number.
    """
    losses = np.array([loss for metric in read_metrics(run_directory) for loss in metric.losses])
    smoothed = {}
    for rung in rungs:
        if len(losses) >= rung:
            window = final_window(losses[:rung], samples_per_step=1)
            smoothed[rung] = float(losses[0]) if rung == 1 else window.mean if window else math.inf
    return smoothed


def competitor_losses(spec: TrainingSpec, rungs: Sequence[int]) -> list[RungLosses]:
    """Losses at the rungs of every other run of the sweep that may be compared with this one.

    Those are runs on the same data, with the same trainer, base model and trainable parts, whether
    they train, have finished, failed or were pruned.
    """
    every = [losses_at(directory, rungs) for directory in _competitors(spec)]
    return [losses for losses in every if losses]


def _competitors(spec: TrainingSpec) -> Iterator[Path]:
    wanted = _compared_by(spec)
    for path in sorted((Store(Path(spec.store)).root / "runs").glob(f"[!.]*/[!.]*/{SPEC}")):
        if path.parent == spec.run_directory:
            continue
        try:
            other = load_spec(path)
        except (Gr00tAssetsError, OSError):
            continue
        if _compared_by(other) == wanted:
            yield path.parent


def _compared_by(spec: TrainingSpec) -> tuple[object, ...]:
    experiment, modality = spec.experiment, spec.modality_config
    model = experiment.trainer, experiment.base_model, experiment.base_model_revision
    data = modality.dataset_version, modality.content_hash()
    return experiment.sweep, model, data, experiment.hyperparameters.trained()
