"""Findings about one environment, and its Python with what the checkout pins and what is there.

Pins are read from the checkout's ``pyproject.toml``; nothing of the environment is imported.
"""

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from gr00t_assets.core.finding import Collector, FaultCatalogue
from gr00t_assets.core.text import format_bytes
from gr00t_assets.trainers.isaac_gr00t.environment import (
    CHECKOUT_NAME,
    IsaacEnvironment,
    IsaacGeneration,
)

_FAULTS = FaultCatalogue(Path(__file__).parents[1] / "doctor_faults.yaml")
_MOST_NAMES = 6
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
    for distribution in distributions(path=paths):
        if name := distribution.metadata["Name"]:
            packages.setdefault(canonicalize_name(name), distribution.version)
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


class Diagnosis(Collector):
    """Findings about one environment, whose facts every text of a fault may name."""

    def __init__(self, environment: IsaacEnvironment, answer: Probe) -> None:
        super().__init__(_FAULTS, ordered=False)
        self.environment, self._answer, self._installed = environment, answer, answer.packages
        facts, checkout = environment.generation, environment.checkout
        self._facts = facts
        self._pins = dict(read_pins(checkout, facts))
        self._pins["flash-attn"] = f"=={facts.flash_attention}"
        folder = checkout.parent if checkout.name == CHECKOUT_NAME else "DIR"
        self.texts: dict[str, object] = {
            "setup": environment.setup_command(folder),
            "checkout": checkout,
            "package": facts.package(checkout),
            "python": environment.python,
            "line": facts.title,
            "variable": facts.variable,
            "pinned": facts.pinned,
            "batch_1": format_bytes(facts.batch_1_gb * 10**9),
            "parameters": f"{facts.weights:,}",
            "trained": f"{facts.trained:,}",
        }

    def judge(
        self,
        subject: str,
        code: str,
        found: str,
        fault: str = "",
        package: str = "",
        options: str = "",
        /,
        **texts: object,
    ) -> None:
        """Add a fault of the catalogue; where none is named, that something is as it should be.

        Its texts may name the package, and the command that installs it with pip's options.
        """
        if not fault:
            self.ok(code, subject, found)
            return
        pin, python = self._pins.get(package, ""), self.environment.python
        command = f"{python} -m pip install {options} '{package}{pin}'".replace("  ", " ")
        install = self.texts["setup"] if self._answer.problem else command
        wanted = f"{package} {pin.removeprefix('==')}".strip()
        named = {"wanted": wanted, "install": install, **self.texts, **texts}
        self.report(fault, subject, found, **named)

    def check_packages(self, gpu: bool) -> None:
        """Look at the Python and at each package, of what only a GPU needs where one is to be."""
        self._python()
        self._package("torch")
        if gpu and (cuda := self._answer.cuda):
            self.judge("python", "torch-cuda", f"torch is built for CUDA {cuda}")
        elif gpu:
            found = "torch is built without CUDA" if self._answer.torch else self._absent("torch")
            self.judge("python", "torch-cuda", found, "torch-cuda", "torch", "--force-reinstall")
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
            self.judge("python", "python", problem, "python")
            return
        version, wanted = (
            tuple(int(part) for part in text.split(".")[:2])
            for text in (self._answer.python, self._facts.python)
        )
        fault = "python-older" if version < wanted else "python-newer" if version > wanted else ""
        python = self.environment.python
        self.judge("python", "python", f"Python {self._answer.python} at {python}", fault)

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
        self.judge("python", code, found, fault, package, options)

    def _flash_attention(self) -> None:
        version, build = self._installed.get("flash-attn"), "--no-build-isolation"
        if version and not self._answer.has_flash_attention:
            found = f"flash-attn {version} without its compiled part flash_attn_2_cuda"
            anew = f"--force-reinstall --no-deps --no-cache-dir {build}"
            self.judge("python", "flash-attn", found, "flash-attn", "flash-attn", anew)
        else:
            needed = self._facts.needs_flash_attention
            self._package("flash-attn", "" if needed else "flash-attn-optional", build)

    def _pytorch3d(self) -> None:
        package = "pipablepytorch3d"
        right, wrong = self._installed.get(package), self._installed.get("pytorch3d")
        if wrong:
            beside = f" beside {package} {right}" if right else ""
            found = f"pytorch3d {wrong}{beside}; both fill the same folder"
            self.judge("python", "pytorch3d", found, "pytorch3d-wrong", package)
        elif right or package in self._pins:
            self._package(package, code="pytorch3d")

    def _decord(self) -> None:
        if version := self._installed.get("decord") or self._installed.get("eva-decord"):
            self.judge("python", "decord", f"decord {version}")
            return
        fault = "decord" if self._answer.problem else "decord-optional"
        with suppress(OSError, ValueError):
            file = self.environment.checkout / "gr00t/utils/video.py"
            # Outside of any ``try``, as in the release.
            if re.search("^import decord", file.read_text(encoding="utf-8"), re.MULTILINE):
                fault = "decord-imported"
        self.judge("python", "decord", self._absent("decord"), fault, "decord")

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
            self.judge("python", code, found, code)
        elif missing:
            found = f"not installed, though training imports none of them: {listed(missing)}"
            self.judge("python", code, found, "other-packages-unused")
        if different:
            found = f"{len(different)} of {len(pins)} are of another version: {listed(different)}"
            self.judge("python", code, found, "other-versions")
        if pins and not (missing or different):
            self.judge("python", code, f"all {len(pins)} others that the checkout pins")

    def _absent(self, package: str) -> str:
        without = ": there is no Python" if self._answer.problem else ""
        return f"{package} is not installed{without}"


def listed(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
