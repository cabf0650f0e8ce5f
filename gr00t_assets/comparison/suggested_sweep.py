"""The next experiments of a search as YAML: a list to paste, or a sweep file."""

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

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
from gr00t_assets.experiments.new_sweep import sweep_yaml, taken_names, write_sweep
from gr00t_assets.experiments.sweeps import load_sweeps
from gr00t_assets.runs.stored_run import read_runs

_OBJECTIVES: dict[Objective, str] = {"loss": "loss", "open-loop": "held-out open-loop error"}


class SuggestedSweep(NamedTuple):
    """Suggestions as YAML: a list of experiments to paste, or the file that was written.

    What they rest on is in the lines of ``basis``.
    """

    text: str
    basis: list[str]
    file: Path | None


def suggest_sweep(
    name: str, wanted: int, seed: int, objective: Objective, out: str | None = None
) -> SuggestedSweep:
    """Suggest experiments for a sweep, and write them to a sweep file where ``out`` names one.

    Raises:
        SweepError: There is no such sweep, it has no ``random`` section, nothing is left to
            suggest, or the file cannot be written as asked.
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
    if out is None:
        prefix = f"{space.sweep.name}-suggested{seed}"
        entries = _entries(prefix, suggestions, hypothesis, taken_names())
        return SuggestedSweep(sweep_yaml({"experiments": entries}), basis, None)

    def text(taken: set[str]) -> str:
        """A sweep file with the defaults of the searched one, and its pruning."""
        content = {
            "description": f"Suggested for {space.sweep.name}",
            **{key: space.raw[key] for key in ("tags", "max_retries", "pruning", "defaults")
               if key in space.raw},
            "experiments": _entries(out, suggestions, hypothesis, taken),
        }  # fmt: skip
        return "".join(f"# {line}\n" for line in basis) + sweep_yaml(content)

    file = write_sweep(out, text)
    return SuggestedSweep(file.read_text(encoding="utf-8"), basis, file)


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
