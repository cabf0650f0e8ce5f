"""One sweep put into words: its table, what to be warned of, and runs that have no rank."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gr00t_assets.comparison.answers.verdict import verdict_in_short
from gr00t_assets.comparison.contrasts.store_runs import observe
from gr00t_assets.comparison.findings import (
    cautions,
    loss_words,
    names_in_words,
    settings_words,
)
from gr00t_assets.comparison.formatting import is_missing, shown
from gr00t_assets.comparison.run import STATUS_WORDS, Run
from gr00t_assets.comparison.standings import shown_runs
from gr00t_assets.comparison.table import comparison_table, table_rows
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.reporting.report.apart import ApartRow


@dataclass(frozen=True)
class Section:
    """Everything that the report says of one sweep by itself.

    Attributes:
        hypotheses: Each with the names of its experiments.
        common: Settings that all experiments share and that are not GR00T's defaults.
        unranked: Failed, unfinished, stale and missing runs.
        older_runs: Name, config hash and what was otherwise, of runs that others replaced.
    """

    name: str
    description: str
    headline: str
    cautions: list[str]
    counts: list[tuple[str, int]]
    unranked: list[ApartRow]
    hypotheses: list[tuple[str, str]]
    common: list[str]
    experiments: int
    older_runs: list[tuple[str, str, str]]
    table: pd.DataFrame


def sweep_section(sweep: Sweep, runs: Sequence[Run]) -> Section:
    """Put together the section of a sweep from the runs of its experiments."""
    table = comparison_table(runs)
    current = shown_runs(runs)
    shown_ids = {id(run) for run in current}
    rows = {row["experiment"]: row for row in table_rows(table)}
    return Section(
        name=sweep.name,
        description=sweep.description,
        headline=verdict_in_short(observe(runs)),
        cautions=cautions(runs),
        counts=list(Counter(run.status for run in current).items()),
        unranked=[
            _apart_row(run, rows[run.name]) for run in current if is_missing(rows[run.name]["rank"])
        ],
        hypotheses=_hypotheses(current),
        common=_common(current),
        experiments=len(current),
        older_runs=[
            (run.name, run.config_hash or "", "; ".join(run.changes) or "its spec cannot be read")
            for run in runs
            if run.stale and id(run) not in shown_ids
        ],
        table=table,
    )


def _apart_row(run: Run, row: dict[str, Any]) -> ApartRow:
    failure = run.manifest.failure if run.manifest and run.status == "failed" else None
    return ApartRow(
        name=run.name,
        status=run.status,
        words=STATUS_WORDS[run.status],
        progress=f"{run.steps:,} of {shown(row['max_steps'], 'max_steps')}" if run.steps else "",
        loss=loss_words(run),
        reason="" if is_missing(row["note"]) else str(row["note"]),
        failure=failure or "",
        command=run.command,
    )


def _hypotheses(runs: Sequence[Run]) -> list[tuple[str, str]]:
    names: dict[str, list[str]] = {}
    for run in runs:
        names.setdefault(run.experiment.hypothesis or "none written", []).append(run.name)
    return [(words, names_in_words(held, 8)) for words, held in names.items()]


def _common(runs: Sequence[Run]) -> list[str]:
    settings = [
        {f"{name} {value}" for name, value, default in settings_words(held) if not default}
        for held in dict.fromkeys(run.experiment.hyperparameters for run in runs)
    ]
    if not settings:
        return []
    shared = set.intersection(*settings)
    first = settings_words(runs[0].experiment.hyperparameters)
    return [text for name, value, _ in first if (text := f"{name} {value}") in shared]
