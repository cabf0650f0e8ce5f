"""Run directories of finished runs, written by the models that a trainer uses."""

import json

import numpy as np

from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.modality.config import ModalityConfig, Statistics, VectorKey, VideoKey
from gr00t_assets.runs.final_loss import final_window, first_window
from gr00t_assets.runs.manifest import Manifest
from gr00t_assets.runs.spec import TrainingSpec

FRAMES = 200_000
STEP_SECONDS = 0.3


def keys(column: str) -> tuple[VectorKey, ...]:
    """Four slices of a column with statistics, so that a spec is as long as a real one."""
    numbers = tuple(index / 7 for index in range(13))
    statistics = Statistics(min=numbers, max=numbers, mean=numbers, std=numbers, q01=numbers,
                            q99=numbers)  # fmt: skip
    return tuple(
        VectorKey(
            key=f"part_{index}",
            original_key=column,
            start=13 * index,
            end=13 * index + 13,
            statistics=statistics,
        )
        for index in range(4)
    )


MODALITY = ModalityConfig(
    dataset="demo",
    dataset_version="0123456789abcdef",
    data_config="fourier_gr1_arms_only",
    embodiment_tag="gr1",
    embodiment_id=24,
    video=(VideoKey(key="ego_view", original_key="ego", height=256, width=256, fps=20.0),),
    state=keys("observation.state"),
    action=keys("action"),
    language="annotation.human.action.task_description",
    observation_indices=(0,),
    action_indices=tuple(range(16)),
    state_dim=26,
    action_dim=26,
    max_state_dim=64,
    max_action_dim=32,
)


def falling(final: float, steps: int, noise: float, draw: np.random.Generator) -> np.ndarray:
    """Losses from 1.1 down to ``final`` with multiplicative noise, shape ``(steps,)``."""
    fall = np.exp(-np.arange(steps) / (0.12 * steps))
    return (final + (1.1 - final) * fall) * draw.lognormal(0, noise, steps)


def write_finished(item: Experiment, store: Store, losses: np.ndarray) -> None:
    """Spec, metrics and manifest of a run that had these losses, one a step."""
    config_hash = item.config_hash(MODALITY.dataset_version, MODALITY.content_hash())
    spec = TrainingSpec(
        store=str(store.root), experiment=item, modality_config=MODALITY, config_hash=config_hash
    )
    folder = spec.run_directory
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(spec.model_dump_json())
    steps, per_step = len(losses), item.hyperparameters.samples_per_step
    every = item.hyperparameters.logging_steps
    with (folder / "metrics.jsonl").open("w") as file:
        for line, values in enumerate(losses.reshape(-1, every).tolist(), start=1):
            step = line * every
            metric = {
                "step": step,
                "samples_seen": step * per_step,
                "epoch": step * per_step / FRAMES,
                "loss": sum(values) / len(values),
                "losses": values,
                "grad_norm": 0.8,
                "learning_rate": item.hyperparameters.learning_rate,
                "wall_seconds": STEP_SECONDS * step,
            }
            file.write(json.dumps(metric) + "\n")
    manifest = Manifest(
        experiment=item.name,
        sweep=item.sweep,
        config_hash=config_hash,
        status="finished",
        trainer=item.trainer,
        trainer_revision="0.1.0",
        base_model=item.base_model,
        dataset=item.dataset_name,
        dataset_version=MODALITY.dataset_version,
        data_config=MODALITY.data_config,
        modality_hash=MODALITY.content_hash(),
        steps=steps,
        max_steps=steps,
        samples_seen=steps * per_step,
        dataset_frames=FRAMES,
        epochs=steps * per_step / FRAMES,
        first_loss=first_window(losses, per_step),
        final_loss=final_window(losses, per_step),
        wall_seconds=STEP_SECONDS * steps,
        gpu_seconds=STEP_SECONDS * steps,
        peak_memory_bytes=1_200_000_000,
        samples_per_second=per_step / STEP_SECONDS,
        device="NVIDIA H100",
        versions={"python": "3.11.9", "torch": "2.13.0"},
        parameters=900_000,
        trainable_parameters={"projector": 120_000, "diffusion_model": 480_000},
        frames_verified=True,
        attempts=1,
        started_at="2026-01-01T10:00:00+00:00",
        finished_at="2026-01-01T10:02:00+00:00",
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json())
