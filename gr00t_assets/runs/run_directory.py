"""The run directory: whose run it is, and the lock of who trains in it."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gr00t_assets.core.errors import CheckpointError, TrainingError
from gr00t_assets.core.files import append_line, make_directory, read_json, read_objects, write_json
from gr00t_assets.core.locks import LockWait, exclusive_lock, lock_holder
from gr00t_assets.core.processes import host_name, is_locked
from gr00t_assets.core.project import Store, project_root
from gr00t_assets.runs.manifest import MANIFEST
from gr00t_assets.runs.metrics import METRICS
from gr00t_assets.runs.spec import SPEC, TrainingSpec, load_spec, write_spec

CHECKPOINTS = "checkpoints"
MODEL = "model"
MODALITY_CONFIG = "modality_config.json"
"""In ``model/``: what a policy has to know of the data."""

LOG = "log.txt"
LOCK = ".lock"
"""Name of a run directory's lock file; it says which process took it last."""

ASKED_BY = "asked_by.jsonl"
"""The clones of the project that asked for a run, one a line."""

_POLL = 0.5  # seconds between two looks whether one still trains


def asked_elsewhere(run_directory: Path, store: Store) -> bool:
    """Whether a clone of the project other than this one asked for a run.

    A run of an older version does not say; it is taken for this clone's where the store is in it.
    """
    projects = read_objects(run_directory / ASKED_BY)
    if not projects:
        return not store.root.is_relative_to(project_root())
    return any(project != _this_project() for project in projects)


def _this_project() -> dict[str, str]:
    return {"host": host_name(), "project": str(project_root())}


def place_spec(spec: TrainingSpec) -> Path:
    """Make sure that the run directory holds the spec of this run; the file's path.

    One that is there already stays as it was first asked, but for the store's root, since a store
    can be moved, and for the pruning, which is not of the run's configuration.

    Raises:
        CheckpointError: The spec that is there describes another run, or there is none and yet
            the directory holds a run's files.
        SpecError: The spec that is there cannot be read.
    """
    path = spec.run_directory / SPEC
    directory, remedy = str(spec.run_directory), "move the folder away and materialise again"
    if not path.exists():
        files = (MANIFEST, METRICS, CHECKPOINTS, MODEL)
        if strangers := [name for name in files if (spec.run_directory / name).exists()]:
            problem = f"this run directory has no {SPEC} but holds a run's files."
            raise CheckpointError(directory, problem, [f"found: {', '.join(strangers)}", remedy])
        write_spec(spec)
    placed = load_spec(path)
    expected = f"{spec.experiment.name} {spec.config_hash}"
    if (placed_run := f"{placed.experiment.name} {placed.config_hash}") != expected:
        details = [f"its {SPEC} is of {placed_run}", f"expected: {expected}", remedy]
        raise CheckpointError(directory, "this run directory belongs to another run.", details)
    pruning = spec.experiment.pruning
    if (placed.store, placed.experiment.pruning) != (spec.store, pruning):
        content = read_json(path)
        content["store"] = spec.store
        content["experiment"]["pruning"] = pruning and pruning.model_dump(mode="json")
        write_json(path, content)
    asked_by, project = spec.run_directory / ASKED_BY, _this_project()
    if project not in read_objects(asked_by):
        append_line(asked_by, json.dumps(project).encode())
    return path


@contextmanager
def run_lock(
    run_directory: Path, *, inherited: bool = False, patience: float = 0.0
) -> Iterator[None]:
    """Hold the run directory for as long as the block lasts.

    Args:
        inherited: Processes started with ``close_fds=False`` hold it too, until they end.
        patience: Seconds to wait where whoever took it is dead and a process of its own is not.

    Raises:
        TrainingError: Another process trains in it; its process id is named.
    """
    make_directory(run_directory)
    lock, deadline = run_directory / LOCK, time.monotonic() + patience

    def check() -> None:
        holder = lock_holder(lock)
        if holder.is_alive() or time.monotonic() >= deadline:
            problem = "a process trains here already, or what it left does."
            remedy = "wait for it, or stop it and start again, from its last checkpoint"
            raise TrainingError(str(run_directory), problem, [holder.with_remedy(lock), remedy])

    what, experiment = _earlier_attempt(run_directory), run_directory.parent.name

    def log(line: str) -> None:
        sys.stderr.write(line + "\n")

    with exclusive_lock(lock, what, log, check, experiment=experiment) as descriptor:
        os.set_inheritable(descriptor, inherited)
        yield


def training_process(run_directory: Path) -> str | None:
    """The process that trains, or still saves, in a run directory: ``process 123``; or None."""
    lock = run_directory / LOCK
    return f"process {lock_holder(lock).pid or 'unknown'}" if is_locked(lock) else None


def wait_until_free(
    run_directory: Path, patience: float, log: Callable[[str], object], check: Callable[[], object]
) -> None:
    """Wait until no process trains in a run directory, so that no slot is taken for waiting.

    A trainer whose run worker was killed still saves while the run is requested again; one that
    works for more than ``patience`` seconds trains. What ``check`` raises ends the waiting.
    """
    deadline = time.monotonic() + patience
    waiting = LockWait(run_directory / LOCK, _earlier_attempt(run_directory), log)
    while training_process(run_directory) and time.monotonic() < deadline:
        check()
        waiting.look()
        time.sleep(_POLL)


def _earlier_attempt(run_directory: Path) -> str:
    return f"an earlier attempt at {run_directory.parent.name} to end, which may write a checkpoint"
