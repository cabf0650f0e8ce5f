"""What is in the store, by kind: how many, and how many bytes of the disk."""

from collections import Counter
from pathlib import Path, PurePath

from pydantic import BaseModel, ConfigDict, Field

from gr00t_assets.core.file_locks import is_locked
from gr00t_assets.core.project import Store
from gr00t_assets.runs.retention.checkpoints import is_optimizer_file, stored_checkpoints
from gr00t_assets.runs.retention.current import Current, folders
from gr00t_assets.runs.retention.disk_use import files_below
from gr00t_assets.runs.retention.leftovers import is_leftover_name
from gr00t_assets.runs.retention.plan import manifest_status, run_directories
from gr00t_assets.runs.run_directory import CHECKPOINTS, MODEL
from gr00t_assets.runs.run_lock import LOCK

KINDS = (
    "datasets",
    "older dataset versions",
    "downloads",
    "frame caches",
    "older frame caches",
    "prepared frames",
    "checkpoints",
    "optimizer state",
    "models",
    "promoted models",
    "run records",
    "reports",
    "leftovers",
    "other",
)


class Share(BaseModel):
    """How much of the store something is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(description="Datasets, caches, runs, ...; of the last kinds files")
    bytes: int = Field(description="Of the disk; a file with several names counts once")


class Survey(BaseModel):
    """What is in the store."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kinds: dict[str, Share]
    runs: dict[str, Share] = Field(
        description="Run directories: finished, pruned, unfinished, training, stale, unlisted"
    )


def survey(store: Store, current: Current) -> Survey:
    """Count everything below the store's root; symbolic links are not followed.

    Args:
        store: The store.
        current: What is current in it.
    """
    sizes: Counter[str] = Counter()
    counts = _counts(store, current)
    run_sizes: Counter[tuple[str, str]] = Counter()
    seen: set[tuple[int, int]] = set()
    for file in files_below(store.root):
        if file.identity in seen:
            continue
        seen.add(file.identity)
        place = file.path.relative_to(store.root)
        kind = _kind(place, current)
        sizes[kind] += file.size
        if kind in ("reports", "leftovers", "other", "downloads", "run records"):
            counts[kind] += 1
        if place.parts[0] == "runs" and len(place.parts) > 3:
            run_sizes[place.parts[1], place.parts[2]] += file.size
    return Survey(
        kinds={kind: Share(count=counts[kind], bytes=sizes[kind]) for kind in KINDS},
        runs=_runs(store, current, run_sizes),
    )


def _kind(place: PurePath, current: Current) -> str:
    top, *inner = place.parts
    if any(is_leftover_name(part) for part in place.parts):
        return "leftovers"
    if top == "datasets" and len(inner) > 2:
        return _dataset_kind(inner[0], inner[1], current)
    if top == "frame_caches" and len(inner) > 2:
        if current.is_old(inner[0], inner[1]):
            return "older frame caches"
        prepared = any(part.startswith(".prepared-") for part in inner)
        return "prepared frames" if prepared else "frame caches"
    if top == "runs" and len(inner) > 2:
        if inner[2] == CHECKPOINTS:
            return "optimizer state" if is_optimizer_file(place.name) else "checkpoints"
        return "models" if inner[2] == MODEL else "run records"
    return {"reports": "reports", "models": "promoted models"}.get(top, "other")


def _dataset_kind(name: str, version: str, current: Current) -> str:
    if version.startswith(".download-"):
        return "downloads"
    return "older dataset versions" if current.is_old(name, version) else "datasets"


def _counts(store: Store, current: Current) -> Counter[str]:
    counts: Counter[str] = Counter()
    for dataset in folders(store.root / "datasets"):
        for version in folders(dataset):
            counts[_dataset_kind(dataset.name, version.name, current)] += 1
    for dataset in folders(store.root / "frame_caches"):
        for cache in folders(dataset):
            old = current.is_old(dataset.name, cache.name)
            counts["older frame caches" if old else "frame caches"] += 1
            counts["prepared frames"] += 0 if old else sum(1 for _ in cache.rglob(".prepared-*"))
    for experiment in folders(store.root / "models"):
        counts["promoted models"] += len(folders(experiment))
    for run in run_directories(store):
        found = stored_checkpoints(run)
        counts["checkpoints"] += sum(checkpoint.whole for checkpoint in found)
        counts["optimizer state"] += sum(bool(checkpoint.optimizer_files) for checkpoint in found)
        counts["models"] += (run / MODEL).is_dir()
    return counts


def _runs(store: Store, current: Current, sizes: Counter[tuple[str, str]]) -> dict[str, Share]:
    counts: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for run in run_directories(store):
        state = _state(run, current)
        counts[state] += 1
        total[state] += sizes[run.parent.name, run.name]
    states = ("finished", "pruned", "unfinished", "training", "stale", "unlisted")
    return {state: Share(count=counts[state], bytes=total[state]) for state in states}


def _state(run: Path, current: Current) -> str:
    if is_locked(run / LOCK):
        return "training"
    standing = current.standing(run.parent.name, run.name)
    if standing != "current":
        return standing
    status = manifest_status(run)
    return status if status in ("finished", "pruned") else "unfinished"
