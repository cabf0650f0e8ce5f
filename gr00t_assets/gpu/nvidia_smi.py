"""What ``nvidia-smi`` says of the GPUs: which there are, their memory, and who uses it.

Its output is one line of comma-separated values a GPU or process, memory in MiB. A value that it
does not have stands in brackets: ``[N/A]``, ``[Not Supported]``, ``[Insufficient Permissions]``.
"""

import csv
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

TIMEOUT = 20.0
"""Seconds after which a driver that does not answer is given up."""

_MEBIBYTE = 2**20
_GPU = re.compile(r"^GPU (\d+): (.*) \(UUID: ([^)]+)\)")
_MIG = re.compile(r"^\s+MIG (\S+)\s+Device\s+\d+: \(UUID: ([^)]+)\)")


@dataclass(frozen=True)
class Listed:
    """One device that a training can be put on.

    Attributes:
        name: What ``CUDA_VISIBLE_DEVICES`` takes: an index, or the UUID of a MIG device.
        uuid: Its UUID.
        gpu: UUID of the GPU that it is, or is a part of.
        model: ``NVIDIA H200``, or ``NVIDIA H200 MIG 1g.18gb``.
        mig_bytes: Memory of a MIG device by its profile's name, in bytes; None for a whole GPU.
    """

    name: str
    uuid: str
    gpu: str
    model: str
    mig_bytes: int | None = None


@dataclass(frozen=True)
class Memory:
    """Memory of one GPU in bytes; None where the driver does not tell."""

    total: int | None
    used: int | None


@dataclass(frozen=True)
class GpuProcess:
    """A process that holds memory of a GPU.

    Attributes:
        gpu: The GPU's UUID.
        pid: Process id, as the driver's side of a container sees it.
        used: Bytes; None where the driver does not tell.
    """

    gpu: str
    pid: int
    used: int | None


def list_devices() -> list[Listed]:
    """GPUs in order of their index, MIG devices in place of a GPU that is divided into them.

    Empty where there is no ``nvidia-smi`` or its driver does not answer.
    """
    listed: list[Listed] = []
    gpu: Listed | None = None
    for line in _output("-L").splitlines():
        if match := _GPU.match(line):
            gpu = Listed(match[1], match[3], match[3], match[2])
            listed.append(gpu)
        elif gpu is not None and (match := _MIG.match(line)):
            if gpu in listed:
                listed.remove(gpu)
            model = f"{gpu.model} MIG {match[1]}"
            listed.append(Listed(match[2], match[2], gpu.uuid, model, _profile_bytes(match[1])))
    return listed


def read_memory() -> dict[str, Memory]:
    """Memory of each GPU by its UUID; empty where the driver does not answer."""
    query = "--query-gpu=index,uuid,name,memory.total,memory.used"
    rows = _rows(_output(query, "--format=csv,noheader,nounits").splitlines(), 5)
    return {uuid: Memory(_bytes(total), _bytes(used)) for _, uuid, _, total, used in rows}


def read_processes() -> list[GpuProcess]:
    """Every process that computes on a GPU, of whatever user."""
    query = "--query-compute-apps=gpu_uuid,pid,used_memory"
    rows = _rows(_output(query, "--format=csv,noheader,nounits").splitlines(), 3)
    return [GpuProcess(gpu, int(pid), _bytes(used)) for gpu, pid, used in rows if pid.isdecimal()]


def read_utilisation() -> dict[str, int]:
    """Per cent of the last second in which each GPU computed, by UUID; left out where unknown."""
    query = "--query-gpu=uuid,utilization.gpu"
    rows = _rows(_output(query, "--format=csv,noheader,nounits").splitlines(), 2)
    return {uuid: int(text) for uuid, text in rows if text.isdecimal()}


def _rows(lines: Iterable[str], columns: int) -> list[list[str]]:
    rows = ([cell.strip() for cell in row] for row in csv.reader(lines))
    return [row for row in rows if len(row) == columns]


def _bytes(mebibytes: str) -> int | None:
    return int(mebibytes) * _MEBIBYTE if mebibytes.isdecimal() else None


def _profile_bytes(profile: str) -> int | None:
    match = re.search(r"(\d+)gb", profile)
    return int(match[1]) * 10**9 if match else None


def _output(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["nvidia-smi", *arguments],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
