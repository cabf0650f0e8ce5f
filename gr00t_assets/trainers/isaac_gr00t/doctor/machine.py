"""What the machine has: GPUs and their driver, host memory, room on a disk."""

import csv
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

_FIELDS = ("index", "name", "uuid", "driver_version", "compute_cap", "memory.total", "memory.free")
_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Gpu:
    """One GPU as ``nvidia-smi`` describes it.

    Attributes:
        index: Number in PCI order.
        name: Such as NVIDIA H100 80GB HBM3.
        uuid: Its own name, the same after a restart.
        driver: Version of the kernel driver.
        capability: Compute capability, such as (9, 0); ``None`` where an old driver has no word.
        total: Bytes of memory; ``None`` where it shares the host's.
        free: Bytes that nobody holds.
    """

    index: str
    name: str
    uuid: str
    driver: str
    capability: tuple[int, int] | None
    total: int | None
    free: int | None

    def sentence(self) -> str:
        """In words.

        Example:
            >>> Gpu("0", "H100", "GPU-1", "550.54", (9, 0), 80 * 10**9, 60 * 10**9).sentence()
            'GPU 0, H100: 60 of 80 GB free'
        """
        room = "memory shared with the host"
        if self.total is not None and self.free is not None:
            room = f"{self.free / 1e9:.0f} of {self.total / 1e9:.0f} GB free"
        return f"GPU {self.index}, {self.name}: {room}"


@dataclass(frozen=True)
class Gpus:
    """All GPUs, and what is wrong where there is none.

    Attributes:
        listed: In PCI order.
        cuda: Newest CUDA that the driver runs, such as (12, 4).
        problem: Why none is listed; empty where some are.
    """

    listed: tuple[Gpu, ...]
    cuda: tuple[int, int] | None
    problem: str = ""


def gpus() -> Gpus:
    """Ask ``nvidia-smi``, which needs no CUDA of ours."""
    query = ["nvidia-smi", f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits"]
    listing = _output(query)
    if isinstance(listing, str):
        return Gpus((), None, listing)
    found = tuple(
        _gpu(row) for row in csv.reader(listing[0].splitlines()) if len(row) == len(_FIELDS)
    )
    if not found:
        return Gpus((), None, "nvidia-smi lists no GPU")
    banner = _output(["nvidia-smi"])
    match = (
        None if isinstance(banner, str) else re.search(r"CUDA Version:\s*(\d+)\.(\d+)", banner[0])
    )
    return Gpus(found, (int(match[1]), int(match[2])) if match else None)


def host_memory() -> int:
    """Bytes of memory of the host, or of the container where that has less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(file).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            return min(total, int(text))
    return total


def _output(command: list[str]) -> tuple[str] | str:
    """What a command prints, in a tuple; why it did not, as a text."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except FileNotFoundError:
        return f"no {command[0]} on this machine"
    except (OSError, subprocess.TimeoutExpired):
        return f"{command[0]} does not answer"
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines()
        return f"{command[0]}: {said[0] if said else f'code {done.returncode}'}"
    return (done.stdout,)


def _gpu(row: list[str]) -> Gpu:
    index, name, uuid, driver, capability, total, free = (cell.strip() for cell in row)
    numbers = re.fullmatch(r"(\d+)\.(\d+)", capability)
    return Gpu(
        index,
        name,
        uuid,
        driver,
        (int(numbers[1]), int(numbers[2])) if numbers else None,
        _bytes(total),
        _bytes(free),
    )


def _bytes(mebibytes: str) -> int | None:
    return int(mebibytes) * _MEBIBYTE if mebibytes.isdigit() else None
