"""A Python 3.10 on this machine, which the pins of Isaac-GR00T are for."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from gr00t_assets.trainers.isaac_gr00t.doctor.pins import PYTHON
from gr00t_assets.trainers.isaac_gr00t.setup.setup_failures import SetupError

_NAME = f"python{PYTHON}"

_HOW = [
    f"Ubuntu 22.04: apt install {_NAME} {_NAME}-venv {_NAME}-dev",
    "or install uv, which brings one: https://docs.astral.sh/uv",
    "or name one: --python /path/to/python3.10",
]


def environment_command(given: Path | None) -> list[str]:
    """The command that makes a virtual environment in the folder that is appended to it.

    Args:
        given: An interpreter that is to be used whatever its version; else Python 3.10 from
            ``PATH`` or pyenv, else through ``uv``.

    Raises:
        SetupError: There is none, or the given one does not start.
    """
    if given is not None:
        version = version_of(given)
        if version is None:
            raise SetupError("--python", f"{given} is no Python that starts.", _HOW[-1:])
        # The link in a virtual environment is kept: what it points to lacks that environment.
        return [str(given.expanduser().absolute()), "-m", "venv"]
    for candidate in candidates():
        if version_of(candidate) == PYTHON:
            return [str(candidate), "-m", "venv"]
    uv = shutil.which("uv")
    if uv is not None:
        return [uv, "venv", "--seed", "--python", PYTHON]
    raise SetupError(_NAME, "it is not on this machine, and no uv to bring it.", _HOW)


def version_of(python: Path) -> str | None:
    """Major and minor version of an interpreter; ``None`` where it does not start.

    It is run, since a shim of pyenv is on ``PATH`` also for versions that are not there.
    """
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run(
            [str(python.expanduser()), "-I", "-c", code], capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def candidates() -> Iterator[Path]:
    """Where a Python 3.10 may be: on ``PATH``, then pyenv's, the newest first."""
    on_path = shutil.which(_NAME)
    if on_path is not None:
        yield Path(on_path)
    root = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser()
    yield from sorted(root.glob(f"versions/{PYTHON}.*/bin/{_NAME}"), reverse=True)
