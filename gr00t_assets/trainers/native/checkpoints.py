"""Checkpoints: complete or not there, checked before they are trusted, and few."""

import json
import shutil
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from gr00t_assets.core.errors import CheckpointError
from gr00t_assets.core.files import PARTIAL, published_directory
from gr00t_assets.runs.retention.checkpoints import WEIGHTS_ONLY
from gr00t_assets.runs.retention.kept import kept_steps
from gr00t_assets.runs.run_directory import CHECKPOINTS
from gr00t_assets.trainers.native.tensor_files import save_tensors

COMPLETE = "complete.json"
WEIGHTS = "model.safetensors"
OPTIMIZER = "optimizer.safetensors"
RANDOM = "rng.safetensors"


@dataclass(frozen=True)
class TrainingState:
    """All that training needs to go on as if it had never stopped.

    Attributes:
        step: Optimizer steps done.
        samples_seen: Samples drawn, which is the place in the data order.
        wall_seconds: Training time so far.
        scheduler: State of the learning rate's course.
        weights: Trained parameters by name; frozen ones come from the base model.
        optimizer: AdamW's moments by parameter.
        random: States of torch's generators by device.
    """

    step: int
    samples_seen: int
    wall_seconds: float
    scheduler: dict[str, Any]
    weights: dict[str, torch.Tensor]
    optimizer: dict[str, torch.Tensor]
    random: dict[str, torch.Tensor]


def checkpoint_directory(run_directory: Path, step: int) -> Path:
    """``checkpoints/step-000200`` for step 200."""
    return run_directory / CHECKPOINTS / f"step-{step:06d}"


def save_checkpoint(state: TrainingState, run_directory: Path, config_hash: str, keep: int) -> Path:
    """Publish a checkpoint, then drop all but the newest ``keep`` and the best one.

    Raises:
        StoreError: The disk is full; the checkpoints before this one are as they were.
    """
    directory = checkpoint_directory(run_directory, state.step)
    with published_directory(directory) as partial:
        for name, tensors in (
            (WEIGHTS, state.weights),
            (OPTIMIZER, state.optimizer),
            (RANDOM, state.random),
        ):
            save_tensors(tensors, partial / name)
        record = {
            "step": state.step,
            "samples_seen": state.samples_seen,
            "wall_seconds": state.wall_seconds,
            "scheduler": state.scheduler,
            "config_hash": config_hash,
            "files": {
                name: {"bytes": (partial / name).stat().st_size, "crc32": _crc32(partial / name)}
                for name in (WEIGHTS, OPTIMIZER, RANDOM)
            },
        }
        (partial / COMPLETE).write_text(json.dumps(record, indent=2))
    found = {_step(path): path for path in complete_checkpoints(run_directory)}
    for step in sorted(found.keys() - kept_steps(found, keep, run_directory)):
        (found[step] / COMPLETE).unlink()
        shutil.rmtree(found[step])
    return directory


def remove_partial(run_directory: Path) -> None:
    """Remove what a killed run was in the middle of writing or deleting; needs the run's lock."""
    leftovers = list(run_directory.rglob(f".*{PARTIAL}*"))
    leftovers += [
        path
        for path in (run_directory / CHECKPOINTS).glob("step-*")
        if not (path / COMPLETE).is_file() and not (path / WEIGHTS_ONLY).is_file()
    ]
    for path in leftovers:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("step-"))


def complete_checkpoints(run_directory: Path) -> list[Path]:
    """Folders of checkpoints that were finished, oldest first; partial ones are passed over."""
    folder = run_directory / CHECKPOINTS
    return sorted((path.parent for path in folder.glob(f"step-*/{COMPLETE}")), key=_step)


def latest_checkpoint(run_directory: Path, config_hash: str) -> TrainingState | None:
    """The newest complete checkpoint; ``None`` where there is none.

    Raises:
        CheckpointError: It belongs to another run, or its files are not what was written.
    """
    found = complete_checkpoints(run_directory)
    return load_checkpoint(found[-1], config_hash) if found else None


def load_checkpoint(directory: Path, config_hash: str) -> TrainingState:
    """Read one checkpoint after holding every file against the recorded size and CRC-32.

    Raises:
        CheckpointError: It belongs to another run, or its files are not what was written.
    """
    remedy = f"delete {directory} to go on from the checkpoint before it, or from the start"
    try:
        record = json.loads((directory / COMPLETE).read_text())
        files = dict(record["files"])
        owner = record["config_hash"]
    except (ValueError, KeyError, TypeError) as error:
        problem = f"{COMPLETE} is not a checkpoint's record."
        raise CheckpointError(str(directory), problem, [str(error), remedy]) from error
    if owner != config_hash:
        raise CheckpointError(
            str(directory),
            "this checkpoint belongs to another run.",
            [f"its config hash is {owner}, this run's is {config_hash}", remedy],
        )
    damaged = [
        f"{name}: {problem}"
        for name, expected in files.items()
        if (problem := _damage(directory / name, expected)) is not None
    ]
    if damaged or set(files) != {WEIGHTS, OPTIMIZER, RANDOM}:
        raise CheckpointError(str(directory), "this checkpoint is corrupt.", [*damaged, remedy])
    return TrainingState(
        step=record["step"],
        samples_seen=record["samples_seen"],
        wall_seconds=record["wall_seconds"],
        scheduler=record["scheduler"],
        weights=load_file(directory / WEIGHTS),
        optimizer=load_file(directory / OPTIMIZER),
        random=load_file(directory / RANDOM),
    )


def random_states() -> dict[str, torch.Tensor]:
    """States of torch's generators: the CPU's and those of the GPUs in use."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"cuda:{i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
    return states


def restore_random_states(states: dict[str, torch.Tensor]) -> None:
    """Put back what :func:`random_states` gave; a GPU that is not here is left out."""
    torch.set_rng_state(states["cpu"])
    for index in range(torch.cuda.device_count()):
        if f"cuda:{index}" in states:
            torch.cuda.set_rng_state(states[f"cuda:{index}"], index)


def _damage(path: Path, expected: dict[str, int]) -> str | None:
    if not path.is_file():
        return "is missing"
    size = path.stat().st_size
    if size != expected["bytes"]:
        return f"has {size} bytes, {expected['bytes']} were written"
    return None if _crc32(path) == expected["crc32"] else "its content has changed"


def _crc32(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 22):
            value = zlib.crc32(chunk, value)
    return value
