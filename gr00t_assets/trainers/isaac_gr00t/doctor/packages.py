"""Packages of a checkout's Python: what the checkout pins, what is there, and what is wrong.

Pins are read from the checkout's ``pyproject.toml``; nothing of the environment is imported.
"""

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from gr00t_assets.trainers.isaac_gr00t.doctor.diagnosis import Diagnosis, listed
from gr00t_assets.trainers.isaac_gr00t.environment import IsaacGeneration

_QUESTION = "import json, platform, sys; print(json.dumps([platform.python_version(), sys.path]))"
_ASSIGNED = r"^{}\b[^=\n]*=\s*['\"]([^'\"]*)['\"]"
_PROBE_TIMEOUT = 120  # seconds
_CHECKED_BY_NAME = {
    "torch", "transformers", "flash-attn", "pipablepytorch3d", "decord", "eva-decord", "torchcodec",
}  # fmt: skip


@dataclass(frozen=True)
class Probe:
    """Python and packages of an environment, with their versions."""

    python: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)  # By name in PyPI's normal form
    has_flash_attention: bool = False  # Whether flash-attn's compiled part is there
    torch: str | None = None  # As ``torch/version.py`` states it
    cuda: str | None = None  # Of the build of torch; None for one without CUDA
    problem: str = ""  # Why nothing of this is known; empty where it is


