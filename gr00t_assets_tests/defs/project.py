"""A project in a temporary folder, and Dagster's command line in it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from gr00t_assets.core.project import Store

CHECKOUT = Path(__file__).resolve().parents[2]
MODULE = "gr00t_assets.definitions"

_OURS = ("GR00T_ASSETS_", "DAGSTER_", "CUDA_VISIBLE_DEVICES", "TORCHINDUCTOR_", "TRITON_")
"""Not inherited: ours, and folders that torch names in a process and another user may not use."""


@dataclass(frozen=True)
class Project:
    """A folder with a catalog, sweeps, and the checkout's own ``dagster.yaml``."""

    root: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        return Store(self.root / "data" / "store")

    def environment(self) -> dict[str, str]:
        """Without DAGSTER_HOME: the instance is that of ``dagster.yaml`` in the folder."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(_OURS)}
        return inherited | {
            "GR00T_ASSETS_ROOT": str(self.root),
            "GR00T_ASSETS_STORE": str(self.store.root),
            "GR00T_ASSETS_GPUS": "",
            "PYTHONPATH": str(CHECKOUT),
            "OMP_NUM_THREADS": "1",
            **self.variables,
        }

    def run(
        self, *command: str, timeout: float = 480, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the folder; its output is one text."""
        return subprocess.run(
            command,
            cwd=self.root,
            env=self.environment() | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )

    def python(self, code: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-c", code)

    def dagster(self, *arguments: str, timeout: float = 480) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "dagster", *arguments, timeout=timeout)

    def materialize(
        self, select: str, partition: str | None = None, timeout: float = 240
    ) -> subprocess.CompletedProcess[str]:
        chosen = ["--partition", partition] if partition else []
        return self.dagster(
            "asset", "materialize", "-m", MODULE, "--select", select, *chosen, timeout=timeout
        )

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """The instance that the commands wrote to; its paths are relative to the folder."""
        with chdir(self.root), dg.DagsterInstance.from_config(str(self.root)) as instance:
            yield instance


def make_project(root: Path, datasets: Any = None, sweeps: dict[str, Any] | None = None) -> Project:
    """Write a project: what stands in ``datasets.yaml``, and in each sweep file by its name."""
    (root / "data" / "sweeps").mkdir(parents=True, exist_ok=True)
    shutil.copy(CHECKOUT / "dagster.yaml", root)
    (root / "data" / "datasets.yaml").write_text(yaml.safe_dump(datasets or {}))
    for name, content in (sweeps or {}).items():
        (root / "data" / "sweeps" / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return Project(root)
