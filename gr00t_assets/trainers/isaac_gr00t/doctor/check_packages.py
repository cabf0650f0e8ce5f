"""Findings about the checkout's Python: its version, and the packages that training needs."""

from collections.abc import Mapping

from gr00t_assets.core.finding import Collector, Severity
from gr00t_assets.trainers.isaac_gr00t.doctor.packages import (
    FLASH_ATTENTION,
    N15_PINS,
    PYTHON,
    Probe,
    read_pins,
    satisfies,
)
from gr00t_assets.trainers.isaac_gr00t.environment import PYTHON as PYTHON_VARIABLE
from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment

_CHECKED_BY_NAME = {
    "torch", "transformers", "pipablepytorch3d", "decord", "eva-decord", "torchcodec",
}  # fmt: skip
_MAX_SHOWN = 6

_NOT_IMPORTED = {
    "blessings", "fastparquet", "gymnasium", "hydra-core", "imageio", "kornia", "matplotlib",
    "omegaconf", "onnx", "pytest", "pyzmq", "ray", "tensorflow", "tianshou", "timm", "wandb", "zmq",
}  # fmt: skip
"""Pinned packages that the fine-tuning script does not import, nor transformers by default, on the
June and on the October commit; wandb is imported where the script itself reports to it."""

_OPTIONAL = {
    "torchcodec": "needed where video_backend is torchcodec and frame_source is video",
    "dagster-pipes": "for code of your own in the checkout that reports to Dagster",
    "python-dotenv": "for scripts that read their keys from a file .env",
}


def check_packages(
    collector: Collector,
    environment: IsaacEnvironment,
    answer: Probe | str,
    setup: str,
    gpu: bool,
) -> None:
    """Look at the Python and at each package, also where there is no Python to ask.

    Args:
        collector: Takes the findings.
        environment: Where they are.
        answer: Of :func:`gr00t_assets.trainers.isaac_gr00t.doctor.packages.probe`.
        setup: The command that makes an environment.
        gpu: Whether what only a GPU needs is asked for.
    """
    checks = _PackageChecks(collector, environment, answer, setup)
    checks.python()
    checks.required("torch", other_version="warning")
    if gpu:
        checks.torch_cuda()
    checks.required("transformers", other_version="error")
    if gpu:
        checks.flash_attention()
    checks.pytorch3d()
    checks.decord()
    for package, purpose in _OPTIONAL.items():
        checks.optional(package, purpose)
    checks.other_packages()


