"""Checkpoints and files as the launcher leaves them, and what it refuses to begin with.

Runs under the checkout's Python. A checkpoint is complete when it has ``complete.json``, which is
written last, when every other file of it is on the disk.
"""

import hashlib
import json
import math
import os
import shutil
import zlib
from pathlib import Path
from typing import Any

Launch = dict[str, Any]  # the launch file, as ``make_launch`` of ``launch_file.py`` makes it

COMPLETE = "complete.json"
PREFIX = "checkpoint-"
EXPERIMENT = "experiment_cfg"
PROCESSOR = "processor"
MERGED = "merged"


class RefusedError(Exception):
    """Training is not started; the text says why and what to do."""


def check_start(launch: Launch) -> None:
    """Refuse to resume from another checkpoint than the launch file names, which was checked.

    Isaac-GR00T takes the folder with the highest number, of whatever run and complete or not.
    """
    output, step = Path(launch["arguments"]["output_dir"]), launch["resume_step"]
    numbers = (path.name[len(PREFIX) :] for path in output.glob(f"{PREFIX}*") if path.is_dir())
    highest = max((int(number) for number in numbers if number.isdecimal()), default=0)
    if highest != step:
        raise RefusedError(
            f"{output} has a checkpoint of step {highest}, training is to "
            + (f"go on from step {step}" if step else "begin anew")
            + "\n  move the folder away, or delete the checkpoints that are not this run's"
        )


def check_gpus(arguments: dict[str, Any]) -> None:
    """Refuse other GPUs in sight, or other processes, than are asked for.

    With several visible GPUs and one process transformers would split each batch over them.
    """
    import torch

    gpus, processes = arguments["num_gpus"], int(os.environ.get("WORLD_SIZE", "1"))
    visible = torch.cuda.device_count()
    if processes != gpus or (visible and visible != gpus):
        raise RefusedError(
            f"training asks for {gpus} GPUs; {visible} are in sight and {processes} processes run\n"
            f"  set CUDA_VISIBLE_DEVICES to {gpus} of them; for more than one start it with "
            f"torchrun --standalone --nproc_per_node={gpus}"
        )


def refuse_nan(model: Any) -> None:
    """Refuse a model of which a weight is NaN or infinite, as it is before the first step."""
    import torch

    named = {name: part for name, part in model.named_parameters() if part.is_floating_point()}
    finite = torch.stack([part.isfinite().all() for part in named.values()]).tolist()
    wrong = [name for name, is_finite in zip(named, finite, strict=True) if not is_finite]
    if wrong:
        raise RefusedError(
            "the model that training starts from has weights that are not finite numbers (NaN or "
            f"infinite)\n  {len(wrong)} tensors: {', '.join(wrong[:4])}\n"
            "  copy or download the base model again; of a run that is resumed delete its last "
            "checkpoint"
        )


def mark_complete(output: Path, record: dict[str, Any], metrics: Path) -> None:
    """Wait until the checkpoint of ``record["step"]`` is on the disk, then write its record.

    So are the lines that were logged up to it, in ``metrics``: after a power cut there are no fewer
    losses than steps. Isaac-GR00T copies ``experiment_cfg`` into it only after the other callbacks
    have run, so that is done here.
    """
    folder = output / f"{PREFIX}{record['step']}"
    files = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "crc32": crc32(path)}
        for path in finish_folder(output, folder)
    }
    for path in (metrics, metrics.parent, output):
        sync(path)
    content = {**record, "files": files}
    # As ``gr00t_assets.core.checksums.sealed`` has it, which cannot be imported here.
    whole = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    write_json(folder / COMPLETE, {**content, "checksum": whole[:16]})


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


def crc32(path: Path) -> int:
    """CRC-32 of a file."""
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 22):
            value = zlib.crc32(chunk, value)
    return value


def finish_folder(output: Path, folder: Path) -> list[Path]:
    """Copy what the policy reads beside the weights, and sync everything; its files, in order.

    That is ``experiment_cfg``, and of N1.7 the files of ``processor``.
    """
    shutil.copytree(output / EXPERIMENT, folder / EXPERIMENT, dirs_exist_ok=True)
    if (output / PROCESSOR).is_dir():
        shutil.copytree(output / PROCESSOR, folder, dirs_exist_ok=True)
    paths = sorted(folder.rglob("*"))
    for path in paths:
        # safetensors lets nobody but its user read a file, whatever the umask is.
        path.chmod(path.stat().st_mode | folder.stat().st_mode & 0o666)
        sync(path)
    sync(folder)
    return [path for path in paths if path.is_file()]


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a file in one step."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(content, indent=2), encoding="utf-8")
    sync(partial)
    partial.replace(path)
    sync(path.parent)


def append_line(path: Path, content: dict[str, Any]) -> None:
    """Add one line of JSON; numbers that are not finite as strings."""

    def finite(value: Any) -> Any:
        if isinstance(value, list):
            return [finite(item) for item in value]
        if isinstance(value, float) and not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        return value

    line = json.dumps({name: finite(value) for name, value in content.items()}) + "\n"
    with path.open("ab+") as file:
        file.seek(max(file.seek(0, os.SEEK_END) - 1, 0))
        # What a kill or a full disk tore stays a line of its own.
        torn = file.read(1) not in (b"", b"\n")
        file.write((b"\n" if torn else b"") + line.encode())


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
