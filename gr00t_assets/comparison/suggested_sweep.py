"""The next experiments of a search as YAML: a list to paste, or a sweep file."""

from collections.abc import Sequence
from itertools import count
from typing import Any

from gr00t_assets.comparison.all_runs import from_stored_run
from gr00t_assets.comparison.suggestions import (
    STARTUP,
    Evidence,
    Objective,
    SearchSpace,
    gather,
    read_space,
    suggest,
)
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.new_sweep import sweep_yaml, taken_names
from gr00t_assets.experiments.sweeps import load_sweeps
from gr00t_assets.runs.stored_run import read_runs

_OBJECTIVES: dict[Objective, str] = {"loss": "loss", "open-loop": "held-out open-loop error"}


def suggest_sweep(
    name: str, wanted: int, seed: int, objective: Objective, out: str | None = None
) -> tuple[str, list[str]]:
    """Suggest experiments for a sweep, as YAML, and say in lines what they rest on.

    It is a list of experiments to paste, or a whole sweep file where ``out`` names one.

    Raises:
        SweepError: There is no such sweep, it has no ``random`` section, or nothing is left to
            suggest.
    """
    space = read_space(name)
    store = Store.from_environment()
    sweeps = [space.sweep, *load_sweeps().values()]
    experiments = {item.name: item for sweep in sweeps for item in sweep.experiments}
    runs = [from_stored_run(run) for run in read_runs(list(experiments.values()), store)]
    evidence = gather(space, runs, store, objective)
    suggestions = suggest(space, evidence, wanted, seed)
    basis = _basis(space, evidence, len(suggestions), objective)
    if len(suggestions) < wanted:
        basis.append("no other combinations are left")
    hypothesis = _hypothesis(evidence, objective)
    prefix = out or f"{space.sweep.name}-suggested{seed}"
    content = {"experiments": _entries(prefix, suggestions, hypothesis, taken_names())}
    if out is None:
        return sweep_yaml(content), basis
    searched = ("tags", "max_retries", "pruning", "defaults")
    head = {"description": f"Suggested for {space.sweep.name}"}
    head |= {key: space.raw[key] for key in searched if key in space.raw}
    return "".join(f"# {line}\n" for line in basis) + sweep_yaml(head | content), basis


def _basis(
    space: SearchSpace, evidence: Evidence, suggested: int, objective: Objective
) -> list[str]:
    finished = evidence.finished
    pending = sum(run.state == "running" for run in evidence.runs)
    lines = [
        f"{space.sweep.name}: {suggested} suggestions from {len(finished)} finished runs, by "
        f"{_OBJECTIVES[objective]}; {pending} more are not over"
    ]
    if finished:
        lines.append(f"the best so far is {finished[0].name}, {finished[0].objective:.4g}")
    if len(finished) < STARTUP:
        lines.append(f"drawn at random: the model of the losses needs {STARTUP} finished runs")
    if evidence.other_classes:
        lines.append(f"{evidence.other_classes} finished runs of another class are left out")
    if evidence.not_evaluated:
        lines.append(f"{evidence.not_evaluated} finished runs without an evaluation are left out")
    return lines


def _hypothesis(evidence: Evidence, objective: Objective) -> str:
    finished = evidence.finished
    if len(finished) < STARTUP:
        return "Drawn at random from the sweep's choices, before a search can tell more."
    best = finished[0]
    return (
        f"By {len(finished)} finished runs these values may do better than {best.name}, whose "
        f"{_OBJECTIVES[objective]} is {best.objective:.4g}."
    )


def _entries(
    prefix: str, suggestions: Sequence[dict[str, Any]], hypothesis: str, taken: set[str]
) -> list[dict[str, Any]]:
    names = (name for number in count(1) if (name := f"{prefix}-{number:03d}") not in taken)
    return [
        {"name": name, "hypothesis": hypothesis, "hyperparameters": values}
        for values, name in zip(suggestions, names, strict=False)
    ]
