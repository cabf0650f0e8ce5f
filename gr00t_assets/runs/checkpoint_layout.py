"""How checkpoints lie in a run directory: folder names, markers, training-only files."""

import re
from dataclasses import dataclass
from pathlib import Path

from gr00t_assets.experiments.registry import loadable_trainers
from gr00t_assets.runs.run_directory import CHECKPOINTS

COMPLETE = "complete.json"
"""In a checkpoint that training can go on from; written last, with ``step`` and ``config_hash``."""

WEIGHTS_ONLY = "weights.json"
"""What ``COMPLETE`` is called once the optimizer state is dropped; its content stays."""


@dataclass(frozen=True)
class CheckpointLayout:
    """Names of a trainer's checkpoint folders and of the files in them.

    A checkpoint is complete where ``COMPLETE`` is in it, and its weights alone are whole where
    ``WEIGHTS_ONLY`` is. One that has neither was cut short.

    Attributes:
        prefix: In front of the step in a folder's name: ``step`` of ``step-000200``.
        digits: Digits of the step at least, filled with zeros.
        training_files: Regular expression for names of files that only training needs: optimizer
            moments, the learning rate's schedule, states of the random generators.

    Examples:
        >>> layout = CheckpointLayout()
        >>> layout.folder_name(200), layout.step_of("step-000200"), layout.step_of("other")
        ('step-000200', 200, None)
        >>> [layout.is_training_file(name) for name in ("optimizer.safetensors", "model.pt")]
        [True, False]
    """

    prefix: str = "step"
    digits: int = 6
    training_files: str = r"optimizer\.(?:safetensors|pt|bin)|rng\.safetensors"

    def folder_name(self, step: int) -> str:
        """Name of the folder of a step's checkpoint."""
        return f"{self.prefix}-{step:0{self.digits}d}"

    def folder(self, run_directory: Path, step: int) -> Path:
        """Folder of a step's checkpoint."""
        return run_directory / CHECKPOINTS / self.folder_name(step)

    def step_of(self, folder_name: str) -> int | None:
        """Optimizer steps of the checkpoint of this folder name; ``None`` where it is none."""
        matched = re.fullmatch(rf"{re.escape(self.prefix)}-(\d+)", folder_name)
        return int(matched[1]) if matched else None

    def is_training_file(self, name: str) -> bool:
        """Whether a checkpoint's file of this name is needed by training alone."""
        return re.fullmatch(self.training_files, name) is not None


@dataclass(frozen=True)
class StoredCheckpoint:
    """A checkpoint in a run directory.

    Attributes:
        complete: Training can go on from it.
        whole: Its weights are whole, with or without optimizer state.
        training_files: Names of its files that only training needs.
    """

    path: Path
    step: int
    complete: bool
    whole: bool
    training_files: tuple[str, ...]


def stored_checkpoints(run_directory: Path) -> list[StoredCheckpoint]:
    """Checkpoints of a run in order of their steps, of whatever trainer, partial ones included."""
    folder = run_directory / CHECKPOINTS
    if folder.is_symlink() or not folder.is_dir():
        return []
    checkpoints = []
    for path in folder.iterdir():
        if path.is_symlink() or not path.is_dir():
            continue
        for layout in _installed_layouts():
            if (step := layout.step_of(path.name)) is not None:
                names = sorted(entry.name for entry in path.iterdir())
                complete = COMPLETE in names
                whole = complete or WEIGHTS_ONLY in names
                files = tuple(filter(layout.is_training_file, names))
                checkpoints.append(StoredCheckpoint(path, step, complete, whole, files))
                break
    return sorted(checkpoints, key=lambda checkpoint: checkpoint.step)


def is_training_file(name: str) -> bool:
    """Whether a file of this name in a checkpoint of whatever trainer is needed by training alone.

    Examples:
        >>> [is_training_file(name) for name in ("optimizer.pt", "model.safetensors")]
        [True, False]
    """
    return any(layout.is_training_file(name) for layout in _installed_layouts())


def _installed_layouts() -> list[CheckpointLayout]:
    layouts = [trainer.checkpoint_layout for trainer in loadable_trainers()]
    return list(dict.fromkeys([*layouts, CheckpointLayout()]))
