"""Optuna proposes the next experiments of a sweep from the runs that there are."""

from typing import TYPE_CHECKING, Any

from gr00t_assets.comparison.search.space import Space
from gr00t_assets.comparison.search.told import Evidence, Told
from gr00t_assets.core.errors import SweepError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial


STARTUP = 5
"""Finished runs that the model of the losses needs; with fewer, suggestions are drawn at random."""

_TRIES = 200


def suggest(space: Space, evidence: Evidence, count: int, seed: int) -> list[dict[str, Any]]:
    """Values of the searched hyperparameters for the next experiments.

    They come from a tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011) over a study
    in memory. Runs that are not over, and the suggestions before, count as bad ones ("constant
    liar"), so that several suggestions differ. The same runs and seed give the same suggestions.

    Args:
        space: What is searched.
        evidence: The runs.
        count: Suggestions wanted.
        seed: Of the sampler.

    Raises:
        SweepError: No other values are left than those of runs that there are.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP, constant_liar=True)
    study = optuna.create_study(direction="minimize", sampler=sampler)
    distributions = space.distributions()
    for run in sorted(
        evidence.told, key=lambda run: (run.name, sorted(map(str, run.values.items())))
    ):
        trial = _trial(run, distributions)
        if trial is not None:
            study.add_trial(trial)
    taken = [run.values for run in evidence.told]
    found: list[dict[str, Any]] = []
    for _ in range(_TRIES * count):
        if len(found) == count:
            break
        values = space.rounded(study.ask(distributions).params)
        if values not in taken:
            taken.append(values)
            found.append(values)
    if not found:
        raise SweepError(
            space.sweep.name,
            "every combination of its choices has a run already.",
            ["widen the bounds of its 'random' section, or search another hyperparameter"],
        )
    return found


def _trial(run: Told, distributions: "dict[str, BaseDistribution]") -> "FrozenTrial | None":
    from optuna.trial import TrialState, create_trial

    content: dict[str, Any] = {"params": run.values, "distributions": distributions}
    if run.state == "finished":
        return create_trial(value=run.value, **content)
    if run.state == "running":
        return create_trial(state=TrialState.RUNNING, **content)
    if run.state == "pruned" and run.value is not None:
        reached = {run.steps: run.value}
        return create_trial(state=TrialState.PRUNED, intermediate_values=reached, **content)
    return None
