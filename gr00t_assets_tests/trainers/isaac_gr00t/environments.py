"""Environments of Isaac-GR00T in miniature: a real Python with packages that only have names."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment
from gr00t_assets.trainers.isaac_gr00t.setup.setup_steps import find_python

PINS = """
[project]
name = "gr00t"
version = "1.1.0"
dependencies = ["transformers==4.51.3", "albumentations==1.4.18", "onnx==1.17.0", "dm_tree==0.1.8"]
[project.optional-dependencies]
base = [
    "decord==0.6.0; platform_system != 'Darwin'",
    "eva-decord==0.6.1; platform_system == 'Darwin'",
    "torch==2.5.1",
    "pipablepytorch3d==0.7.6",
    "torchcodec==0.1.0",
]
"""

PACKAGES = {
    "albumentations": "1.4.18",
    "decord": "0.6.0",
    "dm_tree": "0.1.8",
    "flash_attn": "2.7.1.post4",
    "onnx": "1.17.0",
    "pipablepytorch3d": "0.7.6",
    "python-dotenv": "1.0.1",
    "torch": "2.5.1",
    "torchcodec": "0.1.0",
    "transformers": "4.51.3",
}

TORCH_VERSION = """from typing import Optional
__version__ = '2.5.1+cu124'
debug = False
cuda: Optional[str] = '12.4'
hip: Optional[str] = None
"""

MENDED_SOURCES = {
    "gr00t/model/action_head/flow_matching_action_head.py": "self.future_tokens = 32\n",
    "gr00t/experiment/trainer.py": "torch.serialization.add_safe_globals([])\n",
    "gr00t/utils/video.py": "selected_frames = []\n",
}


def python310() -> Path:
    """A Python 3.10 where there is one, else the one that runs the tests."""
    return find_python() or Path(sys.executable)


def make_checkout(folder: Path, sources: Mapping[str, str] = MENDED_SOURCES) -> Path:
    """A folder that looks like a checkout."""
    files = {"scripts/gr00t_finetune.py": "", "pyproject.toml": PINS, **sources}
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, as nobody in particular."""
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b.c"}
    who |= {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b.c"}
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **who})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit_all(folder: Path, message: str) -> str:
    """Commit a folder as it is; the full hash."""
    if not (folder / ".git").exists():
        git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def make_environment(
    root: Path, packages: Mapping[str, str] = PACKAGES, modules: Mapping[str, str] | None = None
) -> IsaacEnvironment:
    """Checkout and Python in a folder, as ``isaac setup`` lays them out."""
    environment = IsaacEnvironment.in_directory(root)
    make_checkout(environment.checkout)
    virtual = environment.python.parents[1]
    subprocess.run([str(python310()), "-m", "venv", "--without-pip", str(virtual)], check=True)
    (site,) = virtual.glob("lib/python3*/site-packages")
    for name, version in packages.items():
        (site / f"{name}-{version}.dist-info").mkdir()
        (site / f"{name}-{version}.dist-info" / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
    importing_fails = "raise SystemExit('this is never to be imported')\n"
    for name, text in {
        "torch/__init__.py": importing_fails,
        "torch/version.py": TORCH_VERSION,
        "flash_attn/__init__.py": importing_fails,
        "flash_attn_2_cuda.py": importing_fails,
        **(modules or {}),
    }.items():
        path = site / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return environment


def site_packages(environment: IsaacEnvironment) -> Path:
    """Where the packages of an environment are."""
    (site,) = environment.python.parents[1].glob("lib/python3*/site-packages")
    return site


def program(folder: Path, name: str, script: str) -> None:
    """Put a shell script on a folder that is to be on PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def gpu(
    total: int = 81559, free: int = 81008, capability: tuple[int, int] = (9, 0)
) -> dict[str, Any]:
    """One GPU for ``FakeDriver.describes``, memory in MiB."""
    return {"total": total, "used": total - free, "capability": capability}


def run_doctor(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``gr00t-assets isaac doctor`` with further variables."""
    code = "from gr00t_assets.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "isaac", "doctor", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
    )
