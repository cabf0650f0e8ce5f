"""A training spec that needs no dataset, for tests that start processes of their own."""

from pathlib import Path

from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.modality.config import ModalityConfig
from gr00t_assets.runs.final_loss import LossWindow
from gr00t_assets.runs.manifest import Manifest
from gr00t_assets.runs.spec import TrainingSpec


def a_modality_config() -> ModalityConfig:
    return ModalityConfig(
        dataset="demo",
        dataset_version="0123456789abcdef",
        data_config="so100_dualcam",
        embodiment_tag="new_embodiment",
        embodiment_id=31,
        video=(),
        state=(),
        action=(),
        language=None,
        observation_indices=(0,),
        action_indices=(0, 1),
        state_dim=6,
        action_dim=6,
        max_state_dim=64,
        max_action_dim=32,
    )


def a_spec(store: Path, **experiment: object) -> TrainingSpec:
    modality = a_modality_config()
    fields = {"name": "lr1e-3", "sweep": "demo", "dataset": "demo", **experiment}
    fields.setdefault("hyperparameters", {"max_steps": 4})
    asked = Experiment.model_validate(fields)
    return TrainingSpec(
        store=str(store),
        experiment=asked,
        modality_config=modality,
        config_hash=asked.config_hash(modality.dataset_version, modality.content_hash()),
    )


def a_manifest(spec: TrainingSpec, **changes: object) -> Manifest:
    window = LossWindow(mean=0.5, standard_error=0.01, steps=2, samples=64)
    fields = {
        "experiment": spec.experiment.name,
        "sweep": spec.experiment.sweep,
        "config_hash": spec.config_hash,
        "status": "finished",
        "trainer": "native",
        "trainer_revision": "1",
        "base_model": "tiny",
        "dataset": "demo",
        "dataset_version": spec.modality_config.dataset_version,
        "data_config": spec.modality_config.data_config,
        "modality_hash": spec.modality_config.content_hash(),
        "steps": 4,
        "max_steps": 4,
        "samples_seen": 128,
        "dataset_frames": 64,
        "epochs": 2.0,
        "first_loss": window,
        "final_loss": window,
        "wall_seconds": 1.0,
        "gpu_seconds": 0.0,
        "peak_memory_bytes": 1,
        "samples_per_second": 128.0,
        "device": "cpu",
        "versions": {},
        "parameters": 1,
        "trainable_parameters": {},
        "frames_verified": True,
        "attempts": 1,
        "started_at": "2026-01-01T00:00:00+00:00",
        "finished_at": "2026-01-01T00:00:01+00:00",
        **changes,
    }
    return Manifest.model_validate(fields)
