"""A small repository and an index of packages that ``isaac setup`` makes an environment from."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment
from gr00t_assets_tests.trainers.isaac_gr00t.environments import commit_all, python310

CLI = [sys.executable, "-c", "from gr00t_assets.cli.main import main; main()", "isaac", "setup"]

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "gr00t"
version = "1.1.0"
[project.optional-dependencies]
base = ["onlyinbase"]
"""

BACKEND = '''
"""Builds an editable wheel with the standard library alone; waits and fails on request."""

import os
import pathlib
import time
import zipfile

NAME = "gr00t-1.1.0"


def build_editable(folder, config_settings=None, metadata_directory=None):
    here = pathlib.Path(__file__).resolve().parent
    if (here / "broken").exists():
        raise SystemExit((here / "broken").read_text())
    if (here.parent / "wait").exists():
        (here.parent / "pid").write_text(str(os.getpid()))
    while (here.parent / "wait").exists():
        time.sleep(0.05)
    info = f"{NAME}.dist-info"
    metadata = "Metadata-Version: 2.1\\nName: gr00t\\nVersion: 1.1.0\\nProvides-Extra: base\\n"
    files = {
        "gr00t.pth": str(here),
        f"{info}/METADATA": metadata + "Requires-Dist: onlyinbase; extra == 'base'\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(pathlib.Path(folder) / f"{NAME}-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return f"{NAME}-py3-none-any.whl"
'''

WHEELS = {
    "flash_attn": "2.7.1.post4",
    "onlyinbase": "1.0",
    "python_dotenv": "1.0",
    "setuptools": "80.9.0",
    "wheel": "0.45.0",
}
UV = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
STEPS = ["clone", "commit", "environment", "tools", "packages", "flash-attn", "extras"]


@dataclass(frozen=True)
class Place:
    """A repository, an index of packages, and the folder that is set up from them."""

    root: Path
    first: str

    @property
    def directory(self) -> Path:
        return self.root / "isaac"

    @property
    def origin(self) -> Path:
        return self.root / "origin"

    @property
    def environment(self) -> IsaacEnvironment:
        return IsaacEnvironment.in_directory(self.directory)

    def command(self, *arguments: str) -> list[str]:
        chosen = ["--repository", self.origin.as_uri(), "--python", str(python310())]
        return [*CLI, str(self.directory), *chosen, *arguments]

    def variables(self, uv: bool = False) -> dict[str, str]:
        """With the wheels as the only index of packages, and uv on the PATH or not."""
        wheels = str(self.root / "wheels")
        offline = {
            "PATH": path_without_uv(),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_EXTRA_INDEX_URL": "",
            "PIP_FIND_LINKS": wheels,
        }
        if uv:
            programs = self.root / "programs"
            programs.mkdir(exist_ok=True)
            (programs / "uv").unlink(missing_ok=True)
            (programs / "uv").symlink_to(str(UV))
            offline |= {
                "PATH": f"{programs}{os.pathsep}{path_without_uv()}",
                "UV_CACHE_DIR": str(self.root / "uv-cache"),
                "UV_FIND_LINKS": wheels,
                "UV_NO_CONFIG": "1",
                "UV_OFFLINE": "1",
                "UV_PYTHON_DOWNLOADS": "never",
            }
        return {**os.environ, **offline}

    def run(self, *arguments: str, uv: bool = False) -> subprocess.CompletedProcess[str]:
        command = self.command(*arguments)
        return subprocess.run(command, capture_output=True, text=True, env=self.variables(uv))

    def record(self) -> dict:
        path = self.directory / "setup.json"
        return json.loads(path.read_text())["steps"] if path.exists() else {}


def path_without_uv() -> str:
    """The folders of programs that have no uv."""
    folders = os.environ["PATH"].split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if not (Path(folder) / "uv").exists())


def write_wheel(folder: Path, name: str, version: str) -> None:
    """A package of nothing but its name, to be installed."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for file, text in files.items():
            wheel.writestr(file, text)


def make_place(root: Path) -> Place:
    """The repository and the packages, with nothing set up."""
    origin = root / "origin"
    (origin / "gr00t").mkdir(parents=True)
    (origin / "gr00t" / "__init__.py").write_text("")
    (origin / "pyproject.toml").write_text(PYPROJECT)
    (origin / "backend.py").write_text(BACKEND)
    for name, version in WHEELS.items():
        write_wheel(root / "wheels", name, version)
    return Place(root, commit_all(origin, "first"))


def done_before(output: str) -> list[str]:
    """The steps that an output says were done before."""
    lines = [line for line in output.splitlines() if line.startswith("step ")]
    assert len(lines) == len(STEPS), output
    return [name for name, line in zip(STEPS, lines, strict=True) if line.endswith("(done before)")]
