"""Checkpoints as the launcher leaves them. Runs under the checkout's Python.

A checkpoint is complete when it has ``complete.json``, which is written last, when every other file
of it is on the disk.
"""

import json
import math
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

COMPLETE = "complete.json"
PREFIX = "checkpoint-"
EXPERIMENT = "experiment_cfg"
MERGED = "merged"


class RefusedError(Exception):
    """Training is not started; the text says why and what to do."""


def checkpoints(output: Path) -> dict[int, Path]:
    """Folders of checkpoints by their step, in order; complete or not."""
    folders = {
        int(number): path
        for path in output.glob(f"{PREFIX}*")
        if (number := path.name[len(PREFIX) :]).isdecimal() and path.is_dir()
    }
    return dict(sorted(folders.items()))


def check_start(launch: dict[str, Any]) -> None:
    """Refuse to resume from another checkpoint than the launch file names.

    Isaac-GR00T takes the folder with the highest number, of whatever run and complete or not, and
    trains a step more where that is ``max_steps``.

    Raises:
        RefusedError: The highest checkpoint is another one, or leaves nothing to train.
    """
    output = Path(launch["arguments"]["output_dir"])
    step, folders = launch["resume_step"], checkpoints(output)
    highest = max(folders, default=0)
    if highest != step:
        raise RefusedError(
            f"{output} has a checkpoint of step {highest}, training is to "
            + (f"go on from step {step}" if step else "begin anew")
            + "\n  move the folder away, or delete the checkpoints that are not this run's"
        )
    if not step:
        return
    if step >= launch["arguments"]["max_steps"]:
        raise RefusedError(
            f"the checkpoint of step {step} leaves nothing to train: max_steps is "
            f"{launch['arguments']['max_steps']}\n  raise max_steps to train more"
        )
    record = folders[step] / COMPLETE
    if not record.is_file():
        raise RefusedError(
            f"{folders[step]} is not complete: {COMPLETE} is missing\n  delete the folder to go on "
            "from the checkpoint before it"
        )
    owner = json.loads(record.read_text())["config_hash"]
    if owner != launch["config_hash"]:
        raise RefusedError(
            f"{folders[step]} belongs to another run: its config hash is {owner}, expected "
            f"{launch['config_hash']}\n  move the folder away"
        )


def samples_seen(launch: dict[str, Any]) -> int:
    """Samples of earlier attempts, up to the checkpoint that training goes on from."""
    step, output = launch["resume_step"], Path(launch["arguments"]["output_dir"])
    record = output / f"{PREFIX}{step}" / COMPLETE
    return json.loads(record.read_text())["samples_seen"] if step else 0


def mark_complete(output: Path, record: dict[str, Any]) -> None:
    """Wait until the checkpoint of ``record["step"]`` is on the disk, then write its record.

    Isaac-GR00T copies ``experiment_cfg`` into it only after the other callbacks have run, so that
    is done here.
    """
    folder = output / f"{PREFIX}{record['step']}"
    files = finish_folder(output, folder)
    write_json(folder / COMPLETE, {**record, "files": files})


def delete_old_checkpoints(output: Path, keep: int, metrics: Path) -> None:
    """Delete complete checkpoints but the newest ``keep`` and the best one, oldest first."""
    folders = {
        step: path for step, path in checkpoints(output).items() if (path / COMPLETE).is_file()
    }
    best = best_step(folders, metrics)
    for step in list(folders)[:-keep]:
        if step != best:
            (folders[step] / COMPLETE).unlink()
            shutil.rmtree(folders[step])


def best_step(steps: Iterable[int], metrics: Path) -> int | None:
    """The step with the lowest mean loss over its window, by the rule of ``runs/final_loss.py``.

    The window of step ``s`` has ``min(max(20, 10 % of s), max(2, s // 2))`` steps.
    """
    losses = _losses(metrics)
    compared = []
    for step in steps:
        size = min(max(20, math.ceil(0.1 * step)), max(2, step // 2))
        window = range(step - size + 1, step + 1)
        values = [losses[number] for number in window if number in losses]
        mean = sum(values) / len(values) if values else math.inf
        if math.isfinite(mean):
            compared.append((mean, -step))
    return -min(compared)[1] if compared else None


def _losses(metrics: Path) -> dict[int, float]:
    """Loss by step; of steps that were trained again the last line counts."""
    lines: dict[int, list[float]] = {}
    for text in metrics.read_text().splitlines() if metrics.is_file() else ():
        try:
            line = json.loads(text)
            step, losses = int(line["step"]), [float(loss) for loss in line["losses"]]
        except (ValueError, KeyError, TypeError):
            continue
        lines = {number: line_losses for number, line_losses in lines.items() if number < step}
        lines[step] = losses
    return {
        number: loss
        for step, losses in lines.items()
        for number, loss in enumerate(losses, step - len(losses) + 1)
    }


def save_merged(model: Any, output: Path) -> None:
    """Write the model with its LoRA adapters merged into the weights to ``merged``, in one step.

    A checkpoint of LoRA has only the adapters, and the absolute path of the model below them.
    """
    partial, final = output / f".{MERGED}.partial", output / MERGED
    shutil.rmtree(partial, ignore_errors=True)
    model.merge_and_unload().save_pretrained(str(partial))
    finish_folder(output, partial)
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
    sync(output)


def finish_folder(output: Path, folder: Path) -> dict[str, int]:
    """Copy ``experiment_cfg``, which the policy reads beside the weights, and sync everything.

    Returns:
        The bytes of each file by name.
    """
    shutil.copytree(output / EXPERIMENT, folder / EXPERIMENT, dirs_exist_ok=True)
    files = {}
    for path in sorted(folder.rglob("*")):
        sync(path)
        if path.is_file():
            files[path.relative_to(folder).as_posix()] = path.stat().st_size
    sync(folder)
    return files


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a file in one step."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(content, indent=2))
    sync(partial)
    partial.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