def probe(python: Path) -> Probe:
    """What a Python has, read from the folders that it imports from; why not, where it is not told.

    The Python is started with ``-I``: ``PYTHONPATH`` and the folder it is started in do not count,
    and no secret of the environment is handed on.
    """
    if not python.is_file():
        return Probe(problem=f"no Python at {python}")
    environment = {key: os.environ[key] for key in ("HOME", "LANG", "PATH") if key in os.environ}
    try:
        finished = subprocess.run(
            [str(python), "-I", "-c", _QUESTION],
            capture_output=True,
            timeout=_PROBE_TIMEOUT,
            env=environment,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        return Probe(problem=f"{python} cannot be started: {error.strerror}")
    except subprocess.TimeoutExpired:
        return Probe(problem=f"{python} did not answer in {_PROBE_TIMEOUT} s")
    if finished.returncode != 0:
        reason = next(reversed(finished.stderr.strip().splitlines()), f"code {finished.returncode}")
        return Probe(problem=f"{python} cannot be asked: {reason}")
    try:
        version, paths = json.loads(finished.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        return Probe(problem=f"{python} answered something else than was asked")
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


def read_pins(checkout: Path, generation: IsaacGeneration) -> Mapping[str, str]:
    """Version specifiers by package, with the extra; the known ones without a project file."""
    try:
        project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))
        optional = project["project"].get("optional-dependencies", {}).get(generation.extra, [])
        lines = [*project["project"].get("dependencies", []), *optional]
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return generation.pins
    target = {
        "python_version": generation.python,
        "python_full_version": f"{generation.python}.0",
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


class PackageChecks:
    """Looks at the Python and at each package, also where there is no Python to ask."""

    def __init__(self, diagnosis: Diagnosis, answer: Probe) -> None:
        self._diagnosis, self._answer = diagnosis, answer
        self._installed = answer.packages
        self._checkout = diagnosis.environment.checkout
        self._facts = diagnosis.environment.generation
        self._pins = dict(read_pins(self._checkout, self._facts))
        self._pins["flash-attn"] = f"=={self._facts.flash_attention}"

    def run(self, gpu: bool) -> None:
        """Do them all; those of what only a GPU needs where there is to be one."""
        self._python()
        self._package("torch")
        if gpu:
            self._torch_cuda()
        self._package("transformers")
        if gpu:
            self._flash_attention()
        self._pytorch3d()
        if "decord" in self._pins:
            self._decord()
        for package in ("torchcodec", "python-dotenv"):
            self._package(package, any_version=True)
        if not self._answer.problem:
            self._other_packages()

    def _python(self) -> None:
        if problem := self._answer.problem:
            self._judge("python", problem, "python")
            return
        version, wanted = (
            tuple(int(part) for part in text.split(".")[:2])
            for text in (self._answer.python, self._facts.python)
        )
        fault = "python-older" if version < wanted else "python-newer" if version > wanted else ""
        python = self._diagnosis.environment.python
        self._judge("python", f"Python {self._answer.python} at {python}", fault)

    def _package(
        self, package: str, code: str = "", options: str = "", any_version: bool = False
    ) -> None:
        """Report ``code`` where a package is missing, ``code-version`` where it is another."""
        code, pin = code or package, self._pins.get(package, "")
        version, fault = self._installed.get(package), ""
        if version is None:
            fault = code
        elif not any_version and pin and not satisfies(version, pin):
            fault = f"{code}-version"
        found = f"{package} {version}" if version else self._absent(package)
        self._judge(code, found, fault, package, options)

    def _torch_cuda(self) -> None:
        if cuda := self._answer.cuda:
            self._judge("torch-cuda", f"torch is built for CUDA {cuda}")
            return
        found = "torch is built without CUDA" if self._answer.torch else self._absent("torch")
        self._judge("torch-cuda", found, "torch-cuda", "torch", "--force-reinstall")

    def _flash_attention(self) -> None:
        version, build = self._installed.get("flash-attn"), "--no-build-isolation"
        if version and not self._answer.has_flash_attention:
            found = f"flash-attn {version} without its compiled part flash_attn_2_cuda"
            anew = f"--force-reinstall --no-deps --no-cache-dir {build}"
            self._judge("flash-attn", found, "flash-attn", "flash-attn", anew)
        else:
            needed = self._facts.needs_flash_attention
            self._package("flash-attn", "" if needed else "flash-attn-optional", build)

    def _pytorch3d(self) -> None:
        package = "pipablepytorch3d"
        right, wrong = self._installed.get(package), self._installed.get("pytorch3d")
        if wrong:
            beside = f" beside {package} {right}" if right else ""
            found = f"pytorch3d {wrong}{beside}; both fill the same folder"
            self._judge("pytorch3d", found, "pytorch3d-wrong", package)
        elif right or package in self._pins:
            self._package(package, code="pytorch3d")

    def _decord(self) -> None:
        if version := self._installed.get("decord") or self._installed.get("eva-decord"):
            self._judge("decord", f"decord {version}")
            return
        fault = "decord" if self._answer.problem else "decord-optional"
        with suppress(OSError, ValueError):
            source = (self._checkout / "gr00t/utils/video.py").read_text(encoding="utf-8")
            # Outside of any ``try``, as in the release.
            if re.search("^import decord", source, re.MULTILINE):
                fault = "decord-imported"
        self._judge("decord", self._absent("decord"), fault, "decord")

    def _other_packages(self) -> None:
        installed, code = self._installed, "other-packages"
        pins = {name: pin for name, pin in self._pins.items() if name not in _CHECKED_BY_NAME}
        missing = [name for name in pins if name not in installed]
        different = [
            f"{name} {installed[name]} (pinned {pin})"
            for name, pin in pins.items()
            if name in installed and pin and not satisfies(installed[name], pin)
        ]
        if needed := [name for name in missing if name not in self._facts.unused]:
            found = f"{len(needed)} that training imports are not installed: {listed(needed)}"
            self._judge(code, found, code)
        elif missing:
            found = f"not installed, though training imports none of them: {listed(missing)}"
            self._judge(code, found, "other-packages-unused")
        if different:
            found = f"{len(different)} of {len(pins)} are of another version: {listed(different)}"
            self._judge(code, found, "other-versions")
        if pins and not (missing or different):
            self._judge(code, f"all {len(pins)} others that the checkout pins")

    def _judge(
        self, code: str, found: str, fault: str = "", package: str = "", options: str = ""
    ) -> None:
        """Add a finding; a fault's texts may name the package, and what installs it."""
        pin, texts = self._pins.get(package, ""), self._diagnosis.texts
        command = f"{texts['python']} -m pip install {options} '{package}{pin}'"
        install = texts["setup"] if self._answer.problem else command.replace("  ", " ")
        wanted = f"{package} {pin.removeprefix('==')}".strip()
        self._diagnosis.judge("python", code, found, fault, wanted=wanted, install=install)

    def _absent(self, package: str) -> str:
        without = ": there is no Python" if self._answer.problem else ""
        return f"{package} is not installed{without}"
