"""What a trainer is: the class ``Trainer``, found by entry point, and the policy it opens.

A trainer is one folder or one file, inside this package or outside of it. Its class is named in the
entry point group ``gr00t_assets.trainers``; the rest of the platform asks it and imports nothing of
it. Modules of a trainer's class load without torch: heavy libraries are imported where they are
used.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, NamedTuple, Self

import numpy as np

from gr00t_assets.core.finding import Finding, Findings
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.modality.config import ModalityConfig
from gr00t_assets.modality.transforms import StateActionTransform
from gr00t_assets.runs.checkpoint_layout import CheckpointLayout
from gr00t_assets.runs.model_files import require_unchanged
from gr00t_assets.runs.run_directory import MODEL
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.failures.failure_pattern import FailurePattern
from gr00t_assets.trainers.run_files import read_modality_config


@dataclass(frozen=True)
class Observations:
    """What a policy is told at some moments.

    Attributes:
        frames: ``(samples, cameras, height, width, 3)`` uint8 RGB, in the size of the frame cache.
        states: As ``StateActionTransform`` makes them, ``(samples, 1, max_state_dim)`` float32.
        instructions: One text a sample.
        anchors: Of relative actions the states that they are against, ``(samples, numbers)`` in
            units, by action key; see ``Demonstrations.anchors``.
    """

    frames: np.ndarray
    states: np.ndarray
    instructions: Sequence[str]
    anchors: Mapping[str, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.states)


class Policy(ABC):
    """A trained model that answers observations with chunks of actions.

    Args:
        config: The modality config that it was trained with; of a mixture that of its first
            dataset, see ``for_config``.
        device: ``cpu``, or the GPU's name.
        denoising_steps: Steps of its sampler where nobody asks for another number; 1 for a model
            that does not denoise.
    """

    def __init__(self, config: ModalityConfig, device: str, denoising_steps: int = 1) -> None:
        self.config = config
        self.device = device
        self.denoising_steps = denoising_steps
        self._transform = StateActionTransform(config)

    def for_config(self, config: ModalityConfig) -> Self:
        """The same weights for the robot and cameras of another dataset that they learned from."""
        policy = copy(self)
        policy.config, policy._transform = config, StateActionTransform(config)
        return policy

    @abstractmethod
    def predict(
        self, observations: Observations, noise: np.ndarray, denoising_steps: int | None = None
    ) -> np.ndarray:
        """Normalised actions; 1 and -1 are the data's extremes.

        Args:
            observations: Of n samples.
            noise: Standard normal numbers that each draw starts from, of the shape of what is
                returned. A policy without noise gives every draw the same.
            denoising_steps: Steps of the sampler; the policy's own where left out.

        Returns:
            ``(draws, n, horizon, max_action_dim)`` float32.
        """

    def actions(self, observations: Observations, seed: int = 0) -> dict[str, np.ndarray]:
        """One chunk of actions a sample, by key in the robot's units.

        Returns:
            ``(n, horizon, numbers)`` for each key of the data config's actions.
        """
        shape = (1, len(observations), len(self.config.action_indices), self.config.max_action_dim)
        noise = np.random.default_rng(seed).standard_normal(shape, np.float32)
        return self.in_units(self.predict(observations, noise)[0], observations.anchors)

    def in_units(
        self, actions: np.ndarray, anchors: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, np.ndarray]:
        """Normalised actions by key in the robot's units, ``(samples, horizon, numbers)`` each.

        ``anchors`` are those of the observations. Relative actions are added to them.
        """
        return self._transform.invert_action(actions, anchors)


@dataclass(frozen=True)
class EnvironmentReport:
    """What a trainer would train with on this machine.

    Attributes:
        findings: One for each thing that is missing or odd; ``subject`` says where it was seen.
        code_findings: Those of them that are about the code that trains, such as its commit.
        versions: Version by package that can change a loss.
        source: What identifies the code that trains, such as its commit, by name.
    """

    findings: Findings
    code_findings: Findings
    versions: Mapping[str, str] = field(default_factory=dict)
    source: Mapping[str, str] = field(default_factory=dict)


class ModelLicense(NamedTuple):
    """A licence in the words of the Hub's model cards.

    Attributes:
        identifier: One that the Hub knows, or ``other``.
        name: Of one that it does not know.
        link: Where its text is.
        note: What a reader must know of it.
    """

    identifier: str
    name: str | None = None
    link: str | None = None
    note: str = ""


class Trainer(ABC):
    """What turns an experiment into a checkpoint, and opens a checkpoint as a policy.

    Attributes:
        name: Of the sweep files' ``trainer``, and of the entry point.
        hyperparameters: Model of what it takes.
        default_base_model: What it starts from where a new sweep file does not say.
        built_in_models: Base models that it makes itself, without files.
        starter_settings: Hyperparameters that a new sweep file begins with, by name.
        starter_vram_gb: GPU memory that those need, in GB.
        checkpoint_layout: Names of its checkpoints.
        takes_mixtures: Whether it trains on several datasets; see ``TrainingSpec.datasets``.
        reads_videos: Whether it may read videos by a backend of its own in place of frame caches.
        upstream_url: Page of the model or code that it trains with, for model cards.
        model_name: What its checkpoints are, for model cards: ``GR00T N1.5``.
        model_tags: Tags of its checkpoints on the Hub.
        licenses: Licence by name of a base model, of those whose licence is known.
    """

    name: ClassVar[str]
    hyperparameters: ClassVar[type[Hyperparameters]]
    default_base_model: ClassVar[str]
    built_in_models: ClassVar[tuple[str, ...]] = ()
    starter_settings: ClassVar[Mapping[str, object]] = {}
    starter_vram_gb: ClassVar[float] = 8
    checkpoint_layout: ClassVar[CheckpointLayout] = CheckpointLayout()
    takes_mixtures: ClassVar[bool] = False
    reads_videos: ClassVar[bool] = False
    upstream_url: ClassVar[str | None] = None
    model_name: ClassVar[str] = "A policy"
    model_tags: ClassVar[tuple[str, ...]] = ()
    licenses: ClassVar[Mapping[str, ModelLicense]] = {}

    @abstractmethod
    def command(self, spec: TrainingSpec) -> list[str]:
        """The command line that trains a spec, which ``place_spec`` puts where it is read.

        Exit codes: 0 finished or pruned, 1 failed, 130 stopped on request with a checkpoint. See
        ``gr00t_assets.trainers.attempt.train_main``.

        Raises:
            TrainingError: It cannot be trained on this machine.
        """

    @abstractmethod
    def load_policy(self, model_directory: Path, device: str | None = None) -> Policy:
        """The policy of the folder ``model`` of a run; see ``open_policy``."""

    @abstractmethod
    def revision(self) -> str:
        """Version of the code that would train now; another one may give other losses."""

    def open_policy(
        self, directory: Path, device: str | None = None, dataset: str | None = None
    ) -> Policy:
        """Open the final weights of a run directory, or of the folder ``model`` of one.

        Args:
            directory: The folder.
            device: ``cpu`` or ``cuda``; a GPU where there is one, where left out.
            dataset: Of a mixture the dataset whose robot and cameras it is to act for; the first
                where left out.

        Raises:
            CheckpointError: The files are not as the run's manifest or the promotion has them.
            Gr00tAssetsError: The weights are not there, or cannot be loaded.
        """
        model = directory / MODEL if (directory / MODEL).is_dir() else directory
        require_unchanged(model)
        policy = self.load_policy(model, device)
        if dataset is None:
            return policy
        return policy.for_config(read_modality_config(model, dataset))

    def limits(self, experiment: Experiment) -> list[Finding]:
        """What it does not take of an experiment, known before anything is trained.

        ``subject`` of each is the field: ``base_model``, or the name of a hyperparameter.
        """
        return []

    def environment(self, store: Store) -> EnvironmentReport:
        """What it would train with on this machine, and what is missing; nothing is changed."""
        return EnvironmentReport(Findings(()), Findings(()))

    def video_backend(self, experiment: Experiment) -> str | None:
        """The backend that an experiment's videos are read with; ``None`` for the frame cache."""
        return None

    def failure_patterns(self) -> Sequence[FailurePattern]:
        """Failures that only this trainer's code or packages print."""
        return ()

    def shell_commands(self, experiment: Experiment) -> list[str]:
        """What else a person may type to train an experiment by hand, beside the platform's way."""
        return []

    def loading_example(self, config: ModalityConfig) -> str:
        """Markdown that shows how a published model is loaded; for model cards."""
        return (
            "```python\n"
            "from pathlib import Path\n\n"
            "from gr00t_assets.experiments.registry import trainer_named\n"
            "from gr00t_assets.trainers.base import Observations\n\n"
            f'policy = trainer_named("{self.name}").open_policy(Path("FOLDER_WITH_THESE_FILES"))\n'
            'observations = Observations(frames, states, ["pick up the apple"])\n'
            "print(policy.actions(observations))\n"
            "```\n"
        )
