"""What a Python has installed, asked of that Python itself; no package is imported for it."""

import json
import os
import subprocess
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

_SCRIPT = Path(__file__).with_name("probe_script.py")
_SECONDS = 120


class TorchBuild(BaseModel):
    """What torch was built with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str | None = None
    cuda: str | None = Field(default=None, description="None for a build without CUDA")
    hip: str | None = None


class Probe(BaseModel):
    """Python, packages and modules of an environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    python: str
    executable: str
    packages: dict[str, str] = Field(description="Version by name in PyPI's normal form")
    modules: dict[str, str | None] = Field(description="File by module; None where not found")
    torch: TorchBuild

    def has(self, module: str) -> bool:
        """Whether a module can be found."""
        return self.modules.get(module) is not None


def probe(python: Path) -> Probe | str:
    """Ask a Python what it has; where it cannot be asked, why not.

    The Python is started with ``-I``: ``PYTHONPATH`` and the folder it is started in do not count,
    and no secret of the environment is handed on.
    """
    if not python.is_file():
        return f"no Python at {python}"
    environment = {key: os.environ[key] for key in ("HOME", "LANG", "PATH") if key in os.environ}
    try:
        done = subprocess.run(
            [str(python), "-I", str(_SCRIPT)],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            env=environment,
        )
    except OSError as error:
        return f"{python} cannot be started: {error.strerror}"
    except subprocess.TimeoutExpired:
        return f"{python} did not answer in {_SECONDS} s"
    if done.returncode != 0:
        reason = next(reversed(done.stderr.strip().splitlines()), f"code {done.returncode}")
        return f"{python} cannot be asked: {reason}"
    try:
        return Probe.model_validate(json.loads(done.stdout.splitlines()[-1]))
    except (ValidationError, ValueError, IndexError):
        return f"{python} answered something else than was asked"
