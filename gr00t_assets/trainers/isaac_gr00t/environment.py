"""Where Isaac-GR00T is on this machine: its checkout, and the Python that has its dependencies."""

import os
from dataclasses import dataclass
from pathlib import Path

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.project import project_root
from gr00t_assets.trainers.isaac_gr00t.commits import changed_files, head

DIRECTORY = "GR00T_ASSETS_ISAAC"
"""Names the folder that ``gr00t-assets isaac setup`` made: checkout and Python environment."""

CHECKOUT = "GR00T_ASSETS_ISAAC_CHECKOUT"
PYTHON = "GR00T_ASSETS_ISAAC_PYTHON"
"""Name them one by one, for an environment that was made by other means."""

TRAINER_NAME = "isaac-gr00t"

LAUNCHER_REVISION = "1"
"""Raised whenever the launcher would give other losses than before at the same commit."""

CHECKOUT_NAME = "Isaac-GR00T"
ENVIRONMENT_NAME = ".venv"
BACKBONE = Path("gr00t") / "model" / "backbone" / "eagle2_hg_model"
"""Folder of the Eagle backbone in a checkout."""


@dataclass(frozen=True)
class IsaacEnvironment:
    """A checkout of Isaac-GR00T and the Python that runs it; neither need exist.

    Attributes:
        checkout: Folder with ``scripts/gr00t_finetune.py`` and the package ``gr00t``.
        python: Interpreter with the checkout's dependencies.
    """

    checkout: Path
    python: Path

    @classmethod
    def in_directory(cls, directory: Path) -> "IsaacEnvironment":
        """What ``isaac setup`` makes in a folder."""
        root = directory.expanduser().absolute()
        return cls(root / CHECKOUT_NAME, root / ENVIRONMENT_NAME / "bin" / "python")

    @classmethod
    def from_environment(cls) -> "IsaacEnvironment":
        """The one that the environment variables name; ``data/isaac-gr00t`` of the project else."""
        directory = Path(os.environ.get(DIRECTORY) or project_root() / "data" / "isaac-gr00t")
        default = cls.in_directory(directory)
        return cls(
            Path(os.environ.get(CHECKOUT) or default.checkout).expanduser().absolute(),
            Path(os.environ.get(PYTHON) or default.python).expanduser().absolute(),
        )

    @property
    def script(self) -> Path:
        """NVIDIA's fine-tuning script."""
        return self.checkout / "scripts" / "gr00t_finetune.py"

    @property
    def backbone(self) -> Path:
        """Folder with configuration, code and tokenizer of the Eagle backbone."""
        return self.checkout / BACKBONE

    def revision(self) -> str:
        """The commit in 12 digits, ``-dirty`` with uncommitted changes; ``unknown`` without git."""
        commit = head(self.checkout)
        if commit is None:
            return "unknown"
        return commit[:12] + ("-dirty" if changed_files(self.checkout) else "")

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
            raise TrainingError(
                experiment,
                "the trainer isaac-gr00t is not set up on this machine.",
                [
                    *missing,
                    f"set it up: gr00t-assets isaac setup {self.checkout.parent}",
                    f"or name an existing one: {CHECKOUT} and {PYTHON}",
                ],
            )
