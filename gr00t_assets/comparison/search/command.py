"""``gr00t-assets sweep suggest``: the next experiments of a search, as YAML."""

import sys
from collections.abc import Sequence
from typing import Any

import yaml

from gr00t_assets.comparison.runs import read_runs
from gr00t_assets.comparison.search.space import Space, read_space
from gr00t_assets.comparison.search.suggest import STARTUP, suggest
from gr00t_assets.comparison.search.told import Evidence, Objective, gather
from gr00t_assets.core.project import Store
from gr00t_assets.core.yaml_files import shown_path
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.new_file import taken_names, write_sweep
from gr00t_assets.experiments.sweeps import load_sweeps

_WORDS: dict[Objective, str] = {"loss": "loss", "open-loop": "held-out open-loop error"}


def run_suggest(
    name: str, count: int, seed: int, objective: Objective, out: str | None = None
) -> str:
    """Suggest experiments for a sweep, and write them to a sweep file where ``out`` names one.

    Returns:
        YAML: a list of experiments to paste, or the whole file that was written.

    Raises:
        SweepError: There is no such sweep, it has no ``random`` section, nothing is left to
            suggest, or the file cannot be written as asked.
    """
    space = read_space(name)
    store = Store.from_environment()
    runs = read_runs(_experiments(space), store)
    evidence = gather(space, runs, store, objective)
    suggested = suggest(space, evidence, count, seed)
    said = _said(space, evidence, len(suggested), count, objective)
    sys.stderr.write("".join(f"{line}\n" for line in said))
    why = _hypothesis(evidence, objective)
    if out is None:
        prefix = f"{space.sweep.name}-suggested{seed}"
        return _dumped({"experiments": _entries(prefix, suggested, why, taken_names())})
    file = write_sweep(out, lambda taken: _file(space, out, suggested, why, said, taken))
    sys.stderr.write(f"written: {shown_path(file)}\n")
    return file.read_text(encoding="utf-8")


def _experiments(space: Space) -> list[Experiment]:
    """Of every sweep of the project, and of this one where its file lies outside."""
    known = {item.name: item for item in space.sweep.experiments}
    for sweep in load_sweeps().values():
        known |= {item.name: item for item in sweep.experiments}
    return list(known.values())


def _said(
    space: Space, evidence: Evidence, made: int, count: int, objective: Objective
) -> list[str]:
    """What the suggestions rest on, in lines."""
    finished, told = evidence.finished, evidence.told
    pending = sum(run.state == "running" for run in told)
    lines = [
        f"{space.sweep.name}: {made} suggestions from {len(finished)} finished runs, by "
        f"{_WORDS[objective]}; {pending} more are not over"
    ]
    if finished:
        lines.append(f"the best so far is {finished[0].name}, {finished[0].value:.4g}")
    if len(finished) < STARTUP:
        lines.append(f"drawn at random: the model of the losses needs {STARTUP} finished runs")
    if evidence.other_classes:
        lines.append(f"{evidence.other_classes} finished runs of another class are left out")
    if evidence.not_evaluated:
        lines.append(f"{evidence.not_evaluated} finished runs without an evaluation are left out")
    if made < count:
        lines.append("no other combinations are left")
    return lines


def _hypothesis(evidence: Evidence, objective: Objective) -> str:
    finished = evidence.finished
    if len(finished) < STARTUP:
        return "Drawn at random from the sweep's choices, before a search can tell more."
    best = finished[0]
    return (
        f"By {len(finished)} finished runs these values may do better than {best.name}, whose "
        f"{_WORDS[objective]} is {best.value:.4g}."
    )


def _entries(
    prefix: str, suggested: Sequence[dict[str, Any]], why: str, taken: set[str]
) -> list[dict[str, Any]]:
    entries, number = [], 0
    for values in suggested:
        number += 1
        while f"{prefix}-{number:03d}" in taken:
            number += 1
        entries.append(
            {"name": f"{prefix}-{number:03d}", "hypothesis": why, "hyperparameters": values}
        )
    return entries


def _file(
    space: Space,
    name: str,
    suggested: Sequence[dict[str, Any]],
    why: str,
    said: Sequence[str],
    taken: set[str],
) -> str:
    """A sweep file with the defaults of the searched one, and its pruning."""
    kept = {key: space.raw[key] for key in ("tags", "max_retries", "pruning", "defaults")
            if key in space.raw}  # fmt: skip
    entries = _entries(name, suggested, why, taken)
    head = "".join(f"# {line}\n" for line in said)
    return head + _dumped(
        {"description": f"Suggested for {space.sweep.name}", **kept, "experiments": entries}
    )


def _dumped(content: dict[str, Any]) -> str:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=96)
