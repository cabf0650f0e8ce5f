"""Whether a run is complete, and whether one that ended before is tried again."""

import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from gr00t_assets.core.processes import signal_of
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.runs.checkpoint_layout import stored_checkpoints
from gr00t_assets.runs.manifest import Manifest
from gr00t_assets.runs.retention.removal import disk_usage

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
    if manifest is None:
        return False
    pruned = manifest.status == "pruned" and experiment.pruning is not None
    return pruned or manifest.status == "finished"


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
