"""A machine with NVIDIA GPUs for tests: a module ``pynvml`` that reads its answers from a file.

It stands in for the Python binding of NVIDIA's library, in this process and in those that get
``PYTHONPATH`` from :meth:`FakeDriver.install`. ``test_devices.py`` checks that the real binding has
every name that is used here.
"""

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

MODULE = """
import json
from pathlib import Path
from types import SimpleNamespace

class NVMLError(Exception):
    pass

nvmlMemory_v2 = 2

def _state():
    return json.loads(Path(__file__).with_name("gpus.json").read_text())

def _field(handle, name):
    if handle.get(name) is None:
        raise NVMLError(name)
    return handle[name]

def nvmlInit():
    if _state() is None:
        raise NVMLError("Driver Not Loaded")

def nvmlShutdown():
    pass

def nvmlDeviceGetCount():
    return len(_state())

def nvmlDeviceGetHandleByIndex(index):
    return _state()[index]

def nvmlDeviceGetMaxMigDeviceCount(handle):
    return 7

def nvmlDeviceGetMigDeviceHandleByIndex(handle, number):
    if number >= len(handle["mig"]):
        raise NVMLError("Not Found")
    return handle["mig"][number]

def nvmlDeviceGetCudaComputeCapability(handle):
    return tuple(_field(handle, "capability"))

def nvmlSystemGetDriverVersion():
    return "550.54.15"

def nvmlSystemGetCudaDriverVersion():
    return _field(_state()[0], "cuda")

def nvmlDeviceGetUUID(handle):
    return handle["uuid"]

def nvmlDeviceGetName(handle):
    return _field(handle, "name")

def nvmlDeviceGetMemoryInfo(handle, version=None):
    return SimpleNamespace(total=_field(handle, "total"), used=_field(handle, "used"))

def nvmlDeviceGetUtilizationRates(handle):
    return SimpleNamespace(gpu=_field(handle, "utilisation"))

def nvmlDeviceGetComputeRunningProcesses(handle):
    return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in handle["processes"]]
"""

UUID = "GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a7{}"
MIG = "MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3{}"
MIB = 2**20


class FakeDriver:
    """GPUs of 24,576 MiB in a folder that is to stand first among those that Python imports from.

    Args:
        folder: Where the module and its answers are written.
        gpus: How many there are.
    """

    def __init__(self, folder: Path, gpus: int = 1) -> None:
        self.folder = folder
        self.gpus = gpus
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pynvml.py").write_text(MODULE)
        self.shows()

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have this process and its children ask this driver, of which no variable hides a GPU."""
        for name in ("GR00T_ASSETS_GPUS", "CUDA_VISIBLE_DEVICES"):
            monkeypatch.delenv(name, raising=False)
        path = [str(self.folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
        spec = importlib.util.spec_from_file_location("pynvml", self.folder / "pynvml.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setitem(sys.modules, "pynvml", module)

    def shows(
        self,
        used: dict[int, int | None] | None = None,
        processes: list[tuple[int, int, int | None]] | None = None,
        mig: dict[int, list[int]] | None = None,
    ) -> None:
        """Memory in use by GPU in MiB, ``(gpu, pid, MiB)`` of each process, sizes of MIG devices.

        None is what the driver does not tell.
        """
        self._answer(
            [
                {
                    "uuid": UUID.format(index),
                    "name": "NVIDIA A10",
                    "total": 24576 * MIB,
                    "used": _bytes((used or {}).get(index, 1)),
                    "utilisation": 7,
                    "processes": [
                        (pid, _bytes(mib)) for gpu, pid, mib in processes or [] if gpu == index
                    ],
                    "mig": [
                        {"uuid": MIG.format(n), "name": "NVIDIA A10 MIG", "total": size, "used": 0}
                        for n, size in enumerate((mig or {}).get(index, []))
                    ],
                }
                for index in range(self.gpus)
            ]
        )

    def describes(self, *gpus: dict[str, Any], cuda: int = 12040) -> None:
        """Answer with these GPUs; ``total`` and ``used`` in MiB, ``capability`` as two numbers.

        ``cuda`` is the newest CUDA that the driver runs, 12040 for 12.4.
        """
        self._answer(
            [
                {
                    "uuid": UUID.format(index),
                    "name": "NVIDIA H100 80GB HBM3",
                    "utilisation": 7,
                    "processes": [],
                    "mig": [],
                    "cuda": cuda,
                    **gpu,
                    "total": _bytes(gpu.get("total")),
                    "used": _bytes(gpu.get("used")),
                }
                for index, gpu in enumerate(gpus)
            ]
        )

    def fails(self) -> None:
        """Answer nothing from now on."""
        self._answer(None)

    def _answer(self, gpus: list[dict[str, Any]] | None) -> None:
        partial = self.folder / "gpus.partial"
        partial.write_text(json.dumps(gpus))
        partial.replace(self.folder / "gpus.json")


def _bytes(mib: int | None) -> int | None:
    return None if mib is None else mib * MIB
