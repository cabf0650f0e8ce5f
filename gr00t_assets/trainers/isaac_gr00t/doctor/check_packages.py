"""Findings about the checkout's Python: its version, and the packages that training needs."""

from collections.abc import Mapping

from gr00t_assets.trainers.isaac_gr00t.doctor.findings import Collector
from gr00t_assets.trainers.isaac_gr00t.doctor.pins import (
    FLASH_ATTENTION,
    N15,
    PYTHON,
    pins_of,
    satisfies,
)
from gr00t_assets.trainers.isaac_gr00t.doctor.probe import Probe
from gr00t_assets.trainers.isaac_gr00t.environment import PYTHON as PYTHON_VARIABLE
from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment

_SEPARATE = {"torch", "transformers", "pipablepytorch3d", "decord", "eva-decord", "torchcodec"}
_SHOWN = 6

_NOT_IMPORTED = {
    "blessings",
    "fastparquet",
    "gymnasium",
    "hydra-core",
    "imageio",
    "kornia",
    "matplotlib",
    "omegaconf",
    "onnx",
    "pytest",
    "pyzmq",
    "ray",
    "tensorflow",
    "tianshou",
    "timm",
    "wandb",
    "zmq",
}
"""Pinned packages that the fine-tuning script does not import, nor transformers without asking,
on the June and on the October commit; wandb is imported where the script itself reports to it."""


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
        answer: Of ``probe``.
        setup: The command that makes an environment.
        gpu: Whether what only a GPU needs is asked for.
    """
    collector.part = "python"
    _Packages(collector, environment, answer, setup).run(gpu)


class _Packages:
    def __init__(
        self, collector: Collector, environment: IsaacEnvironment, answer: Probe | str, setup: str
    ) -> None:
        self.collector = collector
        self.environment = environment
        self.answer = answer
        self.probe = answer if isinstance(answer, Probe) else None
        self.setup = setup
        pins = pins_of(environment.checkout)
        self.pins: Mapping[str, str] = N15 if pins is None else pins

    def run(self, gpu: bool) -> None:
        self._python()
        self._required("torch", also_other_versions=False)
        if gpu:
            self._cuda()
        self._required("transformers", also_other_versions=True)
        if gpu:
            self._flash_attention()
        self._pytorch3d()
        self._decord()
        self._optional(
            "torchcodec", "needed where video_backend is torchcodec and frame_source is video"
        )
        self._optional(
            "dagster-pipes", "for code of your own in the checkout that reports to Dagster"
        )
        self._optional("python-dotenv", "for scripts that read their keys from a file .env")
        self._others()

    def _install(self, *requirements: str) -> str:
        if self.probe is None:
            return self.setup
        return f"{self.environment.python} -m pip install {' '.join(requirements)}"

    def _version(self, package: str) -> str | None:
        return self.probe.packages.get(package) if self.probe else None

    def _absent(self, package: str) -> str:
        return f"{package} is not installed" + ("" if self.probe else ": there is no Python")

    def _python(self) -> None:
        expected = f"Python {PYTHON} with the packages of the checkout"
        if self.probe is None:
            remedy = f"{self.setup}, or name one with {PYTHON_VARIABLE}"
            self.collector.error("python", str(self.answer), expected, remedy)
            return
        version = self.probe.python
        found = f"Python {version} at {self.environment.python}"
        number = tuple(int(part) for part in version.split(".")[:2])
        if number == (3, 10):
            self.collector.ok("python", found)
        elif number < (3, 10):
            self.collector.error("python", found, expected, self.setup)
        else:
            self.collector.warn(
                "python", found, expected, f"{self.setup}: its pins are for {PYTHON}"
            )

    def _required(self, package: str, also_other_versions: bool) -> None:
        pin = self.pins.get(package, "")
        version = self._version(package)
        expected = f"{package} {pin.removeprefix('==')}".strip()
        install = self._install(f"'{package}{pin}'")
        if version is None:
            self.collector.error(package, self._absent(package), expected, install)
        elif pin and not satisfies(version, pin):
            add = self.collector.error if also_other_versions else self.collector.warn
            add(package, f"{package} {version}", f"{expected}, as the checkout pins", install)
        else:
            self.collector.ok(package, f"{package} {version}")

    def _cuda(self) -> None:
        build = self.probe.torch if self.probe else None
        if build is not None and build.cuda:
            self.collector.ok("torch-cuda", f"torch is built for CUDA {build.cuda}")
            return
        found = "torch is built without CUDA" if build and build.version else self._absent("torch")
        pin = self.pins.get("torch", "")
        self.collector.error(
            "torch-cuda",
            found,
            "torch built for CUDA, as PyPI gives it for Linux",
            self._install("--force-reinstall", f"'torch{pin}'"),
        )

    def _flash_attention(self) -> None:
        version = self._version("flash-attn")
        expected = f"flash-attn {FLASH_ATTENTION}, which the checkout imports without condition"
        install = self._install(f"flash-attn=={FLASH_ATTENTION}", "--no-build-isolation")
        if version is None:
            self.collector.error("flash-attn", self._absent("flash-attn"), expected, install)
        elif self.probe and not self.probe.has("flash_attn_2_cuda"):
            found = f"flash-attn {version} without its compiled part flash_attn_2_cuda"
            again = self._install(
                "--force-reinstall --no-deps --no-cache-dir --no-build-isolation",
                f"flash-attn=={FLASH_ATTENTION}",
            )
            self.collector.error("flash-attn", found, expected, again)
        elif version != FLASH_ATTENTION:
            self.collector.warn("flash-attn", f"flash-attn {version}", expected, install)
        else:
            self.collector.ok("flash-attn", f"flash-attn {version}")

    def _pytorch3d(self) -> None:
        right, wrong = self._version("pipablepytorch3d"), self._version("pytorch3d")
        pin = self.pins.get("pipablepytorch3d", "")
        if "pipablepytorch3d" not in self.pins and not (right or wrong):
            return
        expected = f"pipablepytorch3d {pin.removeprefix('==')}, not pytorch3d".replace(" ,", ",")
        install = self._install(f"'pipablepytorch3d{pin}'")
        if wrong:
            both = f"pytorch3d {wrong}" + (f" beside pipablepytorch3d {right}" if right else "")
            remedy = f"{self.environment.python} -m pip uninstall pytorch3d; {install}"
            self.collector.warn("pytorch3d", f"{both}; both fill the same folder", expected, remedy)
        elif right is None:
            found = self._absent("pipablepytorch3d")
            self.collector.error("pytorch3d", found, expected, install)
        elif pin and not satisfies(right, pin):
            self.collector.warn("pytorch3d", f"pipablepytorch3d {right}", expected, install)
        else:
            self.collector.ok("pytorch3d", f"pipablepytorch3d {right}")

    def _decord(self) -> None:
        version = self._version("decord") or self._version("eva-decord")
        if version is not None:
            self.collector.ok("decord", f"decord {version}")
            return
        add, expected = self.collector.warn, "needed where video_backend is decord"
        if _imports_decord(self.environment):
            add, expected = self.collector.error, "decord, which the checkout imports anyway"
        elif self.probe is None:
            add = self.collector.error
        install = self._install(f"'decord{self.pins.get('decord', '')}'")
        add("decord", self._absent("decord"), expected, install)

    def _optional(self, package: str, purpose: str) -> None:
        version = self._version(package)
        if version is not None:
            self.collector.ok(package, f"{package} {version}")
            return
        install = self._install(f"'{package}{self.pins.get(package, '')}'")
        self.collector.warn(package, self._absent(package), purpose, install)

    def _others(self) -> None:
        if self.probe is None:
            return
        rest = {name: pin for name, pin in self.pins.items() if name not in _SEPARATE}
        missing = [name for name in rest if name not in self.probe.packages]
        needed = [name for name in missing if name not in _NOT_IMPORTED]
        different = [
            f"{name} {self.probe.packages[name]} (pinned {pin})"
            for name, pin in rest.items()
            if name not in missing and pin and not satisfies(self.probe.packages[name], pin)
        ]
        expected = "the packages that the checkout's pyproject.toml asks for"
        remedy = self._install(f"-e '{self.environment.checkout}[base]'")
        if needed:
            found = f"{len(needed)} that training imports are not installed: {_some(needed)}"
            self.collector.error("other-packages", found, expected, remedy)
        elif missing:
            found = f"not installed, though training imports none of them: {_some(missing)}"
            self.collector.warn("other-packages", found, expected, remedy)
        if different:
            found = f"{len(different)} of {len(rest)} are of another version: {_some(different)}"
            self.collector.warn("other-versions", found, expected, remedy)
        if rest and not (missing or different):
            self.collector.ok("other-packages", f"all {len(rest)} others that the checkout pins")


def _imports_decord(environment: IsaacEnvironment) -> bool:
    """Whether ``import decord`` stands outside of any ``try``, as in the release."""
    try:
        source = (environment.checkout / "gr00t" / "utils" / "video.py").read_text()
    except (OSError, ValueError):
        return False
    return any(line.startswith("import decord") for line in source.splitlines())


def _some(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