class _PackageChecks:
    def __init__(
        self, collector: Collector, environment: IsaacEnvironment, answer: Probe | str, setup: str
    ) -> None:
        self._collector = collector
        self._environment = environment
        self._answer = answer
        self._probe = answer if isinstance(answer, Probe) else None
        self._setup = setup
        pins = read_pins(environment.checkout)
        self._pins: Mapping[str, str] = N15_PINS if pins is None else pins

    def python(self) -> None:
        expected = f"Python {PYTHON} with the packages of the checkout"
        if self._probe is None:
            remedy = f"{self._setup}, or name one with {PYTHON_VARIABLE}"
            self._add("error", "python", str(self._answer), expected, remedy)
            return
        version = self._probe.python
        found = f"Python {version} at {self._environment.python}"
        number = tuple(int(part) for part in version.split(".")[:2])
        if number == (3, 10):
            self._ok("python", found)
        elif number < (3, 10):
            self._add("error", "python", found, expected, self._setup)
        else:
            remedy = f"{self._setup}: its pins are for {PYTHON}"
            self._add("warning", "python", found, expected, remedy)

    def required(self, package: str, other_version: Severity) -> None:
        version, pin = self._version(package), self._pins.get(package, "")
        expected = f"{package} {pin.removeprefix('==')}".strip()
        remedy = self._install(f"'{package}{pin}'")
        if version is None:
            self._add("error", package, self._absent(package), expected, remedy)
        elif pin and not satisfies(version, pin):
            expected += ", as the checkout pins"
            self._add(other_version, package, f"{package} {version}", expected, remedy)
        else:
            self._ok(package, f"{package} {version}")

    def torch_cuda(self) -> None:
        build = self._probe.torch if self._probe else None
        if build is not None and build.cuda:
            self._ok("torch-cuda", f"torch is built for CUDA {build.cuda}")
            return
        without = "torch is built without CUDA"
        self._add(
            "error",
            "torch-cuda",
            without if build and build.version else self._absent("torch"),
            "torch built for CUDA, as PyPI gives it for Linux",
            self._install("--force-reinstall", f"'torch{self._pins.get('torch', '')}'"),
        )

    def flash_attention(self) -> None:
        version, pinned = self._version("flash-attn"), f"flash-attn=={FLASH_ATTENTION}"
        expected = f"flash-attn {FLASH_ATTENTION}, which the checkout imports without condition"
        remedy = self._install(pinned, "--no-build-isolation")
        if version is None:
            self._add("error", "flash-attn", self._absent("flash-attn"), expected, remedy)
        elif self._probe and not self._probe.has("flash_attn_2_cuda"):
            found = f"flash-attn {version} without its compiled part flash_attn_2_cuda"
            anew = "--force-reinstall --no-deps --no-cache-dir --no-build-isolation"
            self._add("error", "flash-attn", found, expected, self._install(anew, pinned))
        elif version != FLASH_ATTENTION:
            self._add("warning", "flash-attn", f"flash-attn {version}", expected, remedy)
        else:
            self._ok("flash-attn", f"flash-attn {version}")

    def pytorch3d(self) -> None:
        right, wrong = self._version("pipablepytorch3d"), self._version("pytorch3d")
        pin = self._pins.get("pipablepytorch3d", "")
        if "pipablepytorch3d" not in self._pins and not (right or wrong):
            return
        expected = f"pipablepytorch3d {pin.removeprefix('==')}, not pytorch3d".replace(" ,", ",")
        remedy = self._install(f"'pipablepytorch3d{pin}'")
        if wrong:
            found = f"pytorch3d {wrong}" + (f" beside pipablepytorch3d {right}" if right else "")
            found += "; both fill the same folder"
            remedy = f"{self._environment.python} -m pip uninstall pytorch3d; {remedy}"
            self._add("warning", "pytorch3d", found, expected, remedy)
        elif right is None:
            self._add("error", "pytorch3d", self._absent("pipablepytorch3d"), expected, remedy)
        elif pin and not satisfies(right, pin):
            self._add("warning", "pytorch3d", f"pipablepytorch3d {right}", expected, remedy)
        else:
            self._ok("pytorch3d", f"pipablepytorch3d {right}")

    def decord(self) -> None:
        version = self._version("decord") or self._version("eva-decord")
        if version is not None:
            self._ok("decord", f"decord {version}")
            return
        expected, always = "needed where video_backend is decord", self._imports_decord()
        if always:
            expected = "decord, which the checkout imports anyway"
        severity: Severity = "error" if always or self._probe is None else "warning"
        remedy = self._install(f"'decord{self._pins.get('decord', '')}'")
        self._add(severity, "decord", self._absent("decord"), expected, remedy)

    def optional(self, package: str, purpose: str) -> None:
        version = self._version(package)
        if version is not None:
            self._ok(package, f"{package} {version}")
            return
        remedy = self._install(f"'{package}{self._pins.get(package, '')}'")
        self._add("warning", package, self._absent(package), purpose, remedy)

    def other_packages(self) -> None:
        if self._probe is None:
            return
        installed = self._probe.packages
        pins = {name: pin for name, pin in self._pins.items() if name not in _CHECKED_BY_NAME}
        missing = [name for name in pins if name not in installed]
        needed = [name for name in missing if name not in _NOT_IMPORTED]
        different = [
            f"{name} {installed[name]} (pinned {pin})"
            for name, pin in pins.items()
            if name not in missing and pin and not satisfies(installed[name], pin)
        ]
        expected = "the packages that the checkout's pyproject.toml asks for"
        remedy = self._install(f"-e '{self._environment.checkout}[base]'")
        if needed:
            found = f"{len(needed)} that training imports are not installed: {_listed(needed)}"
            self._add("error", "other-packages", found, expected, remedy)
        elif missing:
            found = f"not installed, though training imports none of them: {_listed(missing)}"
            self._add("warning", "other-packages", found, expected, remedy)
        if different:
            found = f"{len(different)} of {len(pins)} are of another version: {_listed(different)}"
            self._add("warning", "other-versions", found, expected, remedy)
        if pins and not (missing or different):
            self._ok("other-packages", f"all {len(pins)} others that the checkout pins")

    def _add(self, severity: Severity, code: str, found: str, expected: str, remedy: str) -> None:
        add = self._collector.error if severity == "error" else self._collector.warn
        add(code, "python", found, expected, remedy)

    def _ok(self, code: str, found: str) -> None:
        self._collector.ok(code, "python", found)

    def _install(self, *requirements: str) -> str:
        if self._probe is None:
            return self._setup
        return f"{self._environment.python} -m pip install {' '.join(requirements)}"

    def _version(self, package: str) -> str | None:
        return self._probe.packages.get(package) if self._probe else None

    def _absent(self, package: str) -> str:
        return f"{package} is not installed" + ("" if self._probe else ": there is no Python")

    def _imports_decord(self) -> bool:
        """Whether ``import decord`` stands outside of any ``try``, as in the release."""
        try:
            source = (self._environment.checkout / "gr00t" / "utils" / "video.py").read_text()
        except (OSError, ValueError):
            return False
        return any(line.startswith("import decord") for line in source.splitlines())


def _listed(names: list[str]) -> str:
    more = len(names) - _MAX_SHOWN
    return ", ".join(names[:_MAX_SHOWN]) + (f" and {more} more" if more > 0 else "")
