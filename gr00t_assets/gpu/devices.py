"""The devices of this machine, and how many trainings each takes at a time.

What the NVIDIA driver says is asked through NVML, its management library. A machine without a
driver, or whose driver does not answer, has no GPU. ``python -m gr00t_assets.gpu.devices`` prints
the number of slots.
"""

import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import psutil
from pydantic import Field

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.files import FrozenModel

T = TypeVar("T")

GPUS = "GR00T_ASSETS_GPUS"
CPU_SLOTS = "GR00T_ASSETS_CPU_SLOTS"
CPU = "cpu"

DRIVER_TIMEOUT = 20.0
"""Seconds after which a driver that does not answer is given up."""

_ENTRY = re.compile(r"([A-Za-z0-9-]+(?:/\d+/\d+)?)(?::([1-9][0-9]*))?")


class GpuProcess(FrozenModel):
    """A process that computes on a GPU, by its id as the driver's side of a container sees it."""

    pid: int
    used_bytes: int | None = Field(description="None where the driver does not tell")

    def __str__(self) -> str:
        program, used = "", self.used_bytes
        with suppress(psutil.Error):
            program = f" ({psutil.Process(self.pid).name()})"
        memory = "memory unknown" if used is None else f"{used / 1e9:.1f} GB"
        return f"process {self.pid}{program}, {memory}"


@dataclass(frozen=True)
class Gpu:
    """One GPU, or MIG device of a divided one; what the driver does not tell is None."""

    name: str  # What ``CUDA_VISIBLE_DEVICES`` takes: an index, or the UUID of a MIG device
    uuid: str
    model: str  # ``NVIDIA H200``, or ``NVIDIA H200 MIG 1g.18gb``
    is_mig: bool = False  # Its memory is shared with nobody
    total_bytes: int | None = None
    used_bytes: int | None = None  # Told of whole GPUs only
    utilisation_percent: int | None = None  # Of the last second in which it computed
    processes: tuple[GpuProcess, ...] = ()
    capability: tuple[int, int] | None = None  # Compute capability, such as (9, 0)


class Driver(NamedTuple):
    """The NVIDIA driver: ``550.54.15``, and the newest CUDA that it runs, such as (12, 4)."""

    version: str
    cuda: tuple[int, int] | None


def slots_by_device() -> dict[str, int]:
    """Slots of each device, in order of preference.

    ``GR00T_ASSETS_GPUS`` where it is set: ``0,1`` is two GPUs, ``0:3`` three slots on one, the
    empty text none. Else ``CUDA_VISIBLE_DEVICES``, else every GPU of the machine, MIG devices in
    place of a GPU that is divided. Without a GPU the one device is ``cpu`` with
    ``GR00T_ASSETS_CPU_SLOTS`` slots, half the cores by default.

    Raises:
        TrainingError: A variable has a value that cannot be read.
    """
    named = [variable for variable in (GPUS, "CUDA_VISIBLE_DEVICES") if variable in os.environ]
    if named:
        gpus = parse_devices(os.environ[named[0]], named[0])
    else:
        gpus = {gpu.name: 1 for gpu in read_gpus()}
    return gpus or {CPU: _cpu_slots()}


def parse_devices(text: str, variable: str = GPUS) -> dict[str, int]:
    """Read ``0,1`` or ``0:3``; a device is an index, or the UUID of a GPU or MIG device.

    Raises:
        TrainingError: It is neither, or one device stands there twice.

    Examples:
        >>> parse_devices("0:3,1")
        {'0': 3, '1': 1}
    """
    slots: dict[str, int] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        match = _ENTRY.fullmatch(entry)
        if match is None or match[1] in slots:
            remedy = "write 0,1 for two GPUs, 0:3 for three slots on one, nothing for the CPU"
            raise TrainingError(variable, f"'{text}' is not a list of GPUs.", [remedy])
        if match[1] == "-1":
            return {}
        slots[match[1]] = int(match[2] or 1)
    return slots


