"""Every run that a project knows: its store's, those of its journal, and those of W&B."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gr00t_assets.comparison.curves import Loss, loss_curve
from gr00t_assets.comparison.run import Run, samples_per_step, trainable_parts
from gr00t_assets.comparison.tables.runs_table import frame_state, known_frames, read_table
from gr00t_assets.comparison.tables.wandb_import import (
    WandbRun,
    imports_folder,
    load_wandb_runs,
    run_of_wandb,
)
from gr00t_assets.core.project import Store, data_files
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.experiments.project_files import read_project
from gr00t_assets.runs.manifest import Manifest
from gr00t_assets.runs.stored_run import StoredRun, read_runs
from gr00t_assets.trainers.wandb_run import RECORD, read_record

JOURNAL = "journal/runs.csv"  # Runs made before there was a store, in the project's ``data``
_LONGEST_NOTE = 4000  # Characters of a failure that are shown


def chosen_runs(
    table: Path | None = None, sweep_names: Sequence[str] = (), imported: bool = False
) -> list[Run]:
    """The runs of a table; without one the store's, and without names the ``imported`` ones, too.

    Raises:
        SweepError: There is no sweep of a name, or its file is wrong.
        ComparisonError: A table or an import cannot be read.
    """
    if table is not None:
        return [run for run in read_table(table) if not sweep_names or run.sweep in sweep_names]
    store, sweeps = Store.from_environment(), read_project().sweeps
    chosen = [sweeps[name] for name in sweep_names] or list(sweeps.values())
    experiments = [experiment for sweep in chosen for experiment in sweep.experiments]
    runs = from_store(read_runs(experiments, store))
    return [*runs, *imported_runs(store)] if imported and not sweep_names else runs


def from_store(stored: Sequence[StoredRun]) -> list[Run]:
    """Runs of the store in their order, without missing ones; where two share an id, with names."""
    runs = [from_stored_run(run) for run in stored if run.status != "missing"]
    ids = Counter(run.run_id for run in runs)
    return [x if ids[x.run_id] == 1 else replace(x, run_id=f"{x.name}/{x.run_id}") for x in runs]


def from_stored_run(stored: StoredRun) -> Run:
    """One run of the store, also a missing one; its id is its config hash."""
    manifest, settings = stored.manifest, stored.hyperparameters
    of_manifest = ("dataset_frames", "started_at", "samples_per_second", "peak_memory_bytes")
    fields = {name: getattr(manifest, name) for name in of_manifest} if manifest else {}
    experiment = stored.spec.experiment if stored.stale and stored.spec else stored.experiment
    curve, latest = loss_curve(stored.metrics), manifest or stored.metrics.last
    unranked = stored.status == "finished" and not stored.rankable
    return Run(
        run_id=stored.config_hash or stored.name,
        name=stored.name,
        source="store",
        status="unfinished" if unranked else stored.status,
        settings=settings.model_dump() if settings else {},
        data=_data(stored),
        frames="verified" if manifest and manifest.frames_verified else "not verified",
        steps=stored.steps,
        max_steps=settings.max_steps if settings else (manifest.max_steps if manifest else None),
        samples_seen=stored.samples_seen,
        loss=Loss.of_window(stored.final_loss),
        first_loss=Loss.of_window(stored.first_loss),
        curve=curve if len(curve) else None,
        sweep=experiment.sweep,
        hypothesis=experiment.hypothesis,
        wall_seconds=latest.wall_seconds if latest else None,
        gpu_hours=manifest.gpu_seconds / 3600 if manifest else None,
        failed_checks=stored.failed_checks,
        note=(manifest.failure or "")[:_LONGEST_NOTE] if manifest else "",
        problems=stored.problems,
        continued_steps=experiment.continued_steps,
        stored=stored,
        **fields,
    )


def manifest_class(manifest: Manifest, settings: Hyperparameters) -> dict[str, str]:
    """The comparability of a run that has a manifest, see ``Run.comparability``."""
    parts = trainable_parts(settings.model_dump())
    frames = "verified" if manifest.frames_verified else "not verified"
    return {**_manifest_data(manifest), "trainable parts": parts, "frames": frames}


def imported_runs(store: Store, journal: Path | None = None) -> list[Run]:
    """The journal's runs and those of W&B; one that is in both has the best of either.

    Runs of W&B that this store logged itself (``wandb.json`` of a run directory has the id) are
    left out. The journal is the project's where left out, with that of the examples.

    Raises:
        ComparisonError: The table or an import cannot be read.
    """
    frames = known_frames(store)
    tables = data_files(JOURNAL) if journal is None else [journal]
    rows = [row for table in tables for row in read_table(table, frames)]
    records = (read_record(file.parent) for file in (store.root / "runs").glob(f"*/*/{RECORD}"))
    own = {record.id for record in records if record}
    imported = (run_of_wandb(run, frames) for run in read_wandb(store) if run.run_id not in own)
    by_id = {run.run_id: run for run in imported}
    matched = [(row, by_id.pop(row.run_id, None)) for row in rows]
    merged = [_merged(row, run, frames) if run else row for row, run in matched]
    return [*merged, *by_id.values()]


def read_wandb(store: Store) -> list[WandbRun]:
    """Every imported W&B run, once; of two imports of one run the newer file has it."""
    imports = imports_folder(store).glob("[!.]*.parquet")
    files = sorted(imports, key=lambda file: file.stat().st_mtime)
    return list({run.run_id: run for file in files for run in load_wandb_runs(file)}.values())


def _data(stored: StoredRun) -> dict[str, str]:
    """What the run's manifest says; of one without a manifest, what its spec says."""
    if stored.manifest:
        return _manifest_data(stored.manifest)
    experiment = stored.spec.experiment if stored.spec else stored.experiment
    base = _with_revision(experiment.base_model, experiment.base_model_revision)
    data = {"dataset": experiment.dataset_name}
    if stored.spec:
        data["dataset version"] = stored.spec.data.version
        data["modality config"] = stored.spec.data.modality_hash
    return data | {"base model": base, "trainer": experiment.trainer}


def _manifest_data(manifest: Manifest) -> dict[str, str]:
    return {
        "dataset": manifest.dataset,
        "dataset version": manifest.dataset_version,
        "modality config": manifest.modality_hash,
        "base model": _with_revision(manifest.base_model, manifest.base_model_revision),
        "trainer": f"{manifest.trainer} {manifest.trainer_revision}",
    }


def _with_revision(base_model: str, revision: str | None) -> str:
    return f"{base_model} at {revision[:12]}" if revision else base_model


def _merged(row: Run, run: Run, frames: Mapping[str, int]) -> Run:
    """A run of W&B in the class that the table puts it in, with what only the table knows."""
    settings = {**row.settings, **run.settings}
    backend, verified = settings.get("video_backend"), row.frames == "verified"
    of_row = ("name", "data", "hypothesis", "peak_memory_bytes")
    measured = run if run.loss else row
    seen, per_step = measured.samples_seen, samples_per_step(settings)
    if seen is None and measured.steps is not None and per_step is not None:
        seen = measured.steps * per_step
    return replace(
        run,
        settings=settings,
        frames=frame_state(backend, row.started_at or run.started_at, verified),
        max_steps=run.max_steps or row.max_steps,
        dataset_frames=row.dataset_frames or frames.get(row.dataset),
        note=row.note or run.note,
        problems=tuple(text for text in run.problems if "runs.csv" not in text),
        loss=measured.loss,
        steps=measured.steps,
        samples_seen=seen,
        **{name: getattr(row, name) for name in of_row},
    )
