"""The runs that a search learns from: of one class, equal in all but what it varies."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from gr00t_assets.comparison.contrasts.factors import IMMATERIAL
from gr00t_assets.comparison.contrasts.observation import Observation
from gr00t_assets.comparison.contrasts.store_runs import observe
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.search.space import Space
from gr00t_assets.core.project import Store
from gr00t_assets.evaluation.result import load_evaluation
from gr00t_assets.experiments.hyperparameters import Hyperparameters

Objective = Literal["loss", "open-loop"]

State = Literal["finished", "pruned", "running", "failed"]
"""``running`` is also what has been asked for and has not begun."""


class Told(NamedTuple):
    """One run as the search is told of it.

    Attributes:
        name: Of its experiment.
        state: What became of it.
        values: Its searched hyperparameters.
        value: The objective; None where it has none.
        steps: Optimizer steps done.
    """

    name: str
    state: State
    values: dict[str, Any]
    value: float | None
    steps: int


@dataclass(frozen=True)
class Evidence:
    """What a search knows.

    Attributes:
        told: The runs.
        other_classes: Finished runs left out since their losses are of another kind.
        not_evaluated: Finished runs left out since they have no open-loop error.
    """

    told: tuple[Told, ...]
    other_classes: int = 0
    not_evaluated: int = 0

    @property
    def finished(self) -> tuple[Told, ...]:
        """Those with a value, the best first."""
        known = [run for run in self.told if run.state == "finished" and run.value is not None]
        return tuple(sorted(known, key=lambda run: run.value or 0.0))


def gather(space: Space, runs: Sequence[Run], store: Store, objective: Objective) -> Evidence:
    """What the store's runs tell of a search.

    A run takes part where its dataset, trainer, base model and every hyperparameter that is not
    searched are those of the sweep's defaults; seeds may differ. Of finished runs of several
    classes (another version of the data or the trainer, frames not verified) the largest is taken.

    Args:
        space: What is searched.
        runs: Of every experiment that there is, those not run included.
        store: Where they are.
        objective: What is to be low.
    """
    fitting = [run for run in runs if not run.stale and _fits(run, space)]
    seen = {id(run): one for run in fitting for one in observe([run])}
    classes = Counter(one.comparable for one in seen.values() if one.finished)
    chosen = classes.most_common(1)[0][0] if classes else None
    told, others, blind = [], 0, 0
    for run in fitting:
        one = seen.get(id(run))
        state = _state(one)
        if state in ("finished", "pruned") and one is not None and one.comparable != chosen:
            others += one.finished
            continue
        value = _value(run, one, store, objective)
        if state == "finished" and value is None:
            blind += 1
            continue
        told.append(Told(run.name, state, _searched(run, space), value, run.steps or 0))
    return Evidence(tuple(told), others, blind)


def _fits(run: Run, space: Space) -> bool:
    experiment, settings, defaults = run.experiment, run.hyperparameters, space.content.defaults
    if settings is None or experiment.continue_from is not None:
        return False
    asked = (
        defaults.dataset,
        defaults.trainer,
        defaults.base_model,
        defaults.base_model_revision,
    )
    has = (
        experiment.dataset,
        experiment.trainer,
        experiment.base_model,
        experiment.base_model_revision,
    )
    fixed = all(getattr(settings, name) == getattr(space.fixed, name) for name in _held(space))
    return asked == has and fixed and space.holds(_searched(run, space))


def _held(space: Space) -> Iterator[str]:
    free = {"seed", *space.choices, *(IMMATERIAL - {"num_gpus", "gradient_accumulation_steps"})}
    return (name for name in Hyperparameters.model_fields if name not in free)


def _searched(run: Run, space: Space) -> dict[str, Any]:
    return {name: getattr(run.hyperparameters, name) for name in space.choices}


def _state(one: Observation | None) -> State:
    if one is None:
        return "running"
    if one.finished:
        return "finished"
    return {"pruned": "pruned", "failed": "failed"}.get(one.status, "running")  # type: ignore[return-value]


def _value(run: Run, one: Observation | None, store: Store, objective: Objective) -> float | None:
    if one is None:
        return None
    if objective == "loss" or not one.finished:
        return one.loss.mean if one.loss else None
    evaluation = load_evaluation(store.run_directory(run.name, run.config_hash or ""))
    return evaluation.held_out.error.mean if evaluation and evaluation.held_out else None
