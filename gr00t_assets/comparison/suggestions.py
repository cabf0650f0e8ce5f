"""Optuna proposes the next experiments of a sweep from the runs that there are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from gr00t_assets.comparison.contrasts.factors import IMMATERIAL
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.sweep_plan import named_sweep
from gr00t_assets.core.errors import SweepError
from gr00t_assets.core.project import Store
from gr00t_assets.core.yaml_files import load_yaml, shown_path
from gr00t_assets.evaluation.result import load_evaluation
from gr00t_assets.experiments.expansion import choices
from gr00t_assets.experiments.random_samples import DIGITS, Choice, Distribution
from gr00t_assets.experiments.registry import hyperparameters_model
from gr00t_assets.experiments.sweep_file import SweepFile
from gr00t_assets.experiments.sweeps import Sweep

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

STARTUP = 5
"""Finished runs that the model of the losses needs; with fewer, suggestions are drawn at random."""

_TRIES = 200

Objective = Literal["loss", "open-loop"]

State = Literal["finished", "pruned", "running", "failed"]
"""``running`` is also what has been asked for and has not begun."""


@dataclass(frozen=True)
class SearchSpace:
    """The hyperparameters that are searched, and all the others, which stay as they are.

    Attributes:
        sweep: The sweep that it is from.
        content: Its file, read.
        raw: Its file as YAML gives it, for a copy of its defaults.
        choices: By searched hyperparameter a distribution, or the values to choose from.
        fixed: The hyperparameters of every suggestion but for the searched ones.
    """

    sweep: Sweep
    content: SweepFile
    raw: Mapping[str, Any]
    choices: Mapping[str, Choice]
    fixed: Mapping[str, Any]

    def rounded(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """Drawn values as they stand in a file: three significant digits, inside the bounds."""
        return {
            name: min(choice.high, max(choice.low, float(f"{drawn[name]:.{DIGITS}g}")))
            if isinstance(choice, Distribution) and choice.distribution != "int_uniform"
            else drawn[name]
            for name, choice in self.choices.items()
        }

    def contains(self, settings: Mapping[str, Any]) -> bool:
        """Whether a run with these settings could have been drawn; its seed is free."""
        free = {"seed", *self.choices, *IMMATERIAL} - {"num_gpus", "gradient_accumulation_steps"}
        return all(
            settings.get(name) == value for name, value in self.fixed.items() if name not in free
        ) and all(
            choice.low <= settings[name] <= choice.high
            if isinstance(choice, Distribution)
            else settings[name] in choice
            for name, choice in self.choices.items()
        )


class SearchedRun(NamedTuple):
    """One run as the search takes it: its searched values, and the objective that is to be low."""

    name: str
    state: State
    values: dict[str, Any]
    objective: float | None
    steps: int


@dataclass(frozen=True)
class Evidence:
    """The runs that a search learns from: of one class, equal in all but what it varies.

    Attributes:
        runs: The runs.
        other_classes: Finished runs left out since their losses are of another kind.
        not_evaluated: Finished runs left out since they have no open-loop error.
    """

    runs: tuple[SearchedRun, ...]
    other_classes: int = 0
    not_evaluated: int = 0

    @property
    def finished(self) -> tuple[SearchedRun, ...]:
        """Those with an objective, the best first."""
        known = [run for run in self.runs if run.state == "finished" and run.objective is not None]
        return tuple(sorted(known, key=lambda run: run.objective or 0.0))


def read_space(name: str) -> SearchSpace:
    """The search space of a sweep, by the sweep's name or file.

    Raises:
        SweepError: There is no such sweep, it is wrong, or has no ``random`` section.
    """
    sweep = named_sweep(name)
    raw = load_yaml(sweep.file, SweepError).data
    content = SweepFile.model_validate(raw)
    if content.random is None:
        raise SweepError(
            shown_path(sweep.file),
            "it has no 'random' section, which says what to search and between which bounds.",
            [
                "give one, such as",
                "random:",
                f"  name: {sweep.name}-random-{{index}}",
                "  count: 4",
                "  hyperparameters:",
                "    learning_rate: {distribution: log_uniform, low: 1e-5, high: 1e-3}",
            ],
        )
    model = hyperparameters_model(sweep.experiments[0].trainer)
    searched: dict[str, Choice] = {}
    for key, choice in choices(content).items():
        if not isinstance(choice, Distribution):  # YAML reads 3e-4 as a word
            choice = [getattr(model.model_validate({key: value}), key) for value in choice]
        searched[key] = choice
    fixed = model.model_validate(content.defaults.hyperparameters).model_dump()
    return SearchSpace(sweep, content, raw, searched, fixed)


def gather(space: SearchSpace, runs: Sequence[Run], store: Store, objective: Objective) -> Evidence:
    """What the store's runs tell of a search.

    A run takes part where its dataset, trainer, base model and every hyperparameter that is not
    searched are those of the sweep's defaults; seeds may differ. Of finished runs of several
    classes (another version of the data or the trainer, frames not verified) the largest is taken.

    Args:
        space: What is searched.
        runs: Of every experiment of the store, those not run included.
        store: Where their evaluations are.
        objective: What is to be low.
    """
    fitting = [run for run in runs if not run.stale and _fits(run, space)]
    classes = Counter(run.comparable for run in fitting if run.finished)
    chosen = classes.most_common(1)[0][0] if classes else None
    searched: list[SearchedRun] = []
    others = not_evaluated = 0
    for run in fitting:
        state: State = "running"
        if run.finished or run.status in ("pruned", "failed"):
            state = cast(State, "finished" if run.finished else run.status)
        if state in ("finished", "pruned") and run.comparable != chosen:
            others += run.finished
            continue
        value = _objective(run, store, objective)
        if state == "finished" and value is None:
            not_evaluated += 1
            continue
        values = {name: run.settings[name] for name in space.choices}
        searched.append(SearchedRun(run.name, state, values, value, run.steps or 0))
    return Evidence(tuple(searched), others, not_evaluated)


def suggest(space: SearchSpace, evidence: Evidence, count: int, seed: int) -> list[dict[str, Any]]:
    """Values of the searched hyperparameters for the next experiments.

    They come from a tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011) over a study
    in memory. Runs that are not over, and the suggestions before, count as bad ones ("constant
    liar"), so that several suggestions differ. The same runs and seed give the same suggestions.

    Raises:
        SweepError: No other values are left than those of runs that there are.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP, constant_liar=True)
    study = optuna.create_study(direction="minimize", sampler=sampler)
    distributions = {name: _distribution(choice) for name, choice in space.choices.items()}
    for run in sorted(evidence.runs, key=lambda run: (run.name, str(sorted(run.values.items())))):
        if trial := _trial(run, distributions):
            study.add_trial(trial)
    taken = [run.values for run in evidence.runs]
    suggestions: list[dict[str, Any]] = []
    for _ in range(_TRIES * count):
        values = space.rounded(study.ask(distributions).params)
        if values not in taken + suggestions:
            suggestions.append(values)
        if len(suggestions) == count:
            break
    if not suggestions:
        raise SweepError(
            space.sweep.name,
            "every combination of its choices has a run already.",
            ["widen the bounds of its 'random' section, or search another hyperparameter"],
        )
    return suggestions


