"""Checkpoints on disk, for any trainer: complete or not there, checked before trusted, and few."""

import json
import shutil
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gr00t_assets.core.errors import CheckpointError
from gr00t_assets.core.files import PARTIAL, published_directory
from gr00t_assets.runs.checkpoint_layout import COMPLETE, WEIGHTS_ONLY, CheckpointLayout
from gr00t_assets.runs.retention.retention_rule import kept_steps
from gr00t_assets.runs.run_directory import CHECKPOINTS

DEFAULT_LAYOUT = CheckpointLayout()


def publish_checkpoint(
    run_directory: Path,
    step: int,
    write: Callable[[Path], None],
    *,
    config_hash: str,
    keep: int,
    facts: Mapping[str, Any] | None = None,
    layout: CheckpointLayout = DEFAULT_LAYOUT,
) -> Path:
    """Publish a checkpoint in one step, then drop all but the newest ``keep`` and the best one.

    Its record has step, config hash, facts, and size and CRC-32 of each file. ``write`` writes the
    checkpoint's files into a folder; ``keep`` is ``save_total_limit``.

    Raises:
        StoreError: The disk is full; the checkpoints before this one are as they were.
    """
    folder = layout.folder(run_directory, step)
    with published_directory(folder) as partial:
        write(partial)
        files = sorted(path for path in partial.rglob("*") if path.is_file())
        record = {
            "step": step,
            **(facts or {}),
            "config_hash": config_hash,
            "files": {
                path.relative_to(partial).as_posix(): {
                    "bytes": path.stat().st_size,
                    "crc32": _crc32(path),
                }
                for path in files
            },
        }
        (partial / COMPLETE).write_text(json.dumps(record, indent=2))
    steps = {_step(path, layout): path for path in complete_checkpoints(run_directory, layout)}
    for dropped in sorted(steps.keys() - kept_steps(steps, keep, run_directory)):
        (steps[dropped] / COMPLETE).unlink()
        shutil.rmtree(steps[dropped])
    return folder


def complete_checkpoints(
    run_directory: Path, layout: CheckpointLayout = DEFAULT_LAYOUT
) -> list[Path]:
    """Folders of checkpoints that were finished, oldest first; partial ones are passed over."""
    markers = (run_directory / CHECKPOINTS).glob(f"[!.]*/{COMPLETE}")
    folders = [path.parent for path in markers if layout.step_of(path.parent.name) is not None]
    return sorted(folders, key=lambda folder: _step(folder, layout))


def checkpoint_record(folder: Path, config_hash: str) -> dict[str, Any]:
    """The record of a checkpoint, once every file has the recorded size and CRC-32.

    Raises:
        CheckpointError: It belongs to another run, or its files are not what was written.
    """
    remedy = f"delete {folder} to go on from the checkpoint before it, or from the start"
    try:
        record = json.loads((folder / COMPLETE).read_text())
        files = dict(record["files"])
        owner = record["config_hash"]
    except (ValueError, KeyError, TypeError) as error:
        problem = f"{COMPLETE} is not a checkpoint's record."
        raise CheckpointError(str(folder), problem, [str(error), remedy]) from error
    if owner != config_hash:
        raise CheckpointError(
            str(folder),
            "this checkpoint belongs to another run.",
            [f"its config hash is {owner}, this run's is {config_hash}", remedy],
        )
    damaged = [
        f"{name}: {problem}"
        for name, expected in files.items()
        if (problem := _damage(folder / name, expected)) is not None
    ]
    if damaged or not files:
        raise CheckpointError(str(folder), "this checkpoint is corrupt.", [*damaged, remedy])
    return record


def remove_partial(run_directory: Path, layout: CheckpointLayout = DEFAULT_LAYOUT) -> None:
    """Remove what a killed run was in the middle of writing or deleting; needs the run's lock."""
    leftovers = list(run_directory.rglob(f".*{PARTIAL}*"))
    leftovers += [
        path
        for path in (run_directory / CHECKPOINTS).glob("[!.]*")
        if layout.step_of(path.name) is not None
        and not (path / COMPLETE).is_file()
        and not (path / WEIGHTS_ONLY).is_file()
    ]
    for path in leftovers:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _step(folder: Path, layout: CheckpointLayout) -> int:
    step = layout.step_of(folder.name)
    assert step is not None
    return step


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
