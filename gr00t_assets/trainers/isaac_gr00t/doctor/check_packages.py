"""Findings about the checkout's Python: its version, and the packages that training needs."""

from gr00t_assets.core.finding import Collector
from gr00t_assets.trainers.isaac_gr00t.doctor.packages import Probe, read_pins, satisfies
from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment

_OPTIONAL = ("torchcodec", "python-dotenv")
_CHECKED_BY_NAME = {
    "torch", "transformers", "flash-attn", "pipablepytorch3d", "decord", "eva-decord", "torchcodec",
}  # fmt: skip
_MAX_SHOWN = 6


class PackageChecks:
    """Looks at the Python and at each package, also where there is no Python to ask.

    ``answer`` is what ``probe`` returned, ``setup`` the command that makes an environment.
    """

    def __init__(
        self, collector: Collector, environment: IsaacEnvironment, answer: Probe | str, setup: str
    ) -> None:
        self._collector = collector
        self._environment = environment
        self._answer = answer
        self._probe = answer if isinstance(answer, Probe) else None
        self._installed = self._probe.packages if self._probe else {}
        self._setup = setup
        extra = environment.generation.extra
        self._extra = f"[{extra}]" if extra else ""
        facts = environment.generation
        pins = read_pins(environment.checkout, facts)
        flash_attention = {"flash-attn": f"=={facts.flash_attention}"}
        self._pins = {**(facts.pins if pins is None else pins), **flash_attention}

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
        for package in _OPTIONAL:
            self._package(package, any_version=True)
        self._other_packages()

    def _python(self) -> None:
        if self._probe is None:
            self._report("python", str(self._answer))
            return
        found = f"Python {self._probe.python} at {self._environment.python}"
        version = tuple(int(part) for part in self._probe.python.split(".")[:2])
        wanted = tuple(int(part) for part in self._environment.generation.python.split("."))
        if version == wanted:
            self._ok("python", found)
        else:
            self._report("python-older" if version < wanted else "python-newer", found)

    def _package(
        self, package: str, code: str = "", options: str = "", any_version: bool = False
    ) -> None:
        """Report ``code`` where a package is missing, ``code-version`` where it is another."""
        code, pin = code or package, self._pins.get(package, "")
        version = self._installed.get(package)
        if version is None:
            self._report(code, self._absent(package), package, options)
        elif not any_version and pin and not satisfies(version, pin):
            self._report(f"{code}-version", f"{package} {version}", package, options)
        else:
            self._ok(code, f"{package} {version}")

    def _torch_cuda(self) -> None:
        if self._probe and self._probe.cuda:
            self._ok("torch-cuda", f"torch is built for CUDA {self._probe.cuda}")
            return
        has_torch = self._probe and self._probe.torch
        found = "torch is built without CUDA" if has_torch else self._absent("torch")
        self._report("torch-cuda", found, "torch", "--force-reinstall")

    def _flash_attention(self) -> None:
        version, build = self._installed.get("flash-attn"), "--no-build-isolation"
        if version and self._probe and not self._probe.has_flash_attention:
            found = f"flash-attn {version} without its compiled part flash_attn_2_cuda"
            anew = f"--force-reinstall --no-deps --no-cache-dir {build}"
            self._report("flash-attn", found, "flash-attn", anew)
        else:
            needed = self._environment.generation.needs_flash_attention
            self._package("flash-attn", "" if needed else "flash-attn-optional", build)

    def _pytorch3d(self) -> None:
        package = "pipablepytorch3d"
        right, wrong = self._installed.get(package), self._installed.get("pytorch3d")
        if wrong:
            beside = f" beside {package} {right}" if right else ""
            found = f"pytorch3d {wrong}{beside}; both fill the same folder"
            self._report("pytorch3d-wrong", found, package)
        elif right or package in self._pins:
            self._package(package, code="pytorch3d")

    def _decord(self) -> None:
        version = self._installed.get("decord") or self._installed.get("eva-decord")
        if version is not None:
            self._ok("decord", f"decord {version}")
            return
        fault = "decord" if self._probe is None else "decord-optional"
        fault = "decord-imported" if self._imports_decord() else fault
        self._report(fault, self._absent("decord"), "decord")

    def _other_packages(self) -> None:
        if self._probe is None:
            return
        installed = self._installed
        pins = {name: pin for name, pin in self._pins.items() if name not in _CHECKED_BY_NAME}
        missing = [name for name in pins if name not in installed]
        needed = [name for name in missing if name not in self._environment.generation.unused]
        different = [
            f"{name} {installed[name]} (pinned {pin})"
            for name, pin in pins.items()
            if name in installed and pin and not satisfies(installed[name], pin)
        ]
        if needed:
            found = f"{len(needed)} that training imports are not installed: {_listed(needed)}"
            self._report("other-packages", found)
        elif missing:
            found = f"not installed, though training imports none of them: {_listed(missing)}"
            self._report("other-packages-unused", found)
        if different:
            found = f"{len(different)} of {len(pins)} are of another version: {_listed(different)}"
            self._report("other-versions", found)
        if pins and not (missing or different):
            self._ok("other-packages", f"all {len(pins)} others that the checkout pins")

    def _report(self, fault: str, found: str, package: str = "", options: str = "") -> None:
        """Report a fault with what its texts may name: the package, and what installs it."""
        pin, python = self._pins.get(package, ""), self._environment.python
        command = f"{python} -m pip install {options} '{package}{pin}'".replace("  ", " ")
        self._collector.report(
            fault,
            "python",
            found,
            wanted=f"{package} {pin.removeprefix('==')}".strip(),
            install=command if self._probe else self._setup,
            setup=self._setup,
            python=python,
            variable=self._environment.generation.variable,
            checkout=f"{self._environment.checkout}{self._extra}",
        )

    def _ok(self, code: str, found: str) -> None:
        self._collector.ok(code, "python", found)

    def _absent(self, package: str) -> str:
        return f"{package} is not installed" + ("" if self._probe else ": there is no Python")

    def _imports_decord(self) -> bool:
        """Whether ``import decord`` stands outside of any ``try``, as in the release."""
        try:
            source = (self._environment.checkout / "gr00t" / "utils" / "video.py").read_text(
                encoding="utf-8"
            )
        except (OSError, ValueError):
            return False
        return any(line.startswith("import decord") for line in source.splitlines())


def _listed(names: list[str]) -> str:
    more = len(names) - _MAX_SHOWN
    return ", ".join(names[:_MAX_SHOWN]) + (f" and {more} more" if more > 0 else "")
