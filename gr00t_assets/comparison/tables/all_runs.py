"""Every run that a project knows: its store's, those of its journal, and those of W&B."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gr00t_assets.comparison.contrasts.observation import Observation
from gr00t_assets.comparison.contrasts.store_runs import observe
from gr00t_assets.comparison.runs import Run, read_runs
from gr00t_assets.comparison.tables.frame_state import frame_state
from gr00t_assets.comparison.tables.known_datasets import known_frames
from gr00t_assets.comparison.tables.read_table import read_table
from gr00t_assets.comparison.tables.wandb_record import (
    WandbRun,
    imports_folder,
    load_wandb_runs,
)
from gr00t_assets.comparison.tables.wandb_runs import wandb_observation
from gr00t_assets.core.project import Store, project_root
from gr00t_assets.experiments.sweeps import Sweep, load_sweeps
from gr00t_assets.trainers.wandb_settings import RECORD, read_record

JOURNAL = Path("data/journal/runs.csv")
"""Runs that were made before there was a store, in the project."""


def all_runs(store: Store, sweeps: Iterable[Sweep] | None = None) -> list[Observation]:
    """The store's runs, and after them the imported ones, each run once.

    Args:
        store: Where the runs and the imports are.
        sweeps: Whose experiments are looked for; every sweep of the project where left out.

    Raises:
        SweepError: A sweep file is wrong, where ``sweeps`` is left out.
        ComparisonError: The journal's table or an import cannot be read.
    """
    chosen = load_sweeps().values() if sweeps is None else sweeps
    experiments = [experiment for sweep in chosen for experiment in sweep.experiments]
    return with_imported(read_runs(experiments, store), store)


def with_imported(runs: Sequence[Run], store: Store) -> list[Observation]:
    """The given runs of a store with the imported ones after them."""
    return [*observe(runs), *imported_runs(store)]


def imported_runs(store: Store, journal: Path | None = None) -> list[Observation]:
    """The journal's runs and those of W&B; one that is in both has the best of either.

    Runs of W&B that this store logged itself are left out: the store has them with every loss.

    Args:
        store: Where imports are, and run directories, whose ``wandb.json`` have the ids.
        journal: The table; ``data/journal/runs.csv`` of the project where left out.

    Raises:
        ComparisonError: The table or an import cannot be read.
    """
    frames = known_frames(store)
    path = journal or project_root() / JOURNAL
    table = read_table(path, frames) if path.is_file() else []
    own = own_ids(store)
    found = [run for run in read_wandb(store) if run.run_id not in own]
    by_id = {run.run_id: wandb_observation(run, frames) for run in found}
    merged = [
        _merged(run, by_id.pop(run.run_id), frames) if run.run_id in by_id else run for run in table
    ]
    return [*merged, *by_id.values()]


def read_wandb(store: Store) -> list[WandbRun]:
    """Every imported W&B run, once; of two imports of one run the newer file has it.

    Raises:
        ComparisonError: An import cannot be read.
    """
    files = sorted(
        imports_folder(store).glob("[!.]*.parquet"), key=lambda file: file.stat().st_mtime
    )
    return list({run.run_id: run for file in files for run in load_wandb_runs(file)}.values())


def own_ids(store: Store) -> frozenset[str]:
    """W&B ids of the store's own runs."""
    found = (read_record(path.parent) for path in (store.root / "runs").glob(f"*/*/{RECORD}"))
    return frozenset(record.id for record in found if record)


def _merged(row: Observation, run: Observation, frames: Mapping[str, int]) -> Observation:
    """A run of W&B in the class that the table puts it in, with what only the table knows."""
    settings = {**row.settings, **run.settings}
    verified = True if row.frames == "verified" else None
    return replace(
        run,
        name=row.name,
        settings=settings,
        data=row.data,
        frames=frame_state(settings.get("video_backend"), row.started_at, verified),
        max_steps=run.max_steps or row.max_steps,
        dataset_frames=row.dataset_frames or frames.get(row.dataset),
        loss=run.loss or row.loss,
        steps=run.steps if run.loss else row.steps,
        samples_seen=run.samples_seen if run.loss else row.samples_seen,
        hypothesis=row.hypothesis,
        peak_memory_bytes=row.peak_memory_bytes,
        note=row.note or run.note,
        problems=tuple(text for text in run.problems if "runs.csv" not in text),
    )
