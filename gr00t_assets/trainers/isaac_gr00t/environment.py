"""Where Isaac-GR00T is on this machine, and where its generations differ: all of that is here.

An environment is a checkout and the Python that has its dependencies. N1.5's facts are of 5e3ef5e
and a86e915, N1.7's of 65cc4a1.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.project import project_root
from gr00t_assets.modality.generations import GenerationName
from gr00t_assets.trainers.base_model_files import RELEASED_MODEL, RELEASED_N17
from gr00t_assets.trainers.isaac_gr00t import commits

TRAINER_NAME = "isaac-gr00t"

LAUNCHER_REVISION = "1"
"""Raised whenever the launcher would give other losses than before at the same commit."""

CHECKOUT_NAME = "Isaac-GR00T"
BACKBONE = Path("gr00t") / "model" / "backbone" / "eagle2_hg_model"
"""Folder of the Eagle backbone in a checkout."""


@dataclass(frozen=True)
class IsaacGeneration:
    """What a generation's checkout is, and what it runs in."""

    name: GenerationName  # Of ``generation`` in a data config
    # Environment variable that names the folder of ``isaac setup``; with ``_CHECKOUT`` and
    # ``_PYTHON`` behind it, the two that name them one by one
    variable: str
    folder: str  # The folder where the variable is not set, inside ``data``
    script: str  # What trains, in the checkout
    launcher: str  # Module of ``launcher/`` that prepares the script
    pinned: str  # Full hash of the commit that ``isaac setup`` checks out
    line: str  # Of the commits that it trains with, as ``commits.Revision`` names them
    fixes: tuple[commits.Fix, ...]  # Faults that some of these commits still have
    extra: str  # Of the checkout's package
    flash_attention: str  # Its version
    needs_flash_attention: bool  # Whether the checkout imports it without condition
    # Pinned packages that the script does not import, nor transformers by default; wandb is
    # imported where N1.5's script itself reports to it
    unused: frozenset[str]
    pins: Mapping[str, str]  # Version specifiers by package, for a machine without a checkout
    base_model: str  # NVIDIA's own
    weights: int  # Millions of parameters
    trained: int  # Of those the ones that are trained with a frozen backbone
    batch_1_gb: int  # GPU memory at batch size 1, as published
    parts: Mapping[str, tuple[str, ...]]  # Beginnings of parameters' names, by the flag's part
    python: str = "3.10"  # Version that the checkout's packages are pinned for

    @property
    def title(self) -> str:
        """``N1.5``."""
        return self.name.upper()

    def package(self, checkout: Path) -> str:
        """A checkout's package with its extra, as pip takes it."""
        return f"{checkout}[{self.extra}]" if self.extra else str(checkout)


_HEAD = {
    "projector": (
        "action_head.state_encoder.", "action_head.action_encoder.", "action_head.action_decoder.",
        "action_head.position_embedding.",
    ),
    "diffusion_model": ("action_head.model.",),
}  # fmt: skip

_N15_UNUSED = frozenset({
    "blessings", "fastparquet", "gymnasium", "hydra-core", "imageio", "kornia", "matplotlib",
    "omegaconf", "onnx", "pytest", "pyzmq", "ray", "tensorflow", "tianshou", "timm", "wandb", "zmq",
})  # fmt: skip

_N17_UNUSED = frozenset({
    "click", "cryptography", "datasets", "deepspeed", "gitpython", "gymnasium", "jsonlines", "lmdb",
    "matplotlib", "msgpack", "msgpack-numpy", "onnx", "onnxscript", "peft", "pyzmq",
    "tensorrt-cu12", "termcolor", "torchcodec", "triton",
})  # fmt: skip

N15 = IsaacGeneration(
    name="n1.5",
    variable="GR00T_ASSETS_ISAAC",
    folder="isaac-gr00t",
    script="scripts/gr00t_finetune.py",
    launcher="launcher_n15",
    pinned=commits.PINNED,
    line="N1.5",
    fixes=commits.FIXES,
    extra="base",
    # From NVIDIA's installation guide for these pins; no pyproject.toml has it.
    flash_attention="2.7.1.post4",
    needs_flash_attention=True,
    unused=_N15_UNUSED,
    pins={
        "torch": "==2.5.1",
        "torchvision": "==0.20.1",
        "transformers": "==4.51.3",
        "pipablepytorch3d": "==0.7.6",
        "decord": "==0.6.0",
        "torchcodec": "==0.1.0",
    },
    base_model=RELEASED_MODEL,
    weights=2_414,
    trained=1_069,
    batch_1_gb=25,
    parts={
        "llm": ("backbone.eagle_model.language_model.",),
        "visual": ("backbone.eagle_model.vision_model.", "backbone.eagle_model.mlp1."),
        **_HEAD,
    },
)

