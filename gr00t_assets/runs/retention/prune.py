"""``store status``: what is in the store by kind; ``store prune``: what goes, under locks."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path, PurePath
from typing import NamedTuple

from pydantic import Field

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.files import FrozenModel, free_bytes, inner_folders
from gr00t_assets.core.locks import LockRecord
from gr00t_assets.core.processes import is_locked, lock_file, processes_using
from gr00t_assets.core.project import Store
from gr00t_assets.runs.checkpoint_layout import is_training_file
from gr00t_assets.runs.manifest import readable_manifest
from gr00t_assets.runs.retention.removal import (
    Removal,
    files_below,
    freed_bytes,
    is_leftover_name,
    leftovers,
    remove,
)
from gr00t_assets.runs.retention.retention_rule import (
    CurrentState,
    RetentionRule,
    load_rule,
    project_state,
    surplus,
)
from gr00t_assets.runs.run_directory import CHECKPOINTS, LOCK, MODEL, asked_elsewhere
from gr00t_assets.runs.spec import SPEC, TrainingSpec, load_spec

KINDS = {
    "datasets": 3, "older dataset versions": 3, "downloads": None, "frame caches": 3,
    "older frame caches": 3, "prepared frames": 4, "checkpoints": 5, "optimizer state": 5,
    "models": 3, "promoted models": 3, "run records": None, "reports": None, "leftovers": None,
    "other": None,
}  # fmt: skip
"""Parts of a file's path below the store's root that name the thing which is counted, such as
``runs/EXPERIMENT/CONFIG_HASH``; None where files are."""


class PrunePlan(NamedTuple):
    """What goes, in order, none inside another; path and reason of what would if nobody used it."""

    removals: tuple[Removal, ...]
    in_use: tuple[tuple[Path, str], ...]


def plan_prune(
    store: Store,
    current: CurrentState,
    rule: RetentionRule,
    *,
    stale: bool = True,
    models: bool = False,
    others: bool = False,
) -> PrunePlan:
    """Look through the store; nothing is changed.

    Other clones of the project may share the store, with sweep files that are not known here. Their
    runs and the frames of these stay, unless ``others`` says that all of it is looked at.

    Args:
        stale: Checkpoints of stale runs go.
        models: Their models go as well.
        others: Runs of other clones, and of experiments that no sweep file has, are stale where
            this project does not ask for them; half-made files of other machines go as well.
    """
    stale_why = {"stale": "the run is stale"}
    if others:
        stale_why["unlisted"] = "no sweep file has this experiment"
    removals: list[Removal] = []
    in_use: list[tuple[Path, str]] = []
    used: dict[tuple[str, str], str] = {}
    for directory in inner_folders(store.root / "runs"):
        spec, lock = _spec(directory), directory / LOCK
        data = [(dataset.name, dataset.version) for dataset in spec.datasets] if spec else []
        if is_locked(lock):
            used = dict.fromkeys(data, "a training uses it") | used
            in_use.append((directory, "a process trains in it"))
            continue
        if not others and asked_elsewhere(directory, store):
            used |= dict.fromkeys(data, "a run of another clone is trained on it")
            continue
        run = directory.parent.name, directory.name
        state = current.state_of(*run)
        if state == "current" and spec and _is_finished(directory):
            limit = spec.experiment.hyperparameters.save_total_limit
            removals += surplus(directory, rule, limit, current.continued.get(run, ()))
        elif stale and (why := stale_why.get(state)):
            paths = [directory / name for name in (CHECKPOINTS, MODEL)[: 2 if models else 1]]
            removals += [
                Removal("model" if path.name == MODEL else "checkpoint", path, why, lock=lock)
                for path in paths
                if path.is_dir() and not path.is_symlink()
            ]
    for cache in inner_folders(store.root / "frame_caches"):
        dataset, version = cache.parent.name, cache.name
        lock = cache.parent / f".{version}.lock"
        if not current.is_old(dataset, version):
            continue
        if reason := used.get((dataset, version)) or _cache_in_use(cache, lock):
            in_use.append((cache, reason))
        else:
            why = f"version {version} of {dataset} is no longer current"
            removals.append(Removal("frame cache", cache, why, lock=lock))
    decided = {removal.path for removal in removals if not removal.files} | dict(in_use).keys()
    removals += [
        removal
        for removal in leftovers(store, others)
        if decided.isdisjoint((removal.path, *removal.path.parents))
    ]
    return PrunePlan(tuple(removals), tuple(in_use))


def _is_finished(run: Path) -> bool:
    manifest = readable_manifest(run)
    return manifest is not None and manifest.status == "finished"


def _cache_in_use(cache: Path, lock: Path) -> str | None:
    if is_locked(lock):
        return "a process builds it"
    processes = ", ".join(map(str, processes_using(cache)))
    return f"process {processes} has it open" if processes else None


def _spec(directory: Path) -> TrainingSpec | None:
    """The run's spec, unless it cannot be read or says that it is another run's."""
    with suppress(Gr00tAssetsError, OSError):
        spec = load_spec(directory / SPEC)
        if (spec.experiment.name, spec.config_hash) == (directory.parent.name, directory.name):
            return spec
    return None


class RemovalResult(NamedTuple):
    """What became of one removal: the bytes freed, or why it is still there."""

    removal: Removal
    size: int
    refusal: str | None = None


def execute_plan(plan: PrunePlan, store: Store) -> Iterator[RemovalResult]:
    """Delete what a plan names, one after the other while the results are taken.

    What a process has begun to use since is left alone, and so is a run that is no longer finished
    and of which only surplus was to go. A kill at any instant leaves nothing that looks complete
    and is not.
    """
    for removal in plan.removals:
        size = 0
        with ExitStack() as locks:
            try:
                if (refusal := _refusal(removal, locks)) is None:
                    size = freed_bytes(removal.paths)
                    remove(store.root, removal.path, removal.files)
            except Gr00tAssetsError as error:
                size, refusal = 0, error.problem
        yield RemovalResult(removal, size, refusal)


def _refusal(removal: Removal, locks: ExitStack) -> str | None:
    """Why something is not deleted any more; else its lock is held until ``locks`` ends."""
    try:
        if removal.lock:
            if (descriptor := lock_file(removal.lock, locks)) is None:
                return "a process uses it"
            LockRecord.of_this_process().write(descriptor)
    except OSError as error:
        return f"its lock cannot be had: {error.strerror}"
    if removal.kind == "frame cache" and processes_using(removal.path):
        return "a process has it open"
    if removal.of_finished and removal.lock and not _is_finished(removal.lock.parent):
        return "its run is not finished any more"
    return None


class Share(FrozenModel):
    """How much of the store something is."""

    count: int = Field(description="Datasets, caches, runs, ...; of the last kinds files")
    bytes: int = Field(description="Of the disk; a file with several names counts once")


class Survey(FrozenModel):
    """What is in the store."""

    kinds: dict[str, Share]
    runs: dict[str, Share] = Field(description="Run directories by state: training, stale, ...")


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
            run_sizes[place.parts[:3]] += file.size
    states = ("finished", "pruned", "unfinished", "training", "stale", "unlisted")
    runs: dict[str, list[int]] = {state: [] for state in states}
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
    if (state := current.state_of(run.parent.name, run.name)) != "current":
        return state
    if (manifest := readable_manifest(run)) and manifest.status in ("finished", "pruned"):
        return manifest.status
    return "unfinished"


class StoreStatus(FrozenModel):
    """What a person asks of a store before it is full."""

    root: str
    bytes: int = Field(description="Of the disk, of everything below the root")
    free_bytes: int = Field(description="Of the disk, for this user")
    survey: Survey
    prune: dict[str, int] = Field(description="Bytes that `store prune` would free, by kind")
    prune_bytes: int = Field(description="Of all kinds; a file with several names counts once")


def store_status(store: Store) -> StoreStatus:
    """Look through the whole store, and change nothing; raises as ``load_rule``."""
    current = project_state(store)
    contents = survey(store, current)
    paths: defaultdict[str, list[Path]] = defaultdict(list)
    for removal in plan_prune(store, current, load_rule()).removals:
        paths[removal.kind] += removal.paths
    return StoreStatus(
        root=str(store.root),
        bytes=sum(share.bytes for share in contents.kinds.values()),
        free_bytes=free_bytes(store.root),
        survey=contents,
        prune={kind: freed_bytes(of_kind) for kind, of_kind in paths.items()},
        prune_bytes=freed_bytes([path for of_kind in paths.values() for path in of_kind]),
    )
