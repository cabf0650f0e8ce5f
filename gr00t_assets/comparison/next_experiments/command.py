"""``gr00t-assets sweep propose``: what to run next as a sweep file, and what was run already."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from gr00t_assets.comparison.contrasts.observation import Observation
from gr00t_assets.comparison.estimates import Speeds
from gr00t_assets.comparison.next_experiments.equal_run import (
    equal_run,
    nearest_run,
    proposal_settings,
)
from gr00t_assets.comparison.next_experiments.estimated import estimated
from gr00t_assets.comparison.next_experiments.proposals import proposals
from gr00t_assets.comparison.next_experiments.sweep_text import sweep_text, with_references
from gr00t_assets.comparison.next_experiments.words import listed, named_changes
from gr00t_assets.core.project import Store
from gr00t_assets.core.yaml_files import shown_path
from gr00t_assets.datasets.catalog import load_catalog
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.new_file import taken_names, write_sweep
from gr00t_assets.experiments.sweeps import find_sweep, load_sweep, load_sweeps

DEFAULT_NAME = "next"
"""What a proposed sweep is called where no name is asked for."""


class Known(NamedTuple):
    """Runs, and the experiments behind those of the store, by run id."""

    observations: list[Observation]
    experiments: dict[str, Experiment]


def propose(
    runs: Path | None,
    sweep: str | None,
    question: str | None,
    out: str | None,
    references: bool = False,
) -> str:
    """The text of a sweep file that settles what is open; also written where ``out`` names it.

    Args:
        runs: A table of runs; those of the store where left out.
        sweep: Only the runs of this sweep.
        question: Only this factor, by its name or another word for it.
        out: Name of the sweep file to write; one that is there is never overwritten.
        references: Have the runs that the new ones are held against made as well.

    Raises:
        ComparisonError: The table is wrong, there is no such factor, or nothing is to be proposed.
        SweepError: There is no such sweep, or the file cannot be written as asked.
    """
    from gr00t_assets.comparison.contrasts.factors import factor_named

    factor = factor_named(question) if question is not None else None
    known = _known(runs, sweep)
    speeds = Speeds(Store.from_environment())
    found = estimated(proposals(known.observations, factor), known.experiments, speeds)
    if references:
        found = estimated(with_references(found), known.experiments, speeds)
    if out is not None:
        file = write_sweep(out, lambda taken: sweep_text(out, found, known.experiments, taken))
        sys.stderr.write(f"written: {shown_path(file)}\n")
        return file.read_text(encoding="utf-8")
    return sweep_text(DEFAULT_NAME, found, known.experiments, taken_names())


def check(file: Path, runs: Path | None) -> int:
    """Print for every experiment of a sweep file how far it is from the nearest run.

    Returns:
        Exit code: 1 where an experiment is equal to a run that exists, else 0.
    """
    sweep = load_sweep(file, load_catalog())
    known = _known(runs, None)
    refused = 0
    for experiment in sweep.experiments:
        others = [run for run in known.observations if not _own(run, experiment)]
        line, equal = verdict(experiment, others)
        refused += equal
        sys.stdout.write(f"{experiment.name}: {line}\n")
    return 1 if refused else 0


def verdict(experiment: Experiment, observations: Sequence[Observation]) -> tuple[str, bool]:
    """What a proposed experiment is beside the runs, in a sentence, and whether it is one of them.

    Example:
        "changes 4 factors against very_low_lr (ch7f65x3): batch size 1 to 8, ..."
    """
    settings = proposal_settings(experiment)
    equal = equal_run(settings, observations)
    if equal is not None:
        loss = f", loss {equal.loss.mean:.4g}" if equal.loss else ""
        text = f"refused: this is {equal.name} ({equal.run_id}), which is {equal.status}{loss}"
        return text, True
    nearest = nearest_run(settings, observations)
    if nearest is None:
        return "no finished run to hold it against", False
    changes = [change for change in nearest.changes if change.material and not change.implied]
    count = f"{len(changes)} factor{'' if len(changes) == 1 else 's'}"
    named = listed([named_changes(change) for change in changes])
    run = nearest.observation
    return f"changes {count} against {run.name} ({run.run_id}): {named}", False


def _known(table: Path | None, sweep: str | None) -> Known:
    if table is not None:
        from gr00t_assets.comparison.tables.read_table import read_table

        found = read_table(table)
        return Known([run for run in found if sweep is None or run.sweep == sweep], {})
    from gr00t_assets.comparison.contrasts.store_runs import observe
    from gr00t_assets.comparison.runs import read_runs

    sweeps = load_sweeps()
    chosen = [find_sweep(sweep, sweeps)] if sweep is not None else list(sweeps.values())
    experiments = [item for one in chosen for item in one.experiments]
    runs = [
        run for run in read_runs(experiments, Store.from_environment()) if run.status != "missing"
    ]
    observations = observe(runs)
    behind = {
        seen.run_id: run.spec.experiment if run.spec else run.experiment
        for seen, run in zip(observations, runs, strict=True)
    }
    return Known(observations, behind)


def _own(run: Observation, experiment: Experiment) -> bool:
    """Whether a run is the experiment's own, which it may well be equal to."""
    return run.source == "store" and run.name == experiment.name
