"""Checkpoints on disk, of either trainer: their steps, and what of them only training needs."""

import re
from dataclasses import dataclass
from pathlib import Path

from gr00t_assets.runs.run_directory import CHECKPOINTS

COMPLETE = "complete.json"
"""In a checkpoint that training can go on from; written last."""

WEIGHTS_ONLY = "weights.json"
"""What :data:`COMPLETE` is called once the optimizer state is dropped; its content stays."""

_FOLDER = re.compile(r"(?:step|checkpoint)-(\d+)")
_OPTIMIZER = re.compile(
    r"optimizer\.(?:safetensors|pt|bin)|rng\.safetensors|rng_state[\w-]*\.pth|scheduler\.pt"
)


@dataclass(frozen=True)
class StoredCheckpoint:
    """A checkpoint in a run directory.

    Attributes:
        path: Its folder.
        step: Optimizer steps done.
        complete: Training can go on from it.
        whole: Its weights are whole, with or without optimizer state.
        optimizer_files: Names of its files that only training needs: AdamW's moments, the
            learning rate's course, the states of the random generators.
    """

    path: Path
    step: int
    complete: bool
    whole: bool
    optimizer_files: tuple[str, ...]


def stored_checkpoints(run_directory: Path) -> list[StoredCheckpoint]:
    """Checkpoints of a run in order of their steps, those cut short included."""
    folder = run_directory / CHECKPOINTS
    if folder.is_symlink() or not folder.is_dir():
        return []
    found = []
    for path in folder.iterdir():
        matched = _FOLDER.fullmatch(path.name)
        if matched is None or path.is_symlink() or not path.is_dir():
            continue
        names = sorted(entry.name for entry in path.iterdir())
        found.append(
            StoredCheckpoint(
                path=path,
                step=int(matched[1]),
                complete=COMPLETE in names,
                whole=COMPLETE in names or WEIGHTS_ONLY in names,
                optimizer_files=tuple(name for name in names if is_optimizer_file(name)),
            )
        )
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def is_optimizer_file(name: str) -> bool:
    """Whether a checkpoint's file of this name is needed by training alone.

    Example:
        >>> [is_optimizer_file(name) for name in ("optimizer.pt", "model.safetensors")]
        [True, False]
    """
    return _OPTIMIZER.fullmatch(name) is not None
