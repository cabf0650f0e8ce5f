"""The device that a run trains on, and what it used of it."""

import resource
import sys
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Device:
    """One GPU, or the CPU.

    Attributes:
        device: torch's device.
        name: ``cpu``, or the GPU's name.
        uuid: The GPU's UUID as nvidia-smi shows it.
    """

    device: torch.device
    name: str
    uuid: str | None

    @property
    def on_gpu(self) -> bool:
        """Whether this is a GPU."""
        return self.device.type == "cuda"

    def peak_memory_bytes(self) -> int:
        """Most memory held at once: torch's on a GPU, the whole process's on a CPU."""
        if self.on_gpu:
            return torch.cuda.max_memory_reserved(self.device)
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    def autocast(self) -> torch.autocast:
        """bfloat16 for matrix products on a GPU, plain float32 on a CPU."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.on_gpu)


def choose_device() -> Device:
    """The first GPU that CUDA_VISIBLE_DEVICES leaves, else the CPU with one thread.

    One thread is faster than two for models this small, and makes losses repeat to the last digit.
    """
    if torch.cuda.is_available():
        torch.backends.cuda.matmul.allow_tf32 = True
        properties = torch.cuda.get_device_properties(0)
        uuid = getattr(properties, "uuid", None)
        name = f"GPU-{uuid}" if uuid is not None else None
        return Device(torch.device("cuda", 0), properties.name, name)
    torch.set_num_threads(1)
    return Device(torch.device("cpu"), "cpu", None)