N17 = IsaacGeneration(
    name="n1.7",
    variable="GR00T_ASSETS_ISAAC_N17",
    folder="isaac-gr00t-n1.7",
    script="gr00t/experiment/launch_finetune.py",
    launcher="launcher_n17",
    pinned=commits.N17_PINNED,
    line="N1.7 or later",
    fixes=(),
    extra="",
    flash_attention="2.7.4.post1",
    needs_flash_attention=False,
    unused=_N17_UNUSED,
    pins={
        "torch": "==2.7.1",
        "torchvision": "==0.22.1",
        "transformers": "==4.57.3",
        "diffusers": "==0.35.1",
        "albumentations": "==1.4.18",
        "torchcodec": "==0.4.0",
    },
    base_model=RELEASED_N17,
    weights=3_144,
    trained=1_621,
    batch_1_gb=35,
    parts={
        "llm": ("backbone.model.model.language_model.", "backbone.model.lm_head."),
        "visual": ("backbone.model.model.visual.",),
        **_HEAD,
    },
)

GENERATIONS: Mapping[GenerationName, IsaacGeneration] = {item.name: item for item in (N15, N17)}

CHECKOUT, PYTHON = (f"{N15.variable}_{name}" for name in ("CHECKOUT", "PYTHON"))
"""Name those of N1.5, for an environment that was made by other means."""


@dataclass(frozen=True)
class IsaacEnvironment:
    """A checkout of Isaac-GR00T and the Python that runs it; neither need exist."""

    checkout: Path  # Folder with NVIDIA's fine-tuning script and the package ``gr00t``
    python: Path  # Interpreter with the checkout's dependencies
    generation: IsaacGeneration = N15  # Of GR00T, that it is to train

    @classmethod
    def in_directory(
        cls, directory: Path, generation: IsaacGeneration | None = None
    ) -> "IsaacEnvironment":
        """What ``isaac setup`` makes in a folder; of the generation that is there by default."""
        root = directory.expanduser().absolute()
        checkout, python = root / CHECKOUT_NAME, root / ".venv" / "bin" / "python"
        scripts = (item for item in (N17, N15) if (checkout / item.script).is_file())
        return cls(checkout, python, generation or next(scripts, N15))

    @classmethod
    def from_environment(cls, generation: GenerationName = "n1.5") -> "IsaacEnvironment":
        """The one that the environment variables name; a folder of the project's data else."""
        facts = GENERATIONS[generation]
        named = facts.variable
        directory = os.environ.get(named) or project_root() / "data" / facts.folder
        default = cls.in_directory(Path(directory), facts)
        checkout = Path(os.environ.get(f"{named}_CHECKOUT") or default.checkout)
        python = Path(os.environ.get(f"{named}_PYTHON") or default.python)
        return cls(checkout.expanduser().absolute(), python.expanduser().absolute(), facts)

    @property
    def script(self) -> Path:
        """NVIDIA's fine-tuning script."""
        return self.checkout / self.generation.script

    @property
    def backbone(self) -> Path:
        """Folder with configuration, code and tokenizer of the Eagle backbone."""
        return self.checkout / BACKBONE

    def setup_command(self, folder: object) -> str:
        """The command that sets it up in a folder."""
        chosen = "" if self.generation is N15 else f" --generation {self.generation.name}"
        return f"gr00t-assets isaac setup {folder}{chosen}"

    def revision(self) -> str:
        """The commit in 12 digits, ``-dirty`` with uncommitted changes; ``unknown`` without git."""
        commit = commits.head(self.checkout)
        if commit is None:
            return "unknown"
        return commit[:12] + ("-dirty" if commits.changed_files(self.checkout) else "")

    def require(self, experiment: str) -> None:
        """Refuse to train where the checkout or its Python is not there.

        Raises:
            TrainingError: Everything that is missing, and how to get it.
        """
        missing = []
        if not self.script.is_file():
            missing.append(f"no fine-tuning script at {self.script}")
        if not os.access(self.python, os.X_OK):
            missing.append(f"no Python at {self.python}")
        if missing:
            named, title = self.generation.variable, self.generation.title
            problem = f"isaac-gr00t is not set up for {title} on this machine."
            make = f"set it up: {self.setup_command(self.checkout.parent)}"
            name = f"or name an existing one: {named}_CHECKOUT and {named}_PYTHON"
            raise TrainingError(experiment, problem, [*missing, make, name])
