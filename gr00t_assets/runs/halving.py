"""Successive halving: whether a run is among those that are worth going on with."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gr00t_assets.experiments.pruning import Pruning

RungLosses = Mapping[int, float]
"""Smoothed loss of a run by rung, for the rungs that it has reached; infinite where it diverged."""


class Decision(NamedTuple):
    """What a rung decides.

    Attributes:
        hopeless: The run is not to go on.
        place: Its place among the runs at this rung, from 1.
        runs: Runs that have reached this rung, itself included.
    """

    hopeless: bool
    place: int
    runs: int


def decide(own: RungLosses, rivals: Sequence[RungLosses], pruning: Pruning) -> Decision:
    """Hold a run at its last rung against those that have been there.

    The decision is that of Optuna's ``SuccessiveHalvingPruner``, on a study in memory: a run goes
    on while it is among the best ``1 / reduction_factor``. With fewer than ``reduction_factor``
    runs at the rung nothing is decided, since the second of two would end for being second.

    Args:
        own: The losses of the run at its rungs; not empty.
        rivals: Those of the other runs.
        pruning: The setting.
    """
    rung = max(own)
    at_rung = [losses[rung] for losses in rivals if rung in losses]
    place = 1 + sum(loss < own[rung] for loss in at_rung)
    runs = len(at_rung) + 1
    if runs < pruning.reduction_factor:
        return Decision(False, place, runs)
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.SuccessiveHalvingPruner(
        min_resource=pruning.min_steps, reduction_factor=pruning.reduction_factor
    )
    study = optuna.create_study(direction="minimize", pruner=pruner)

    def climb(losses: RungLosses) -> bool:
        trial, pruned = study.ask(), False
        for step in sorted(losses):
            trial.report(losses[step], step)
            pruned = trial.should_prune()
        return pruned

    for losses in rivals:
        climb(losses)
    return Decision(climb(own), place, runs)
