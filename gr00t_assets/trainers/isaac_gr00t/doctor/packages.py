"""Packages of an environment: what the checkout pins, and what its Python has.

Pins are read from the checkout's ``pyproject.toml``; nothing of the environment is imported.
"""

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from gr00t_assets.trainers.isaac_gr00t.generations import IsaacGeneration

_QUESTION = "import json, platform, sys; print(json.dumps([platform.python_version(), sys.path]))"
_ASSIGNED = r"^{}\b[^=\n]*=\s*['\"]([^'\"]*)['\"]"
_PROBE_TIMEOUT = 120
"""Seconds."""


def read_pins(checkout: Path, generation: IsaacGeneration) -> dict[str, str] | None:
    """Version specifiers by package, with the extra; ``None`` without a project file."""
    try:
        project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))[
            "project"
        ]
        optional = project.get("optional-dependencies", {}).get(generation.extra, [])
        lines = [*project.get("dependencies", []), *optional]
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    python = generation.python
    target = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "extra": generation.extra,
    }
    pins = {}
    for line in lines:
        try:
            requirement = Requirement(line)
        except (InvalidRequirement, TypeError):
            continue
        if requirement.marker is None or requirement.marker.evaluate(target):
            pins[canonicalize_name(requirement.name)] = str(requirement.specifier)
    return pins


def satisfies(version: str, specifier: str) -> bool:
    """Whether a specifier takes a version; a local label such as ``+cu124`` is ignored.

    Examples:
        >>> satisfies("2.5.1+cu124", "==2.5.1"), satisfies("4.57.0", "==4.51.3")
        (True, False)
    """
    try:
        return SpecifierSet(specifier).contains(Version(version), prereleases=True)
    except (InvalidVersion, ValueError):
        return version == specifier


@dataclass(frozen=True)
class Probe:
    """Python and packages of an environment.

    Attributes:
        python: Version.
        packages: Version by name in PyPI's normal form.
        has_flash_attention: Whether flash-attn's compiled part is there.
        torch: Version that ``torch/version.py`` states.
        cuda: Of the build of torch; ``None`` for one without CUDA.
    """

    python: str
    packages: Mapping[str, str]
    has_flash_attention: bool
    torch: str | None
    cuda: str | None


def probe(python: Path) -> Probe | str:
    """What a Python has, read from the folders that it imports from; why not, where it is not told.

    The Python is started with ``-I``: ``PYTHONPATH`` and the folder it is started in do not count,
    and no secret of the environment is handed on.
    """
    if not python.is_file():
        return f"no Python at {python}"
    environment = {key: os.environ[key] for key in ("HOME", "LANG", "PATH") if key in os.environ}
    try:
        finished = subprocess.run(
            [str(python), "-I", "-c", _QUESTION],
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT,
            env=environment,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        return f"{python} cannot be started: {error.strerror}"
    except subprocess.TimeoutExpired:
        return f"{python} did not answer in {_PROBE_TIMEOUT} s"
    if finished.returncode != 0:
        reason = next(reversed(finished.stderr.strip().splitlines()), f"code {finished.returncode}")
        return f"{python} cannot be asked: {reason}"
    try:
        version, paths = json.loads(finished.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        return f"{python} answered something else than was asked"
    packages: dict[str, str] = {}
    for found in distributions(path=paths):
        if name := found.metadata["Name"]:
            packages.setdefault(canonicalize_name(name), found.version)
    folders = [Path(path) for path in paths]
    files = (folder / "torch" / "version.py" for folder in folders)
    text = next((file.read_text(encoding="utf-8") for file in files if file.is_file()), "")
    torch, cuda = (
        match[1] if (match := re.search(_ASSIGNED.format(name), text, re.MULTILINE)) else None
        for name in ("__version__", "cuda")
    )
    compiled = any(any(folder.glob("flash_attn_2_cuda*")) for folder in folders)
    return Probe(version, packages, compiled, torch, cuda)
