"""Optuna suggests the next experiments of a sweep from the runs that there are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from gr00t_assets.comparison.all_runs import from_stored_run
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.statistics.factors import IMMATERIAL, SHARES_OF_A_STEP
from gr00t_assets.core.errors import SweepError
from gr00t_assets.core.project import Store
from gr00t_assets.core.yaml_files import load_yaml, shown_path
from gr00t_assets.evaluation.result import readable_evaluation
from gr00t_assets.experiments.new_sweep import sweep_yaml
from gr00t_assets.experiments.project_files import read_project
from gr00t_assets.experiments.registry import hyperparameters_model
from gr00t_assets.experiments.sweep_file import DIGITS, Choice, Distribution, SweepFile
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.planning.sweep_plan import named_sweep
from gr00t_assets.runs.stored_run import read_runs

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

STARTUP = 5  # Finished runs that the model of the losses needs
_TRIES = 200

_RANDOM = """\
random:
  name: {}-random-{{index}}
  count: 4
  hyperparameters:
    learning_rate: {{distribution: log_uniform, low: 1e-5, high: 1e-3}}"""

LEFT_OUT = ("of another class", "without an evaluation that can be read")
"""Finished runs that tell a search nothing but that their values are taken."""

Objective = Literal["loss", "open-loop"]
_OBJECTIVES: dict[Objective, str] = {"loss": "loss", "open-loop": "held-out open-loop error"}


@dataclass(frozen=True)
class SearchSpace:
    """The searched hyperparameters of a sweep, and the others, which stay ``fixed``."""

    sweep: Sweep
    content: SweepFile  # The sweep's file as it was read
    raw: Mapping[str, Any]  # The same as YAML gives it
    choices: Mapping[str, Choice]
    fixed: Mapping[str, Any]

    def rounded(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """Drawn values as they stand in a file: three significant digits, inside the bounds."""
        values = dict(drawn)
        for name, choice in self.choices.items():
            if isinstance(choice, Distribution) and choice.distribution != "int_uniform":
                shown = float(f"{drawn[name]:.{DIGITS}g}")
                values[name] = min(choice.high, max(choice.low, shown))
        return values

    def fits(self, run: Run) -> bool:
        """Whether a run could have been drawn; its data, model and fixed values are the same."""
        settings: Mapping[str, Any] = run.settings
        if run.stored is None or not settings or run.stored.experiment.continue_from is not None:
            return False
        experiment, defaults = run.stored.experiment, self.content.defaults
        fields = ("dataset", "trainer", "base_model", "base_model_revision")
        if any(getattr(experiment, name) != getattr(defaults, name) for name in fields):
            return False
        free = {"seed", *self.choices, *IMMATERIAL} - SHARES_OF_A_STEP
        if any(settings.get(x) != value for x, value in self.fixed.items() if x not in free):
            return False
        return all(
            choice.low <= settings[name] <= choice.high
            if isinstance(choice, Distribution)
            else settings[name] in choice
            for name, choice in self.choices.items()
        )


class SearchedRun(NamedTuple):
    """One run as the search takes it: its searched values, and what is to be low."""

    name: str
    state: str  # ``finished``, ``pruned``, ``failed``, ``running`` or asked for, or of ``LEFT_OUT``
    values: dict[str, Any]
    objective: float | None
    samples: int


def suggest_sweep(
    name: str, wanted: int, seed: int, objective: Objective, out: str | None = None
) -> tuple[str, list[str]]:
    """A list of experiments to paste, as YAML, or the sweep file ``out``; and what it rests on.

    Raises:
        SweepError: There is no such sweep, it has no ``random`` section, or nothing is left.
    """
    space, store = read_space(name), Store.from_environment()
    sweeps = [space.sweep, *read_project().sweeps.values()]
    experiments = {item.name: item for sweep in sweeps for item in sweep.experiments}
    runs = [from_stored_run(run) for run in read_runs(list(experiments.values()), store)]
    searched = gather(space, runs, store, objective)
    suggestions = suggest(space, searched, wanted, seed)
    finished = sorted(
        (x for x in searched if x.state == "finished"), key=lambda x: x.objective or 0
    )
    basis = _basis(space.sweep.name, searched, finished, len(suggestions), objective)
    if len(suggestions) < wanted:
        basis.append("no other combinations are left")
    hypothesis = "Drawn at random from the sweep's choices, before a search can tell more."
    if len(finished) >= STARTUP:
        best = finished[0]
        hypothesis = (
            f"By {len(finished)} finished runs these values may do better than "
            f"{best.name}, whose {_OBJECTIVES[objective]} is {best.objective:.4g}."
        )
    prefix = out or f"{space.sweep.name}-suggested{seed}"
    taken = set(read_project().experiment_names)
    names = (name for number in count(1) if (name := f"{prefix}-{number:03d}") not in taken)
    entries = [
        {"name": name, "hypothesis": hypothesis, "hyperparameters": values}
        for values, name in zip(suggestions, names, strict=False)
    ]
    content = {"experiments": entries}
    if out is None:
        return sweep_yaml(content), basis
    searched = ("tags", "max_retries", "pruning", "defaults")
    head = {"description": f"Suggested for {space.sweep.name}"}
    head |= {key: space.raw[key] for key in searched if key in space.raw}
    return "".join(f"# {line}\n" for line in basis) + sweep_yaml(head | content), basis


def read_space(name: str) -> SearchSpace:
    """The search space of a sweep, by the sweep's name or file.

    Raises:
        SweepError: There is no such sweep, it is wrong, or has no ``random`` section.
    """
    sweep = named_sweep(name)
    raw = load_yaml(sweep.file, SweepError).data
    content = SweepFile.model_validate(raw)
    if content.random is None:
        problem = "it has no 'random' section, which says what to search and between which bounds."
        example = ["give one, such as", *_RANDOM.format(sweep.name).splitlines()]
        raise SweepError(shown_path(sweep.file), problem, example)
    model = hyperparameters_model(sweep.experiments[0].trainer)
    searched: dict[str, Choice] = {}
    for key, choice in content.random.hyperparameters.items():
        if not isinstance(choice, Distribution):  # YAML reads 3e-4 as a word
            choice = [getattr(model.model_validate({key: value}), key) for value in choice]
        searched[key] = choice
    fixed = model.model_validate(content.defaults.hyperparameters).model_dump()
    return SearchSpace(sweep, content, raw, searched, fixed)


def gather(
    space: SearchSpace, runs: Sequence[Run], store: Store, objective: Objective
) -> list[SearchedRun]:
    """What the store's runs tell of a search.

    A run takes part where its dataset, trainer, base model and every hyperparameter that is not
    searched are those of the sweep's defaults; seeds may differ. Of finished runs of several
    classes the largest is taken. ``runs`` are of every experiment, those not run included.
    """
    fitting = [run for run in runs if not run.stale and space.fits(run)]
    classes = Counter(run.comparable for run in fitting if run.finished)
    chosen = classes.most_common(1)[0][0] if classes else None
    searched = []
    for run in fitting:
        state = run.status if run.status in ("pruned", "failed") else "running"
        value = _objective(run, store, objective)
        if run.finished and run.comparable == chosen:
            state = "finished" if value is not None else LEFT_OUT[1]
        elif run.finished:
            state = LEFT_OUT[0]
        elif state == "pruned" and run.comparable != chosen:
            state = "failed"
        values = {name: run.settings[name] for name in space.choices}
        searched.append(SearchedRun(run.name, state, values, value, run.samples_seen or 0))
    return searched


def suggest(
    space: SearchSpace, searched: Sequence[SearchedRun], wanted: int, seed: int
) -> list[dict[str, Any]]:
    """Values of the searched hyperparameters for the next experiments.

    They come from a tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011) over a study
    in memory. Runs that are not over, and the suggestions before, count as bad ones ("constant
    liar"), so that several suggestions differ. The same runs and seed give the same suggestions.

    Raises:
        SweepError: No other values are left than those of runs that there are.
    """
    import optuna
    from optuna.trial import TrialState, create_trial

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP, constant_liar=True)
    study = optuna.create_study(direction="minimize", sampler=sampler)
    distributions = {name: _distribution(choice) for name, choice in space.choices.items()}
    for run in sorted(searched, key=lambda run: (run.name, str(sorted(run.values.items())))):
        result: dict[str, Any] = {"value": run.objective}
        if run.state == "running":
            result = {"state": TrialState.RUNNING}
        elif run.state == "pruned" and run.objective is not None:
            reached = {run.samples: run.objective}
            result = {"state": TrialState.PRUNED, "intermediate_values": reached}
        elif run.state != "finished":
            continue
        trial = create_trial(params=run.values, distributions=distributions, **result)
        study.add_trial(trial)
    taken = [run.values for run in searched]
    suggestions: list[dict[str, Any]] = []
    for _ in range(_TRIES * wanted):
        values = space.rounded(study.ask(distributions).params)
        if values not in taken + suggestions:
            suggestions.append(values)
        if len(suggestions) == wanted:
            break
    if not suggestions:
        remedy = "widen the bounds of its 'random' section, or search another hyperparameter"
        problem = "every combination of its choices has a run already."
        raise SweepError(space.sweep.name, problem, [remedy])
    return suggestions


def _distribution(choice: Choice) -> "BaseDistribution":
    from optuna import distributions

    if not isinstance(choice, Distribution):
        return distributions.CategoricalDistribution(choice)
    if choice.distribution == "int_uniform":
        return distributions.IntDistribution(int(choice.low), int(choice.high))
    is_log = choice.distribution == "log_uniform"
    return distributions.FloatDistribution(choice.low, choice.high, log=is_log)


def _objective(run: Run, store: Store, objective: Objective) -> float | None:
    if objective == "loss" or not run.finished or run.stored is None:
        return run.loss.mean if run.loss else None
    evaluation = readable_evaluation(store.run_directory(run.name, run.stored.config_hash or ""))
    return evaluation.held_out.error.mean if evaluation and evaluation.held_out else None


def _basis(
    sweep: str,
    searched: Sequence[SearchedRun],
    finished: Sequence[SearchedRun],
    suggested: int,
    objective: Objective,
) -> list[str]:
    states = Counter(run.state for run in searched)
    lines = [
        f"{sweep}: {suggested} suggestions from {len(finished)} finished runs, by "
        f"{_OBJECTIVES[objective]}; {states['running']} more are not over"
    ]
    if finished:
        lines.append(f"the best so far is {finished[0].name}, {finished[0].objective:.4g}")
    if len(finished) < STARTUP:
        lines.append(f"drawn at random: the model of the losses needs {STARTUP} finished runs")
    left_out = [why for why in LEFT_OUT if states[why]]
    return lines + [f"{states[why]} finished runs {why} are left out" for why in left_out]