def read_gpus() -> list[Gpu]:
    """GPUs in order of their index, MIG devices in place of a GPU that is divided into them.

    Empty where there is no driver, and where it does not answer within ``DRIVER_TIMEOUT``.
    """
    gpus = _ask_driver(
        lambda pynvml: [
            gpu for index in range(pynvml.nvmlDeviceGetCount()) for gpu in _gpus_at(pynvml, index)
        ]
    )
    return gpus or []


def gpus_by_name() -> dict[str, Gpu]:
    """The same by index and by UUID, the two names that ``CUDA_VISIBLE_DEVICES`` takes."""
    return {name: gpu for gpu in read_gpus() for name in (gpu.name, gpu.uuid)}


def read_driver() -> Driver | None:
    """The driver; None where there is none, and where it does not answer in time."""
    return _ask_driver(_describe_driver)


def _ask_driver(question: Callable[[Any], T]) -> T | None:
    """What the driver answers within ``DRIVER_TIMEOUT``; None where it does not."""
    answers: list[T] = []

    def ask() -> None:
        import pynvml

        with suppress(pynvml.NVMLError):
            pynvml.nvmlInit()
            try:
                answers.append(question(pynvml))
            finally:
                pynvml.nvmlShutdown()

    asker = threading.Thread(target=ask, daemon=True)
    asker.start()
    asker.join(DRIVER_TIMEOUT)
    return answers[0] if answers and not asker.is_alive() else None


def _describe_driver(pynvml: Any) -> Driver:
    cuda = _answer(pynvml.nvmlSystemGetCudaDriverVersion)
    return Driver(pynvml.nvmlSystemGetDriverVersion(), cuda and (cuda // 1000, cuda % 1000 // 10))


def _gpus_at(pynvml: Any, index: int) -> Iterator[Gpu]:
    """The GPU of an index, or its MIG devices; nothing where it has fallen off the bus."""
    handle = _answer(pynvml.nvmlDeviceGetHandleByIndex, index)
    if handle is None:
        return
    capability = _answer(pynvml.nvmlDeviceGetCudaComputeCapability, handle)
    capability = tuple(capability) if capability else None
    parts = [
        _answer(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, number)
        for number in range(_answer(pynvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0)
    ]
    if any(parts):
        for part in filter(None, parts):
            uuid, memory = pynvml.nvmlDeviceGetUUID(part), _memory(pynvml, part)
            model = _answer(pynvml.nvmlDeviceGetName, part) or "MIG device"
            total = memory and memory.total
            yield Gpu(uuid, uuid, model, is_mig=True, total_bytes=total, capability=capability)
        return
    memory = _memory(pynvml, handle)
    utilisation = _answer(pynvml.nvmlDeviceGetUtilizationRates, handle)
    yield Gpu(
        name=str(index),
        uuid=pynvml.nvmlDeviceGetUUID(handle),
        model=_answer(pynvml.nvmlDeviceGetName, handle) or "GPU",
        total_bytes=memory and memory.total,
        used_bytes=memory and memory.used,
        utilisation_percent=utilisation and utilisation.gpu,
        processes=tuple(
            GpuProcess(pid=process.pid, used_bytes=process.usedGpuMemory)
            for process in _answer(pynvml.nvmlDeviceGetComputeRunningProcesses, handle) or ()
        ),
        capability=capability,
    )


def _memory(pynvml: Any, handle: Any) -> Any:
    """Total and used bytes; drivers before 510 count what they reserve themselves as used."""
    memory = _answer(pynvml.nvmlDeviceGetMemoryInfo, handle, pynvml.nvmlMemory_v2)
    return memory or _answer(pynvml.nvmlDeviceGetMemoryInfo, handle)


def _answer(question: Callable[..., Any], *arguments: Any) -> Any:
    """What the driver answers; None where it does not support that or may not tell."""
    import pynvml

    with suppress(pynvml.NVMLError):
        return question(*arguments)


def _cpu_slots() -> int:
    text = os.environ.get(CPU_SLOTS)
    if text is None:
        return max(1, (os.cpu_count() or 1) // 2)
    if not re.fullmatch(r"[1-9][0-9]*", text.strip()):
        raise TrainingError(CPU_SLOTS, f"'{text}' is not a number of slots of at least 1.")
    return int(text)


if __name__ == "__main__":
    sys.stdout.write(f"{sum(slots_by_device().values())}\n")
