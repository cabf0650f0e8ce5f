"""``store status``: what is in the store by kind, the free space, and what pruning would free."""

from collections import Counter
from pathlib import Path, PurePath

from pydantic import Field

from gr00t_assets.core.files import FrozenModel, free_bytes
from gr00t_assets.core.processes import is_locked
from gr00t_assets.core.project import Store
from gr00t_assets.runs.checkpoint_layout import is_training_file, stored_checkpoints
from gr00t_assets.runs.retention.prune import manifest_status, plan_prune, run_directories
from gr00t_assets.runs.retention.removal import files_below, freed_bytes
from gr00t_assets.runs.retention.retention_rule import load_rule
from gr00t_assets.runs.retention.store_state import (
    CurrentState,
    folders,
    is_leftover_name,
    project_state,
)
from gr00t_assets.runs.run_directory import CHECKPOINTS, LOCK, MODEL

KINDS = (
    "datasets", "older dataset versions", "downloads", "frame caches", "older frame caches",
    "prepared frames", "checkpoints", "optimizer state", "models", "promoted models",
    "run records", "reports", "leftovers", "other",
)  # fmt: skip


class Share(FrozenModel):
    """How much of the store something is."""

    count: int = Field(description="Datasets, caches, runs, ...; of the last kinds files")
    bytes: int = Field(description="Of the disk; a file with several names counts once")


class Survey(FrozenModel):
    """What is in the store."""

    kinds: dict[str, Share]
    runs: dict[str, Share] = Field(
        description="Run directories: finished, pruned, unfinished, training, stale, unlisted"
    )


def survey(store: Store, current: CurrentState) -> Survey:
    """Count everything below the store's root; symbolic links are not followed."""
    kinds = _counted(store, current)
    states = ("finished", "pruned", "unfinished", "training", "stale", "unlisted")
    run_sizes: Counter[str] = Counter()
    seen: set[tuple[int, int]] = set()
    sizes: Counter[str] = Counter()
    for file in files_below(store.root):
        if file.identity in seen:
            continue
        seen.add(file.identity)
        place = file.path.relative_to(store.root)
        kind = _kind(place, current)
        sizes[kind] += file.size
        if kind in ("reports", "leftovers", "other", "downloads", "run records"):
            kinds[kind] += 1
        if place.parts[0] == "runs" and len(place.parts) > 3:
            run_sizes["/".join(place.parts[1:3])] += file.size
    runs: Counter[str] = Counter()
    of_state: Counter[str] = Counter()
    for run in run_directories(store):
        state = _state(run, current)
        runs[state] += 1
        of_state[state] += run_sizes[f"{run.parent.name}/{run.name}"]
    return Survey(
        kinds={kind: Share(count=kinds[kind], bytes=sizes[kind]) for kind in KINDS},
        runs={state: Share(count=runs[state], bytes=of_state[state]) for state in states},
    )


def _kind(place: PurePath, current: CurrentState) -> str:
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
            return "optimizer state" if is_training_file(place.name) else "checkpoints"
        return "models" if inner[2] == MODEL else "run records"
    return {"reports": "reports", "models": "promoted models"}.get(top, "other")


def _dataset_kind(name: str, version: str, current: CurrentState) -> str:
    if version.startswith(".download-"):
        return "downloads"
    return "older dataset versions" if current.is_old(name, version) else "datasets"


def _counted(store: Store, current: CurrentState) -> Counter[str]:
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
        checkpoints = stored_checkpoints(run)
        counts["checkpoints"] += sum(checkpoint.whole for checkpoint in checkpoints)
        counts["optimizer state"] += sum(
            bool(checkpoint.training_files) for checkpoint in checkpoints
        )
        counts["models"] += (run / MODEL).is_dir()
    return counts


def _state(run: Path, current: CurrentState) -> str:
    if is_locked(run / LOCK):
        return "training"
    state = current.state_of(run.parent.name, run.name)
    if state != "current":
        return state
    status = manifest_status(run)
    return status if status in ("finished", "pruned") else "unfinished"


class StoreStatus(FrozenModel):
    """What a person asks of a store before it is full."""

    root: str
    bytes: int = Field(description="Of the disk, of everything below the root")
    free_bytes: int = Field(description="Of the disk, for this user")
    survey: Survey
    prune: dict[str, int] = Field(description="Bytes that `store prune` would free, by kind")
    prune_bytes: int = Field(description="Of all kinds; a file with several names counts once")


def store_status(store: Store) -> StoreStatus:
    """Look through the whole store; nothing is changed.

    Raises:
        SweepError: A sweep file is wrong.
        StoreError: ``data/retention.yaml`` is wrong.
    """
    current = project_state(store)
    contents = survey(store, current)
    paths: dict[str, list[Path]] = {}
    for removal in plan_prune(store, current, load_rule()).removals:
        paths.setdefault(removal.kind, []).extend(removal.paths)
    return StoreStatus(
        root=str(store.root),
        bytes=sum(share.bytes for share in contents.kinds.values()),
        free_bytes=free_bytes(store.root),
        survey=contents,
        prune={kind: freed_bytes(of_kind) for kind, of_kind in paths.items()},
        prune_bytes=freed_bytes([path for of_kind in paths.values() for path in of_kind]),
    )
