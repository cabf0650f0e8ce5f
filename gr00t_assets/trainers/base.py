"""What a trainer is: the class ``Trainer``, found by entry point.

A trainer is one folder or one file, inside this package or outside of it. Its class is named in the
entry point group ``gr00t_assets.trainers``; the rest of the platform asks it and imports nothing of
it. Modules of a trainer's class load without torch: heavy libraries are imported where they are
used.
"""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from gr00t_assets.core.errors import CheckpointError
from gr00t_assets.core.files import partial_name
from gr00t_assets.core.finding import Finding, Findings
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.modality.config import ModalityConfig
from gr00t_assets.runs.checkpoint_layout import CheckpointLayout, require_unchanged, require_whole
from gr00t_assets.runs.run_directory import CHECKPOINTS, MODEL
from gr00t_assets.runs.spec import SPEC, TrainingSpec, load_spec
from gr00t_assets.trainers.base_model_files import ModelLicense
from gr00t_assets.trainers.failures.failure_pattern import FailurePattern
from gr00t_assets.trainers.policy import Policy
from gr00t_assets.trainers.run_files import config_of, read_modality_config, write_data_files


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

    def model_names(self, config: ModalityConfig) -> tuple[str, tuple[str, ...]]:
        """What a model of some data is, and its tags: ``model_name`` and ``model_tags``."""
        return self.model_name, self.model_tags

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
        """Open the final weights of a run directory, the folder ``model`` of one, or a checkpoint.

        The device is ``cpu`` or ``cuda``, a GPU where there is one, where left out; the dataset is
        that of a mixture whose robot and cameras it is to act for, the first where left out.

        Raises:
            CheckpointError: The files are not as the run's manifest, the checkpoint's record or the
                promotion has them, or the trainer does not open its checkpoints.
            Gr00tAssetsError: The weights are not there, or cannot be loaded.
        """
        run = directory.absolute().parent.parent
        if directory.absolute().parent.name == CHECKPOINTS and (run / SPEC).is_file():
            require_whole(directory, "take another checkpoint of the run")
            spec = load_spec(run / SPEC)
            policy = self.load_checkpoint(directory, spec, device)
            if dataset is None:
                return policy
            configs = [item.config for item in spec.datasets]
            return policy.for_config(config_of(dataset, configs, directory))
        model = directory / MODEL if (directory / MODEL).is_dir() else directory
        require_unchanged(model)
        policy = self.load_policy(model, device)
        if dataset is None:
            return policy
        return policy.for_config(read_modality_config(model, dataset))

    def load_checkpoint(
        self, checkpoint: Path, spec: TrainingSpec, device: str | None = None
    ) -> Policy:
        """The policy of a checkpoint in its run directory: that of what it is exported to.

        Raises:
            CheckpointError: As ``export_checkpoint``.
        """
        model = checkpoint.absolute().parent.parent / partial_name(MODEL)
        try:
            model.mkdir()
            write_data_files(spec, model)
            self.export_checkpoint(checkpoint, spec, model)
            return self.load_policy(model, device)
        finally:
            shutil.rmtree(model, ignore_errors=True)

    def export_checkpoint(self, checkpoint: Path, spec: TrainingSpec, model: Path) -> None:
        """Write the weights of a checkpoint into a folder, as ``model`` of a finished run has them.

        What ``write_data_files`` writes is there already.

        Raises:
            CheckpointError: The trainer does not do that; the default.
        """
        problem = f"the trainer {self.name} does not open its checkpoints."
        raise CheckpointError(str(checkpoint), problem, ["final weights can be opened"])

    def limits(self, experiment: Experiment) -> list[Finding]:
        """What it does not take of an experiment, known before anything is trained.

        ``subject`` of each is the field: ``base_model``, or the name of a hyperparameter.
        """
        return []

    def gpu_memory(self, experiment: Experiment) -> int | None:
        """Bytes that it counts for an experiment on each GPU; None where it has no count."""
        return None

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
        """Markdown that shows how a published model is loaded and asked; for model cards.

        Its Python runs as it stands in the folder of the model.
        """
        return (
            "In the folder with these files:\n\n"
            "```python\n"
            "from gr00t_assets.trainers.policy import open_policy\n\n"
            'policy = open_policy(".")\n'
            "observation = policy.example_observation()\n"
            "for name, value in observation.items():  # yours has these keys and shapes\n"
            '    print(name, getattr(value, "shape", value))\n'
            "chunk = policy.act(observation)\n"
            "print(chunk.names, chunk.flat[0], chunk.warnings)\n"
            "```\n"
        )
