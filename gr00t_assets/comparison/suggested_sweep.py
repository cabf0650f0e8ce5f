"""The next experiments of a search as YAML: a list to paste, or a sweep file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

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
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.new_sweep import taken_names, write_sweep
from gr00t_assets.experiments.sweeps import load_sweeps
from gr00t_assets.runs.stored_run import read_runs

_OBJECTIVES: dict[Objective, str] = {"loss": "loss", "open-loop": "held-out open-loop error"}


class SuggestedSweep(NamedTuple):
    """Suggestions as text.

    Attributes:
        text: YAML, a list of experiments to paste or the whole file that was written.
        basis: What the suggestions rest on, in lines.
        file: The file; None where none was asked for.
    """

    text: str
    basis: list[str]
    file: Path | None


def suggest_sweep(
    name: str, count: int, seed: int, objective: Objective, out: str | None = None
) -> SuggestedSweep:
    """Suggest experiments for a sweep, and write them to a sweep file where ``out`` names one.

    Raises:
        SweepError: There is no such sweep, it has no ``random`` section, nothing is left to
            suggest, or the file cannot be written as asked.
    """
    space = read_space(name)
    store = Store.from_environment()
    runs = [from_stored_run(run) for run in read_runs(_experiments(space), store)]
    evidence = gather(space, runs, store, objective)
    suggestions = suggest(space, evidence, count, seed)
    basis = _basis(space, evidence, len(suggestions), count, objective)
    hypothesis = _hypothesis(evidence, objective)
    if out is None:
        prefix = f"{space.sweep.name}-suggested{seed}"
        entries = _entries(prefix, suggestions, hypothesis, taken_names())
        return SuggestedSweep(_dumped({"experiments": entries}), basis, None)

    def text(taken: set[str]) -> str:
        """A sweep file with the defaults of the searched one, and its pruning."""
        content = {
            "description": f"Suggested for {space.sweep.name}",
            **{key: space.raw[key] for key in ("tags", "max_retries", "pruning", "defaults")
               if key in space.raw},
            "experiments": _entries(out, suggestions, hypothesis, taken),
        }  # fmt: skip
        return "".join(f"# {line}\n" for line in basis) + _dumped(content)

    file = write_sweep(out, text)
    return SuggestedSweep(file.read_text(encoding="utf-8"), basis, file)


def _experiments(space: SearchSpace) -> list[Experiment]:
    """Of every sweep of the project, and of this one where its file lies outside."""
    by_name = {item.name: item for item in space.sweep.experiments}
    for sweep in load_sweeps().values():
        by_name |= {item.name: item for item in sweep.experiments}
    return list(by_name.values())


def _basis(
    space: SearchSpace, evidence: Evidence, suggested: int, count: int, objective: Objective
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
    if suggested < count:
        lines.append("no other combinations are left")
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
    entries, number = [], 0
    for values in suggestions:
        number += 1
        while f"{prefix}-{number:03d}" in taken:
            number += 1
        name = f"{prefix}-{number:03d}"
        entries.append({"name": name, "hypothesis": hypothesis, "hyperparameters": values})
    return entries


def _dumped(content: dict[str, Any]) -> str:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=96)
