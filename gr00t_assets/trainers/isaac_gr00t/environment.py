"""Where Isaac-GR00T is on this machine: its checkout, and the Python that has its dependencies."""

import os
from dataclasses import dataclass
from pathlib import Path

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.project import project_root
from gr00t_assets.modality.generations import GenerationName
from gr00t_assets.trainers.isaac_gr00t.commits import changed_files, head
from gr00t_assets.trainers.isaac_gr00t.generations import (
    GENERATIONS,
    N15,
    IsaacGeneration,
    generation_in,
)

CHECKOUT, PYTHON = (f"{N15.variable}_{name}" for name in ("CHECKOUT", "PYTHON"))
"""Name those of N1.5, for an environment that was made by other means."""

TRAINER_NAME = "isaac-gr00t"

LAUNCHER_REVISION = "1"
"""Raised whenever the launcher would give other losses than before at the same commit."""

CHECKOUT_NAME = "Isaac-GR00T"
BACKBONE = Path("gr00t") / "model" / "backbone" / "eagle2_hg_model"
"""Folder of the Eagle backbone in a checkout."""


@dataclass(frozen=True)
class IsaacEnvironment:
    """A checkout of Isaac-GR00T and the Python that runs it; neither need exist.

    The checkout is the folder with NVIDIA's fine-tuning script and the package ``gr00t``, the
    Python has its dependencies, and the generation is the one of GR00T that it is to train.
    """

    checkout: Path
    python: Path
    generation: IsaacGeneration = N15

    @classmethod
    def in_directory(
        cls, directory: Path, generation: IsaacGeneration | None = None
    ) -> "IsaacEnvironment":
        """What ``isaac setup`` makes in a folder; of the generation that is there by default."""
        root = directory.expanduser().absolute()
        checkout, python = root / CHECKOUT_NAME, root / ".venv" / "bin" / "python"
        return cls(checkout, python, generation or generation_in(checkout))

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
            named, title = self.generation.variable, self.generation.title
            problem = f"isaac-gr00t is not set up for {title} on this machine."
            make = f"set it up: {self.setup_command(self.checkout.parent)}"
            name = f"or name an existing one: {named}_CHECKOUT and {named}_PYTHON"
            raise TrainingError(experiment, problem, [*missing, make, name])
