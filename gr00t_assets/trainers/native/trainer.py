"""The native trainer: GR00T N1.5 on stock towers, in this program's own environment."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.finding import Finding, Findings
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.modality.config import ModalityConfig
from gr00t_assets.runs.manifest import installed_versions
from gr00t_assets.runs.run_directory import SPEC
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers import base_model_files
from gr00t_assets.trainers.base import EnvironmentReport, ModelLicense, Trainer
from gr00t_assets.trainers.base_model_files import known_generation
from gr00t_assets.trainers.data_config_limits import (
    data_config_limits,
    data_configs_of,
    limit_findings,
)
from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters
from gr00t_assets.trainers.nodes import node_limit
from gr00t_assets.trainers.policy import Policy

REVISION = "4"
"""Raised whenever the same spec would give other losses than before."""


_BUILT_IN_LICENSE = ModelLicense(
    "apache-2.0", note="The base model is drawn at random by gr00t-assets; nobody trained it."
)


class NativeTrainer(Trainer):
    """Trains on the GPUs of one machine or several, or on a CPU."""

    name = "native"
    hyperparameters = NativeHyperparameters
    default_base_model = "tiny"
    built_in_models = base_model_files.BUILT_IN_NAMES
    takes_mixtures = True
    starter_settings: ClassVar[Mapping[str, object]] = {
        "max_steps": 300,
        "save_steps": 100,
        "augmentation": "none",
    }
    upstream_url = "https://github.com/NVIDIA/Isaac-GR00T"
    licenses: ClassVar[Mapping[str, ModelLicense]] = {
        **dict.fromkeys(base_model_files.BUILT_IN_NAMES, _BUILT_IN_LICENSE),
        base_model_files.RELEASED_MODEL: base_model_files.RELEASED_LICENSE,
        base_model_files.RELEASED_N17: base_model_files.N17_LICENSE,
    }

    def model_names(self, config: ModalityConfig) -> tuple[str, tuple[str, ...]]:
        """Those of the generation of GR00T."""
        name = config.generation
        return f"GR00T {name.upper()}", ("gr00t", f"gr00t_{name.replace('.', '_')}")

    def command(self, spec: TrainingSpec) -> list[str]:
        """``python -m gr00t_assets.trainers.native SPEC.json`` in this program's Python."""
        file = str(spec.run_directory / SPEC)
        return [sys.executable, "-m", "gr00t_assets.trainers.native", file]

    def load_policy(self, model_directory: Path, device: str | None = None) -> Policy:
        """The model of a run of this trainer, or of any that publishes N1.5's layout."""
        from gr00t_assets.trainers.native.policy import NativePolicy

        return NativePolicy(model_directory, device)

    def load_checkpoint(
        self, checkpoint: Path, spec: TrainingSpec, device: str | None = None
    ) -> Policy:
        """The checkpoint's trained parameters on the run's base model."""
        from gr00t_assets.trainers.native.policy import NativePolicy

        return NativePolicy(checkpoint, device, spec)

    def export_checkpoint(self, checkpoint: Path, spec: TrainingSpec, model: Path) -> None:
        """The whole model at a checkpoint, as the final one is saved."""
        from gr00t_assets.trainers.native.base_models import choose_device, save_model
        from gr00t_assets.trainers.native.training_state import checkpoint_model

        base = checkpoint_model(checkpoint, spec, choose_device())
        data = [dataset.config for dataset in spec.datasets]
        save_model(base.model, model, base.tokenizer, data)

    def revision(self) -> str:
        """The revision of this package's own training code."""
        return REVISION

    def limits(self, experiment: Experiment) -> list[Finding]:
        """The shapes of its base model, where that is known here, and the nodes of its engine."""
        generation, nodes = known_generation(experiment.base_model), node_limit(experiment)
        limits = data_config_limits(experiment, generation)
        return limit_findings([*limits, *([nodes] if nodes else [])])

    def gpu_memory(self, experiment: Experiment) -> int | None:
        """As ``native.memory`` counts it, for prompts as usual; None for ``tiny``.

        None as well where the model's sizes are not known here, or the settings do not fit it.
        """
        if experiment.base_model in base_model_files.BUILT_IN_NAMES:
            return None
        from gr00t_assets.trainers.native.memory import counted_config, memory_need

        cameras = max((len(item.video) for item in data_configs_of(experiment)), default=1)
        try:
            config = counted_config(experiment.base_model, experiment.base_model_revision)
            settings = NativeHyperparameters.of(experiment)
            return config and memory_need(config, settings, cameras).total
        except Gr00tAssetsError:  # A broken config.json or a wrong layer: training tells it.
            return None

    def environment(self, store: Store) -> EnvironmentReport:
        """The packages of this program's own environment."""
        return EnvironmentReport(Findings(()), Findings(()), installed_versions())
