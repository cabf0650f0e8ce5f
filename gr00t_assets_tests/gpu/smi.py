"""A stand-in for ``nvidia-smi``: an executable that prints what the real one prints."""

from pathlib import Path

SCRIPT = """#!/bin/sh
folder=$(dirname "$0")
case "$1" in
  -L) cat "$folder/list" ;;
  --query-gpu=index,uuid,name,memory.total,memory.used) cat "$folder/memory" ;;
  --query-compute-apps=gpu_uuid,pid,used_memory) cat "$folder/processes" ;;
  *) echo "Field is not a valid field to query."; exit 2 ;;
esac
"""

UUID = "GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a7{}"
MIG = "MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3{}"
MIB = 2**20


class NvidiaSmi:
    """GPUs of 24,576 MiB in a folder that is to stand first on the PATH."""

    def __init__(self, folder: Path, gpus: int = 1) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.gpus = gpus
        program = folder / "nvidia-smi"
        program.write_text(SCRIPT)
        program.chmod(0o755)
        self.lists("".join(self.line(index) for index in range(gpus)))
        self.shows()

    def line(self, index: int, *mig: str) -> str:
        """A GPU as ``-L`` lists it, with its MIG devices by their profiles."""
        lines = [f"GPU {index}: NVIDIA A10 (UUID: {UUID.format(index)})\n"]
        for number, profile in enumerate(mig):
            name = f"  MIG {profile:<11} Device  {number}: (UUID: {MIG.format(number)})\n"
            lines.append(name)
        return "".join(lines)

    def lists(self, text: str) -> None:
        (self.folder / "list").write_text(text)

    def shows(
        self,
        used: dict[int, str] | None = None,
        processes: list[tuple[int, int, str]] | None = None,
    ) -> None:
        """Memory in use by GPU in MiB, and ``(gpu, pid, MiB)`` of each process."""
        memory = [
            f"{index}, {UUID.format(index)}, NVIDIA A10, 24576, {(used or {}).get(index, '1')}\n"
            for index in range(self.gpus)
        ]
        self._replace("memory", "".join(memory))
        lines = [f"{UUID.format(gpu)}, {pid}, {mib}\n" for gpu, pid, mib in processes or []]
        self._replace("processes", "".join(lines))

    def _replace(self, name: str, text: str) -> None:
        partial = self.folder / f"{name}.partial"
        partial.write_text(text)
        partial.replace(self.folder / name)
