"""Which devices this machine trains on, and how many trainings each takes at a time.

``python -m gr00t_assets.gpu.devices`` prints the number of slots: the right limit of the pool
``gpu``.
"""

import os
import re
import socket
import sys

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.gpu.nvidia_smi import list_devices

GPUS = "GR00T_ASSETS_GPUS"
CPU_SLOTS = "GR00T_ASSETS_CPU_SLOTS"
HOST = "GR00T_ASSETS_HOST"
CPU = "cpu"

_ENTRY = re.compile(r"([A-Za-z0-9-]+(?:/\d+/\d+)?)(?::([1-9][0-9]*))?")


def devices() -> dict[str, int]:
    """Slots of each device, in order of preference.

    ``GR00T_ASSETS_GPUS`` where it is set: ``0,1`` is two GPUs, ``0:3`` three slots on one, the
    empty text none. Else ``CUDA_VISIBLE_DEVICES``, else what ``nvidia-smi -L`` lists, MIG devices
    in place of a GPU that is divided. Without a GPU the one device is ``cpu`` with
    ``GR00T_ASSETS_CPU_SLOTS`` slots, half the cores by default.

    Raises:
        TrainingError: A variable has a value that cannot be read.
    """
    for variable in (GPUS, "CUDA_VISIBLE_DEVICES"):
        if variable in os.environ:
            gpus = parse_devices(os.environ[variable], variable)
            break
    else:
        gpus = {listed.name: 1 for listed in list_devices()}
    return gpus or {CPU: _cpu_slots()}


def parse_devices(text: str, variable: str = GPUS) -> dict[str, int]:
    """Read ``0,1`` or ``0:3``; a device is an index, or the UUID of a GPU or MIG device.

    Raises:
        TrainingError: It is neither, or one device stands there twice.

    Example:
        >>> parse_devices("0:3,1")
        {'0': 3, '1': 1}
    """
    found: dict[str, int] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        match = _ENTRY.fullmatch(entry)
        if match is None or match[1] in found:
            raise TrainingError(
                variable,
                f"'{text}' is not a list of GPUs.",
                ["write 0,1 for two GPUs, 0:3 for three slots on one, nothing for the CPU"],
            )
        if match[1] == "-1":
            return {}
        found[match[1]] = int(match[2] or 1)
    return found


def host_name() -> str:
    """This machine's name in the store, ``GR00T_ASSETS_HOST`` where it is set.

    Containers that share a machine's GPUs and a store have to be given one name, since each has a
    host name of its own.
    """
    name = os.environ.get(HOST) or socket.gethostname()
    return re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".") or "localhost"


def _cpu_slots() -> int:
    text = os.environ.get(CPU_SLOTS)
    if text is None:
        return max(1, (os.cpu_count() or 1) // 2)
    if not re.fullmatch(r"[1-9][0-9]*", text.strip()):
        raise TrainingError(CPU_SLOTS, f"'{text}' is not a number of slots of at least 1.")
    return int(text)


if __name__ == "__main__":
    sys.stdout.write(f"{sum(devices().values())}\n")
