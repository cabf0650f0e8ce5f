"""``store prune``: what would be deleted, what is in use, and the deletion under locks."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.files import inner_folders
from gr00t_assets.core.locks import LockRecord
from gr00t_assets.core.processes import is_locked, lock_file
from gr00t_assets.core.project import Store
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.retention.removal import Removal, RemovalKind, freed_bytes, leftovers, remove
from gr00t_assets.runs.retention.retention_rule import CurrentState, RetentionRule, surplus
from gr00t_assets.runs.run_directory import CHECKPOINTS, LOCK, MODEL, asked_elsewhere
from gr00t_assets.runs.spec import SPEC, TrainingSpec, load_spec


@dataclass(frozen=True)
class PrunePlan:
    """What is to go, and what is not.

    Attributes:
        removals: In the order of deletion; none is inside another.
        in_use: Path and reason of what would go if no process used it.
    """

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
        store: What is looked through.
        current: What of it is current.
        rule: What stays of current runs that are finished.
        stale: Checkpoints of stale runs go.
        models: Their models go as well.
        others: Runs of other clones, and of experiments that no sweep file has, are stale where
            this project does not ask for them; half-made files of other machines go as well.
    """
    stale_why = {"stale": "the run is stale"} if stale else {}
    if stale and others:
        stale_why["unlisted"] = "no sweep file has this experiment"
    removals: list[Removal] = []
    in_use: list[tuple[Path, str]] = []
    training: set[tuple[str, str]] = set()
    wanted: set[tuple[str, str]] = set()
    for directory in inner_folders(store.root / "runs"):
        if is_locked(directory / LOCK):
            if spec := _spec(directory):
                training |= {(dataset.name, dataset.version) for dataset in spec.datasets}
            in_use.append((directory, "a process trains in it"))
            continue
        if not others and asked_elsewhere(directory, store):
            if spec := _spec(directory):
                wanted |= {(dataset.name, dataset.version) for dataset in spec.datasets}
            continue
        state = current.state_of(directory.parent.name, directory.name)
        if state == "current":
            removals += _of_current(directory, current, rule)
        elif why := stale_why.get(state):
            removals += _of_stale(directory, why, models)
    for cache in inner_folders(store.root / "frame_caches"):
        dataset, version = cache.parent.name, cache.name
        if not current.is_old(dataset, version):
            continue
        lock = cache.parent / f".{version}.lock"
        if (dataset, version) in wanted:
            in_use.append((cache, "a run of another clone is trained on it"))
        elif reason := _cache_in_use(cache, lock, (dataset, version) in training):
            in_use.append((cache, reason))
        else:
            why = f"version {version} of {dataset} is no longer current"
            removals.append(Removal("frame cache", cache, why, lock=lock))
    decided = {removal.path for removal in removals if not removal.files}
    decided |= {path for path, _ in in_use}
    removals += [
        removal
        for removal in leftovers(store, others)
        if decided.isdisjoint((removal.path, *removal.path.parents))
    ]
    return PrunePlan(tuple(removals), tuple(in_use))


def _of_current(directory: Path, current: CurrentState, rule: RetentionRule) -> list[Removal]:
    spec = _spec(directory)
    if spec is None or manifest_status(directory) != "finished":
        return []
    limit = spec.experiment.hyperparameters.save_total_limit
    run = directory.parent.name, directory.name
    return surplus(directory, rule, limit, current.continued.get(run, ()))


def _of_stale(directory: Path, why: str, models: bool) -> Iterator[Removal]:
    parts: list[tuple[RemovalKind, str]] = [("checkpoint", CHECKPOINTS), ("model", MODEL)]
    for kind, name in parts if models else parts[:1]:
        if (path := directory / name).is_dir() and not path.is_symlink():
            yield Removal(kind, path, why, lock=directory / LOCK)


def manifest_status(directory: Path) -> str | None:
    """What a run's manifest says became of it; None without one that can be read."""
    try:
        manifest = load_manifest(directory)
    except (Gr00tAssetsError, OSError):
        return None
    return manifest.status if manifest else None


def _cache_in_use(cache: Path, lock: Path, in_training: bool) -> str | None:
    if in_training:
        return "a training uses it"
    if is_locked(lock):
        return "a process builds it"
    processes = ", ".join(map(str, _processes_using(cache)))
    return f"process {processes} has it open" if processes else None


def _spec(directory: Path) -> TrainingSpec | None:
    """The run's spec, unless it cannot be read or says that it is another run's."""
    try:
        spec = load_spec(directory / SPEC)
    except (Gr00tAssetsError, OSError):
        return None
    owner = spec.experiment.name, spec.config_hash
    return spec if owner == (directory.parent.name, directory.name) else None


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
        with ExitStack() as locks:
            try:
                refusal = _refusal(removal, locks)
                size = 0 if refusal else freed_bytes(removal.paths)
                if refusal is None:
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
    if removal.kind == "frame cache" and _processes_using(removal.path):
        return "a process has it open"
    if removal.of_finished and removal.lock and manifest_status(removal.lock.parent) != "finished":
        return "its run is not finished any more"
    return None


def _processes_using(folder: Path) -> list[int]:
    """Processes of this machine that have a file below a folder open or mapped.

    Only those are seen that this user may look into.
    """
    inside = f"{folder}{os.sep}"
    using = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            paths = [file.path for file in process.open_files()]
            if hasattr(process, "memory_maps"):
                paths += [mapped.path for mapped in process.memory_maps()]
            if any(path.startswith(inside) for path in paths):
                using.append(process.pid)
    return sorted(using)
