"""Run directories as a trainer leaves them, with plausible numbers, written by the same models."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gr00t_assets.core.files import write_json
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.registry import combined_hyperparameters
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.modality.config import ModalityConfig, save_modality_config
from gr00t_assets.runs.final_loss import final_window, first_window
from gr00t_assets.runs.manifest import Manifest, save_manifest
from gr00t_assets.runs.metrics import Metric, append_metric
from gr00t_assets.runs.spec import make_spec

FRAMES = 2096
ACTION_HEAD = {"projector": 120_000, "diffusion_model": 480_000}
CATALOG = Path(__file__).resolve().parents[2] / "data" / "datasets.yaml"
SWEEP_FILE = """\
defaults:
  dataset: synthetic-pick-n-place
  hyperparameters: {max_steps: 300, augmentation: none}
experiments:
  - name: best
    hyperparameters: {batch_size: 8}
  - name: second
    hyperparameters: {batch_size: 4}
"""


def modality(dataset: str = "demo", version: str = "0123456789abcdef") -> ModalityConfig:
    return ModalityConfig(
        dataset=dataset,
        dataset_version=version,
        data_config="fourier_gr1_arms_only",
        embodiment_tag="gr1",
        embodiment_id=24,
        video=(),
        state=(),
        action=(),
        language="annotation.human.action.task_description",
        observation_indices=(0,),
        action_indices=tuple(range(16)),
        state_dim=26,
        action_dim=26,
        max_state_dim=64,
        max_action_dim=32,
    )


def store_with_data(root: Path, *datasets: str) -> Store:
    store = Store(root)
    for dataset in datasets or ("demo",):
        save_modality_config(modality(dataset), store)
    return store


def experiment(name: str, hypothesis: str = "", dataset: str = "demo", **values: Any) -> Experiment:
    settings = {"max_steps": 300, "batch_size": 8, "augmentation": "none", **values}
    return Experiment(
        name=name,
        sweep="demo",
        dataset=dataset,
        base_model="tiny",
        base_model_revision=None,
        hyperparameters=combined_hyperparameters().model_validate(settings),
        hypothesis=hypothesis,
    )


def sweep(*experiments: Experiment, name: str = "demo", description: str = "") -> Sweep:
    return Sweep(
        name=name,
        file=Path(f"data/sweeps/{name}.yaml"),
        description=description,
        schedule=None,
        experiments=experiments,
    )


def losses(steps: int, final: float, noise: float = 0.1, seed: int = 0) -> np.ndarray:
    """Falls from 1.1 to ``final`` with multiplicative noise; shape ``(steps,)``."""
    generator = np.random.default_rng(seed)
    fall = np.exp(-np.arange(steps) / (0.12 * steps))
    return (final + (1.1 - final) * fall) * generator.lognormal(0, noise, steps)


def write_run(
    item: Experiment,
    store: Store,
    values: np.ndarray,
    status: str | None = "finished",
    logging_steps: int = 10,
    **changes: Any,
) -> Path:
    """Write spec, metrics and, unless ``status`` is None, the manifest of a run."""
    spec = make_spec(item, store)
    folder = spec.run_directory
    write_json(folder / "spec.json", spec.model_dump(mode="json"))
    per_step = item.hyperparameters.samples_per_step
    for end in range(logging_steps, len(values) + 1, logging_steps):
        chunk = values[end - logging_steps : end]
        append_metric(
            Metric(
                step=end,
                samples_seen=end * per_step,
                epoch=end * per_step / FRAMES,
                loss=float(chunk.mean()),
                losses=tuple(chunk.tolist()),
                grad_norm=0.8,
                learning_rate=item.hyperparameters.learning_rate,
                wall_seconds=0.3 * end,
            ),
            folder,
        )
    if status is None:
        return folder
    steps = len(values)
    content: dict[str, Any] = {
        "experiment": item.name,
        "sweep": item.sweep,
        "config_hash": spec.config_hash,
        "status": status,
        "trainer": item.trainer,
        "trainer_revision": "0.1.0",
        "base_model": item.base_model,
        "dataset": item.dataset,
        "dataset_version": spec.modality_config.dataset_version,
        "data_config": spec.modality_config.data_config,
        "modality_hash": spec.modality_config.content_hash(),
        "steps": steps,
        "max_steps": item.hyperparameters.max_steps,
        "samples_seen": steps * per_step,
        "dataset_frames": FRAMES,
        "epochs": steps * per_step / FRAMES,
        "first_loss": first_window(values, per_step),
        "final_loss": final_window(values, per_step),
        "wall_seconds": 0.3 * steps,
        "gpu_seconds": 0.0,
        "peak_memory_bytes": 1_200_000_000,
        "samples_per_second": per_step / 0.3,
        "device": "cpu",
        "versions": {"python": "3.11.9", "torch": "2.13.0"},
        "parameters": 900_000,
        "trainable_parameters": ACTION_HEAD,
        "frames_verified": True,
        "attempts": 1,
        "started_at": "2026-01-01T10:00:00+00:00",
        "finished_at": "2026-01-01T10:02:00+00:00",
    }
    save_manifest(Manifest.model_validate(content | changes), folder)
    return folder


def project_of_two_runs(root: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store of a project whose sweep ``demo`` has two finished runs; commands work in it."""
    (root / "data" / "sweeps").mkdir(parents=True)
    shutil.copy(CATALOG, root / "data")
    shutil.copytree(CATALOG.parent / "data_configs", root / "data" / "data_configs")
    (root / "data" / "sweeps" / "demo.yaml").write_text(SWEEP_FILE)
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(root))
    monkeypatch.setenv("GR00T_ASSETS_STORE", str(root / "store"))
    dataset = "synthetic-pick-n-place"
    store = store_with_data(root / "store", dataset)
    write_run(experiment("best", dataset=dataset, batch_size=8), store, losses(300, 0.06))
    write_run(experiment("second", dataset=dataset, batch_size=4), store, losses(300, 0.2))
    return store
