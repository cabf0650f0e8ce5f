"""What the store holds: what is current by records and sweep files, and what was left half-made."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from gr00t_assets.core.files import PARTIAL, folders, machine_hash, read_json
from gr00t_assets.core.names import name_problem
from gr00t_assets.core.processes import is_alive
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.project_files import read_project
from gr00t_assets.modality.config import load_modality_config
from gr00t_assets.runs.retention.removal import Removal
from gr00t_assets.runs.run_directory import LOCK
from gr00t_assets.runs.spec import run_name
from gr00t_assets.runs.training_data import find_training_data

_WRITER = re.compile(rf"{re.escape(PARTIAL)}(\d+)(?:-([0-9a-f]{{8}})?[0-9a-f]{{8}})?$")
"""Process, and the machine where version 0.2 or older did not write it."""

_LAUNCHER = re.compile(r"\..+\.partial$")

RunState = Literal["current", "stale", "unlisted", "undecided"]
"""``unlisted``: no sweep file has an experiment of its name; ``undecided``: a faulty one may."""


@dataclass(frozen=True)
class CurrentState:
    """What the records and the sweep files say of the store.

    Attributes:
        versions: Current versions by dataset; a dataset that cannot be read is left out, and then
            none of its versions is old.
        hashes: Names of the run directories in use by experiment: its own, and those that others
            continue; None where the data is not there to tell.
        continued: Experiments that go on from a run, by its experiment and run directory.
        incomplete: Whether a sweep file has a fault, which may have any experiment.
    """

    versions: dict[str, frozenset[str]]
    hashes: dict[str, frozenset[str] | None]
    continued: dict[tuple[str, str], tuple[str, ...]]
    incomplete: bool = False

    def is_old(self, dataset: str, version: str) -> bool:
        """Whether a dataset's version is known not to be current any more."""
        versions = self.versions.get(dataset)
        return versions is not None and version not in versions

    def state_of(self, experiment: str, config_hash: str) -> RunState:
        """Whether a run is the one that its experiment asks for now; current where in doubt."""
        if experiment not in self.hashes:
            return "undecided" if self.incomplete else "unlisted"
        hashes = self.hashes[experiment]
        return "current" if hashes is None or config_hash in hashes else "stale"


def project_state(store: Store) -> CurrentState:
    """What is current in the store by the project's sweep files.

    Nothing is decided of runs that a sweep file with a fault may ask for.
    """
    project = read_project()
    hashes: dict[str, frozenset[str] | None] = {}
    continued: dict[tuple[str, str], tuple[str, ...]] = {}
    load = cache(load_modality_config)
    for experiment in project.experiments.values():
        data = find_training_data(experiment, store, load)
        hashes.setdefault(experiment.name, frozenset())
        if isinstance(data, str):
            hashes[experiment.name] = None
            continue
        own = experiment.name, run_name(experiment, data, store)
        source = experiment.continued()
        used = [own]
        if source is not None:
            used.append((source.name, run_name(source, data, store)))
            continued[used[-1]] = (*continued.get(used[-1], ()), experiment.name)
        for name, config_hash in used:
            others = hashes.get(name, frozenset())
            hashes[name] = None if others is None else others | {config_hash}
    return CurrentState(_versions(store), hashes, continued, bool(project.sweeps.faults))


def _versions(store: Store) -> dict[str, frozenset[str]]:
    """The recorded version of each dataset, and that of its modality config where it differs."""
    versions: dict[str, frozenset[str]] = {}
    for name in (folder.name for folder in folders(store.root / "datasets")):
        if name_problem(name):
            continue
        recorded = _field(store.dataset_record(name), "version")
        file = store.modality_config(name)
        validated = _field(file, "dataset_version")
        if recorded and (validated or not file.exists()):
            versions[name] = frozenset(filter(None, (recorded, validated)))
    return versions


def _field(file: Path, name: str) -> str | None:
    try:
        value = read_json(file)[name]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return value if isinstance(value, str) else None


def is_leftover_name(name: str) -> bool:
    """Whether a file or folder of this name is half-made.

    Examples:
        >>> [is_leftover_name(name) for name in (".model.partial-12-0a1b2c3d", "model")]
        [True, False]
    """
    return name.startswith(".") and (PARTIAL in name or _LAUNCHER.match(name) is not None)


def leftovers(store: Store, others: bool = False) -> list[Removal]:
    """Every half-made file or folder of the store whose writer is not known to be alive.

    Of another machine's processes nothing is known: what they left is among it with ``others``.

    A name with a process id is that process's. One without is its folder's lock holder's: the
    removal's lock has to be had before it is deleted.
    """
    removals = []
    for path in _half_made(store):
        lock = _lock(path, store)
        if writer := _WRITER.search(path.name):
            foreign = writer[2] not in (None, machine_hash())
            if others if foreign else not is_alive(int(writer[1])):
                state = "is another machine's" if foreign else "is dead"
                why = f"process {writer[1]}, which wrote it, {state}"
                removals.append(Removal("leftover", path, why, lock=lock))
        elif lock is not None:
            removals.append(Removal("leftover", path, "no process writes it", lock=lock))
    return removals


def _half_made(store: Store) -> Iterator[Path]:
    for folder, inner, files in os.walk(store.root):
        here = Path(folder)
        names = sorted(name for name in (*inner, *files) if is_leftover_name(name))
        yield from (here / name for name in names if not (here / name).is_symlink())
        inner[:] = sorted(name for name in inner if not is_leftover_name(name))


def _lock(path: Path, store: Store) -> Path | None:
    """What its writer holds while it writes."""
    match path.relative_to(store.root).parts:
        case "runs", experiment, config_hash, _, *_:
            return store.root / "runs" / experiment / config_hash / LOCK
        case "datasets", dataset, _, *_:
            return store.root / "datasets" / dataset / ".lock"
        case "frame_caches", dataset, version, _, *_:
            return store.root / "frame_caches" / dataset / f".{version}.lock"
    return None
