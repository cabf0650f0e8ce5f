"""``store prune``: what would be deleted, what is in use, and the deletion under locks."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from gr00t_assets.core.errors import Gr00tAssetsError, TrainingError
from gr00t_assets.core.processes import is_locked, try_lock
from gr00t_assets.core.project import Store
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.retention.removal import Removal, freed_bytes
from gr00t_assets.runs.retention.retention_rule import RetentionRule, surplus
from gr00t_assets.runs.retention.store_state import CurrentState, folders, leftovers
from gr00t_assets.runs.run_directory import CHECKPOINTS, LOCK, MODEL, run_lock
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
    unlisted: bool = False,
) -> PrunePlan:
    """Look through the store; nothing is changed.

    Args:
        store: What is looked through.
        current: What of it is current.
        rule: What stays of runs that are.
        stale: Whether checkpoints of stale runs go.
        models: Whether their models go as well.
        unlisted: Whether runs of experiments that no sweep file has are stale too.
    """
    stale_why = {"stale": "the run is stale"} if stale else {}
    if stale and unlisted:
        stale_why["unlisted"] = "no sweep file has this experiment"
    removals: list[Removal] = []
    in_use: list[tuple[Path, str]] = []
    training: set[tuple[str, str]] = set()
    for directory in run_directories(store):
        if is_locked(directory / LOCK):
            if spec := _spec(directory):
                training |= {(dataset.name, dataset.version) for dataset in spec.datasets}
            in_use.append((directory, "a process trains in it"))
            continue
        state = current.state_of(directory.parent.name, directory.name)
        if state == "current":
            removals += _of_current(directory, current, rule)
        elif why := stale_why.get(state):
            removals += _of_stale(directory, why, models)
    caches = [
        cache for dataset in folders(store.root / "frame_caches") for cache in folders(dataset)
    ]
    for cache in caches:
        if not current.is_old(cache.parent.name, cache.name):
            continue
        reason = _cache_in_use(cache, training)
        if reason:
            in_use.append((cache, reason))
            continue
        lock = cache.parent / f".{cache.name}.lock"
        why = f"version {cache.name} of {cache.parent.name} is no longer current"
        removals.append(Removal("frame cache", cache, why, lock=lock))
    decided = {removal.path for removal in removals if not removal.files}
    decided |= {path for path, _ in in_use}
    removals += [
        removal
        for removal in leftovers(store)
        if decided.isdisjoint((removal.path, *removal.path.parents))
    ]
    return PrunePlan(tuple(removals), tuple(in_use))


def run_directories(store: Store) -> list[Path]:
    """Every run directory of the store; symbolic links are passed over."""
    return [run for experiment in folders(store.root / "runs") for run in folders(experiment)]


def _of_current(directory: Path, current: CurrentState, rule: RetentionRule) -> list[Removal]:
    spec = _spec(directory)
    if spec is None or manifest_status(directory) != "finished":
        return []
    limit = spec.experiment.hyperparameters.save_total_limit
    run = directory.parent.name, directory.name
    return surplus(directory, rule, limit, current.continued.get(run, ()))


def _of_stale(directory: Path, why: str, models: bool) -> Iterator[Removal]:
    checkpoints, model = directory / CHECKPOINTS, directory / MODEL
    if checkpoints.is_dir() and not checkpoints.is_symlink():
        yield Removal("checkpoint", checkpoints, why, lock=directory)
    if models and model.is_dir() and not model.is_symlink():
        yield Removal("model", model, why, lock=directory)


def manifest_status(directory: Path) -> str | None:
    """What a run's manifest says became of it; None without one that can be read."""
    try:
        manifest = load_manifest(directory)
    except (Gr00tAssetsError, OSError):
        return None
    return manifest.status if manifest else None


def _cache_in_use(cache: Path, training: set[tuple[str, str]]) -> str | None:
    if (cache.parent.name, cache.name) in training:
        return "a training uses it"
    if is_locked(cache.parent / f".{cache.name}.lock"):
        return "a process builds it"
    processes = _processes_using(cache)
    return f"process {', '.join(map(str, processes))} has it open" if processes else None


def _spec(directory: Path) -> TrainingSpec | None:
    """The run's spec, unless it cannot be read or says that it is another run's."""
    try:
        spec = load_spec(directory / SPEC)
    except (Gr00tAssetsError, OSError):
        return None
    owner = spec.experiment.name, spec.config_hash
    return spec if owner == (directory.parent.name, directory.name) else None


@dataclass(frozen=True)
class RemovalResult:
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
    return (_execute(removal, store.root) for removal in plan.removals)


def _execute(removal: Removal, root: Path) -> RemovalResult:
    with _exclusive_use(removal.lock) as free:
        if not free:
            return RemovalResult(removal, 0, "a process uses it")
        if removal.kind == "frame cache" and _processes_using(removal.path):
            return RemovalResult(removal, 0, "a process has it open")
        if removal.of_finished and removal.lock and manifest_status(removal.lock) != "finished":
            return RemovalResult(removal, 0, "its run is not finished any more")
        size = freed_bytes(removal.paths)
        try:
            removal.execute(root)
        except Gr00tAssetsError as error:
            return RemovalResult(removal, 0, error.problem)
    return RemovalResult(removal, size)


@contextmanager
def _exclusive_use(lock: Path | None) -> Iterator[bool]:
    """Hold a run directory, or a lock file, for the block; False where another process has it."""
    free = True
    with ExitStack() as stack:
        try:
            if lock is not None and lock.is_dir():
                stack.enter_context(run_lock(lock))
            elif lock is not None:
                descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
                stack.callback(os.close, descriptor)
                free = try_lock(descriptor)
        except (TrainingError, OSError):
            free = False
        yield free


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
