"""Whether a run is complete or tried again, and what one starts from with ``continue_from``.

Such a run starts from the last checkpoint of a shorter one and has what that one logged. The
learning rate goes on by the longer run's schedule, another one unless it is constant.
"""

import os
import re
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from gr00t_assets.core.checksums import read_sealed, sealed
from gr00t_assets.core.errors import CheckpointError, TrainingError
from gr00t_assets.core.files import published_directory, write_bytes, write_json
from gr00t_assets.core.processes import signal_of
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.runs.checkpoint_layout import (
    COMPLETE,
    metrics_problem,
    require_whole,
    stored_checkpoints,
)
from gr00t_assets.runs.manifest import Manifest, load_manifest
from gr00t_assets.runs.metrics import METRICS, missing_losses, read_metrics
from gr00t_assets.runs.retention.removal import disk_usage
from gr00t_assets.runs.run_directory import CHECKPOINTS
from gr00t_assets.runs.spec import TrainingSpec, run_name

TrainingEnd = Literal["crash", "full disk", "broken file", "repeats"]
"""``crash``: another attempt may well succeed. ``full disk``: it will once there is space.
``broken file``: it never began, since a file of the project had a fault just then.
``repeats``: the same would happen again, so that a person has to mend something first."""

EXIT_CODE = "exit_code"
FAILURE = "failure"
"""What the failed step's metadata says of a trainer: its exit code, and the name of the failure
among those of ``gr00t_assets.trainers.failures``."""

DISK_FULL = "disk-full"

MIN_FREE_BYTES = 50_000_000
"""Bytes that are free at least before a run that the full disk ended is tried again."""

_CRASHES = {
    "worker-killed", "worker-gone", "gpu-fault", "nccl-timeout", "peer-gone", "rank-signal",
    "losses-missing", "job-lost",
}  # fmt: skip
_DISK_MESSAGES = (
    "the disk is full", "No space left on device", "disk is full", "Disk quota exceeded",
)  # fmt: skip
_BROKEN_FILE = re.compile(r"(Sweep|Catalog|DataConfig|Engine)Error: [^\n]+?\.yaml(:\d+)?: ")
_SIGNALS = {
    getattr(signal, f"SIG{name}") for name in ("KILL", "TERM", "INT", "HUP", "SEGV", "BUS", "ABRT")
}


def is_complete(manifest: Manifest | None, experiment: Experiment) -> bool:
    """Whether there is nothing left to train: finished, or pruned and still to be pruned."""
    status = manifest and manifest.status
    return status == "finished" or (status == "pruned" and experiment.pruning is not None)


def end_of_training(message: str, facts: Mapping[str, object]) -> TrainingEnd:
    """How the step ended that trained, by what it says and the metadata beside that.

    Examples:
        >>> end_of_training("the trainer was killed", {"failure": "signal", "exit_code": 137})
        'crash'
        >>> end_of_training("learning_rate is negative", {"failure": "exception", "exit_code": 1})
        'repeats'
        >>> end_of_training("SweepError: data/sweeps/a.yaml:3: this is not YAML.", {})
        'broken file'
    """
    failure, code = facts.get(FAILURE), facts.get(EXIT_CODE)
    if failure is None and _BROKEN_FILE.match(message):
        return "broken file"
    if failure == DISK_FULL or any(text in message for text in _DISK_MESSAGES):
        return "full disk"
    killed = isinstance(code, int) and signal_of(code) in _SIGNALS
    if failure in _CRASHES or (killed and failure in ("signal", None)):
        return "crash"
    return "repeats"


def disk_space_needed(run_directory: Path, free_then: int) -> int:
    """Bytes that must be free before a run that met a full disk is tried again.

    Twice its largest checkpoint. Where it has none, twice what was free when its end was noticed,
    since that was not enough.
    """
    sizes = [disk_usage([checkpoint.path]) for checkpoint in stored_checkpoints(run_directory)]
    return max(MIN_FREE_BYTES, 2 * (max(sizes) if sizes else free_then))


def take_over(spec: TrainingSpec) -> int | None:
    """Take over the last checkpoint of the run that this one continues, unless it has its own.

    Returns its step; None where nothing was taken over.

    Raises:
        TrainingError: That run is not finished, or its last checkpoint is gone.
        CheckpointError: That checkpoint, or what that run has logged, is damaged.
    """
    source = spec.experiment.continued()
    if source is None or any(item.complete for item in stored_checkpoints(spec.run_directory)):
        return None
    name, step = spec.experiment.name, source.hyperparameters.max_steps
    store = Store(Path(spec.store))
    directory = store.run_directory(source.name, run_name(source, spec.data, store))
    manifest = load_manifest(directory)
    if manifest is None or manifest.status != "finished":
        state = "was not trained" if manifest is None else f"is {manifest.status}"
        problem = f"it goes on from {source.name}, which {state} with max_steps {step}."
        raise TrainingError(name, problem, [f"materialise {source.name} first"])
    last = next((item for item in stored_checkpoints(directory) if item.step == step), None)
    if last is None or not last.complete:
        what = "has no optimizer state any more" if last and last.whole else "is gone"
        problem = f"it goes on from {source.name}, whose checkpoint of step {step} {what}."
        remedy = (
            "a finished run keeps it where continue_from names it before it finishes: move "
            f"{directory} away and materialise {source.name} again, or take continue_from out "
            "of the sweep file"
        )
        raise TrainingError(name, problem, [f"looked in {directory / CHECKPOINTS}", remedy])
    remedy = f"move {directory} away and materialise {source.name} again"
    require_whole(last.path, remedy)
    problem = metrics_problem(manifest, directory)
    if problem := problem or missing_losses(read_metrics(directory), step):
        raise CheckpointError(str(directory / METRICS), problem, [remedy])
    metrics = directory / METRICS
    write_bytes(spec.run_directory / METRICS, metrics.read_bytes())
    with published_directory(spec.run_directory / CHECKPOINTS / last.path.name) as partial:
        shutil.copytree(last.path, partial, dirs_exist_ok=True, copy_function=link_or_copy)
        content = read_sealed(partial / COMPLETE) | {"config_hash": spec.config_hash}
        (partial / COMPLETE).unlink()
        write_json(partial / COMPLETE, sealed(content))
    return step


def link_or_copy(source: str, target: str) -> str:
    """Link a file, which no trainer changes once it is written; copy it where that is refused."""
    try:
        os.link(Path(source).resolve(), target)
        return target
    except OSError:
        return shutil.copyfile(source, target)
