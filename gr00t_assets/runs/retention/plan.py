"""What ``store prune`` would delete, and what it leaves alone because somebody uses it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.file_locks import is_locked
from gr00t_assets.core.project import Store
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.retention.current import Current, folders
from gr00t_assets.runs.retention.in_use import users
from gr00t_assets.runs.retention.leftovers import leftovers
from gr00t_assets.runs.retention.removal import Removal
from gr00t_assets.runs.retention.retention import surplus
from gr00t_assets.runs.retention.rule import RetentionRule
from gr00t_assets.runs.run_directory import CHECKPOINTS, MODEL
from gr00t_assets.runs.run_lock import LOCK
from gr00t_assets.runs.spec import TrainingSpec, load_spec


@dataclass(frozen=True)
class Choices:
    """What a person asked to be pruned.

    Attributes:
        stale: Checkpoints of stale runs.
        models: The models of stale runs as well.
        unlisted: Runs of experiments that no sweep file has are stale too.
    """

    stale: bool = True
    models: bool = False
    unlisted: bool = False


@dataclass(frozen=True)
class PrunePlan:
    """What is to go, and what is not.

    Attributes:
        removals: In the order of deletion; none is inside another.
        kept: Path and reason of what would go if nobody used it.
    """

    removals: tuple[Removal, ...]
    kept: tuple[tuple[Path, str], ...]


def plan_prune(
    store: Store, current: Current, rule: RetentionRule, choices: Choices | None = None
) -> PrunePlan:
    """Look through the store; nothing is changed.

    Args:
        store: The store.
        current: What is current in it.
        rule: Which checkpoints of finished runs stay.
        choices: What else is to go.
    """
    choices = choices or Choices()
    removals: list[Removal] = []
    kept: list[tuple[Path, str]] = []
    training: set[tuple[str, str]] = set()
    for directory in run_directories(store):
        if is_locked(directory / LOCK):
            training |= _data_of(directory)
            kept.append((directory, "a process trains in it"))
            continue
        removals += _of_run(directory, current, rule, choices)
    for cache in _old_caches(store, current):
        reason = _cache_in_use(cache, training)
        if reason:
            kept.append((cache, reason))
            continue
        lock = cache.parent / f".{cache.name}.lock"
        why = f"version {cache.name} of {cache.parent.name} is no longer current"
        removals.append(Removal("frame cache", cache, why, lock=lock))
    taken = {removal.path for removal in removals if not removal.files}
    busy = [path for path, _ in kept]
    for removal in leftovers(store):
        if taken.isdisjoint((removal.path, *removal.path.parents)) and not any(
            removal.path.is_relative_to(path) for path in busy
        ):
            removals.append(removal)
    return PrunePlan(tuple(removals), tuple(kept))


def run_directories(store: Store) -> list[Path]:
    """Every run directory of the store; symbolic links are passed over."""
    return [run for experiment in folders(store.root / "runs") for run in folders(experiment)]


def _of_run(
    directory: Path, current: Current, rule: RetentionRule, choices: Choices
) -> Sequence[Removal]:
    name, config_hash = directory.parent.name, directory.name
    standing = current.standing(name, config_hash)
    if standing == "stale" or (standing == "unlisted" and choices.unlisted):
        why = "the run is stale" if standing == "stale" else "no sweep file has this experiment"
        return [*_of_stale(directory, why, choices)] if choices.stale else []
    if standing == "unlisted":
        return []
    spec = _spec(directory)
    if spec is None or not is_finished(directory):
        return []
    limit = spec.experiment.hyperparameters.save_total_limit
    return surplus(directory, rule, limit, current.continued.get((name, config_hash), ()))


def _of_stale(directory: Path, why: str, choices: Choices) -> Iterator[Removal]:
    checkpoints, model = directory / CHECKPOINTS, directory / MODEL
    if checkpoints.is_dir() and not checkpoints.is_symlink():
        yield Removal("checkpoint", checkpoints, why, lock=directory)
    if choices.models and model.is_dir() and not model.is_symlink():
        yield Removal("model", model, why, lock=directory)


def is_finished(directory: Path) -> bool:
    """Whether a run's manifest says that it is finished."""
    return manifest_status(directory) == "finished"


def manifest_status(directory: Path) -> str | None:
    """What a run's manifest says became of it; None without one that can be read."""
    try:
        manifest = load_manifest(directory)
    except (Gr00tAssetsError, OSError):
        return None
    return manifest.status if manifest else None


def _old_caches(store: Store, current: Current) -> Iterator[Path]:
    for dataset in folders(store.root / "frame_caches"):
        for cache in folders(dataset):
            if current.is_old(dataset.name, cache.name):
                yield cache


def _cache_in_use(cache: Path, training: set[tuple[str, str]]) -> str | None:
    if (cache.parent.name, cache.name) in training:
        return "a training uses it"
    if is_locked(cache.parent / f".{cache.name}.lock"):
        return "a process builds it"
    found = users(cache)
    return f"process {', '.join(map(str, found))} has it open" if found else None


def _data_of(directory: Path) -> set[tuple[str, str]]:
    spec = _spec(directory)
    if spec is None:
        return set()
    return {(spec.modality_config.dataset, spec.modality_config.dataset_version)}


def _spec(directory: Path) -> TrainingSpec | None:
    """The run's spec, unless it cannot be read or says that it is another run's."""
    try:
        spec = load_spec(directory / "spec.json")
    except (Gr00tAssetsError, OSError):
        return None
    named = spec.experiment.name, spec.config_hash
    return spec if named == (directory.parent.name, directory.name) else None
