"""``store status``: what is in the store by kind, the free space, and what pruning would free."""

from collections import Counter
from pathlib import Path, PurePath

from pydantic import Field

from gr00t_assets.core.files import FrozenModel, free_bytes, inner_folders
from gr00t_assets.core.processes import is_locked
from gr00t_assets.core.project import Store
from gr00t_assets.runs.checkpoint_layout import is_training_file
from gr00t_assets.runs.retention.prune import manifest_status, plan_prune
from gr00t_assets.runs.retention.removal import files_below, freed_bytes, is_leftover_name
from gr00t_assets.runs.retention.retention_rule import CurrentState, load_rule, project_state
from gr00t_assets.runs.run_directory import CHECKPOINTS, LOCK, MODEL

_FOLDER = 3
"""Parts of a path below the store's root that name a dataset version, a run, a promoted model."""

KINDS: dict[str, int | None] = {
    "datasets": _FOLDER,
    "older dataset versions": _FOLDER,
    "downloads": None,
    "frame caches": _FOLDER,
    "older frame caches": _FOLDER,
    "prepared frames": _FOLDER + 1,
    "checkpoints": _FOLDER + 2,
    "optimizer state": _FOLDER + 2,
    "models": _FOLDER,
    "promoted models": _FOLDER,
    "run records": None,
    "reports": None,
    "leftovers": None,
    "other": None,
}
"""Parts of a file's path that name the thing which is counted; None where files are."""

RUN_STATES = ("finished", "pruned", "unfinished", "training", "stale", "unlisted")


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
    sizes: Counter[str] = Counter()
    run_sizes: Counter[tuple[str, ...]] = Counter()
    counted: dict[str, set[tuple[str, ...]]] = {kind: set() for kind in KINDS}
    seen: set[tuple[int, int]] = set()
    for file in files_below(store.root):
        place = file.path.relative_to(store.root)
        kind = _kind(place, current)
        counted[kind].add(place.parts[: KINDS[kind]])
        if file.identity not in seen:
            seen.add(file.identity)
            sizes[kind] += file.size
            run_sizes[place.parts[:_FOLDER]] += file.size
    runs: dict[str, list[int]] = {state: [] for state in RUN_STATES}
    for run in inner_folders(store.root / "runs"):
        runs[_state(run, current)].append(run_sizes[run.relative_to(store.root).parts])
    return Survey(
        kinds={kind: Share(count=len(of), bytes=sizes[kind]) for kind, of in counted.items()},
        runs={state: Share(count=len(of), bytes=sum(of)) for state, of in runs.items()},
    )


def _kind(place: PurePath, current: CurrentState) -> str:
    if any(is_leftover_name(part) for part in place.parts):
        return "leftovers"
    match place.parts:
        case "datasets", dataset, version, _, *_:
            if version.startswith(".download-"):
                return "downloads"
            return "older dataset versions" if current.is_old(dataset, version) else "datasets"
        case "frame_caches", dataset, version, *inner if inner:
            if current.is_old(dataset, version):
                return "older frame caches"
            prepared = any(part.startswith(".prepared-") for part in (version, *inner))
            return "prepared frames" if prepared else "frame caches"
        case "runs", _, _, part, *_:
            if part == CHECKPOINTS:
                return "optimizer state" if is_training_file(place.name) else "checkpoints"
            return "models" if part == MODEL else "run records"
    return {"reports": "reports", "models": "promoted models"}.get(place.parts[0], "other")


def _state(run: Path, current: CurrentState) -> str:
    if is_locked(run / LOCK):
        return "training"
    state, status = current.state_of(run.parent.name, run.name), manifest_status(run)
    if state != "current":
        return state
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
