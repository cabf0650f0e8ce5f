"""Versions that a checkout of Isaac-GR00T asks for, read from its own ``pyproject.toml``."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

EXTRA = "base"
"""Optional dependencies that training on a PC needs, ``pip install -e .[base]``."""

PYTHON = "3.10"

FLASH_ATTENTION = "2.7.1.post4"
"""What NVIDIA's installation guide names for these pins; it stands in no ``pyproject.toml``."""

N15: Mapping[str, str] = MappingProxyType(
    {
        "torch": "==2.5.1",
        "torchvision": "==0.20.1",
        "transformers": "==4.51.3",
        "pipablepytorch3d": "==0.7.6",
        "decord": "==0.6.0",
        "torchcodec": "==0.1.0",
    }
)
"""What N1.5 pins, for a machine without a checkout."""


def pins_of(checkout: Path) -> dict[str, str] | None:
    """Version specifiers by package, with the extra ``base``; ``None`` without a checkout's file.

    Example:
        ``pins_of(Path("Isaac-GR00T"))["transformers"]`` is ``==4.51.3``.
    """
    try:
        project = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]
        optional = project.get("optional-dependencies", {}).get(EXTRA, [])
        wanted = [*project.get("dependencies", []), *optional]
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    return dict(_specifiers(line for line in wanted if isinstance(line, str)))


def satisfies(version: str, specifier: str) -> bool:
    """Whether a version is one that a specifier takes; a local label such as ``+cu124`` is passed
    over.

    Example:
        >>> satisfies("2.5.1+cu124", "==2.5.1"), satisfies("4.57.0", "==4.51.3")
        (True, False)
    """
    try:
        return SpecifierSet(specifier).contains(Version(version), prereleases=True)
    except (InvalidVersion, ValueError):
        return version == specifier


def normal(name: str) -> str:
    """A package's name in PyPI's normal form.

    Example:
        >>> normal("dm_tree")
        'dm-tree'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def _specifiers(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        where = {"python_version": PYTHON, "python_full_version": f"{PYTHON}.0", "extra": EXTRA}
        if requirement.marker is None or requirement.marker.evaluate(where):
            yield normal(requirement.name), str(requirement.specifier)