def _distribution(choice: Choice) -> "BaseDistribution":
    from optuna import distributions

    if not isinstance(choice, Distribution):
        return distributions.CategoricalDistribution(choice)
    if choice.distribution == "int_uniform":
        return distributions.IntDistribution(int(choice.low), int(choice.high))
    return distributions.FloatDistribution(
        choice.low, choice.high, log=choice.distribution == "log_uniform"
    )


def _trial(run: SearchedRun, distributions: "dict[str, BaseDistribution]") -> "FrozenTrial | None":
    from optuna.trial import TrialState, create_trial

    content: dict[str, Any] = {"params": run.values, "distributions": distributions}
    if run.state == "finished":
        return create_trial(value=run.objective, **content)
    if run.state == "running":
        return create_trial(state=TrialState.RUNNING, **content)
    if run.state == "pruned" and run.objective is not None:
        reached = {run.steps: run.objective}
        return create_trial(state=TrialState.PRUNED, intermediate_values=reached, **content)
    return None


def _fits(run: Run, space: SearchSpace) -> bool:
    if run.stored is None or not run.settings:
        return False
    experiment, defaults = run.stored.experiment, space.content.defaults
    fields = ("dataset", "trainer", "base_model", "base_model_revision")
    return (
        experiment.continue_from is None
        and all(getattr(experiment, name) == getattr(defaults, name) for name in fields)
        and space.contains(run.settings)
    )


def _objective(run: Run, store: Store, objective: Objective) -> float | None:
    if objective == "loss" or not run.finished:
        return run.loss.mean if run.loss else None
    assert run.stored is not None
    evaluation = load_evaluation(store.run_directory(run.name, run.stored.config_hash or ""))
    return evaluation.held_out.error.mean if evaluation and evaluation.held_out else None
