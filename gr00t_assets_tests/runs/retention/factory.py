"""A project whose store is filled as trainings and builds leave it, without training anything."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.modality.config import save_modality_config
from gr00t_assets.runs.manifest import save_manifest
from gr00t_assets.runs.metrics import Metric, append_metric
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets.runs.spec import TrainingSpec, make_spec
from gr00t_assets_tests.defs.specs import a_manifest, a_modality_config
from gr00t_assets_tests.experiments.sweep_texts import load_sweeps

CURRENT = a_modality_config().dataset_version
OLD = "fedcba9876543210"
DEFAULTS = {"dataset": "demo", "hyperparameters": {"save_total_limit": 1}}
KB = 4096
"""Bytes of the files that are made, a multiple of a disk's blocks."""

NATIVE = {"model": "model.safetensors", "only": ("optimizer.safetensors", "rng.safetensors")}
ISAAC = {"model": "model.safetensors", "only": ("optimizer.pt", "rng_state.pth", "scheduler.pt")}


@dataclass(frozen=True)
class FilledProject:
    """A catalog, a sweep and a store."""

    root: Path

    @property
    def store(self) -> Store:
        return Store(self.root / "data" / "store")

    def sweep(self, name: str = "s", **content: Any) -> None:
        (self.root / "data" / "sweeps" / f"{name}.yaml").write_text(yaml.safe_dump(content))

    def experiment(self, name: str) -> Experiment:
        (found,) = (e for s in load_sweeps().values() for e in s.experiments if e.name == name)
        return found

    def cache(self, version: str, cameras: tuple[str, ...] = ("ego",)) -> Path:
        folder = self.store.frame_cache("demo", version)
        for camera in cameras:
            fill(folder / camera / "frames.npy", 4 * KB)
            fill(folder / camera / "index.json", KB)
        fill(folder / ".prepared-0123456789abcdef" / "ego.npy", 2 * KB)
        return folder

    def run(
        self,
        experiment: Experiment,
        steps: Mapping[int, float],
        status: str | None = "finished",
        kind: Mapping[str, Any] = NATIVE,
    ) -> TrainingSpec:
        """A run directory with a checkpoint at each of some steps.

        Args:
            experiment: Whose.
            steps: Loss of the steps up to each checkpoint, since the one before.
            status: Of the manifest; none where it is None.
            kind: Names of files by trainer.
        """
        spec = make_spec(experiment, self.store)
        place_spec(spec)
        directory, before = spec.run_directory, 0
        (directory / "log.txt").write_text("step 1\n")
        for step, loss in steps.items():
            metric = dict.fromkeys(Metric.model_fields, 1) | {"step": step}
            losses = [loss] * (step - before)
            append_metric(Metric.model_validate({**metric, "losses": losses}), directory)
            before = step
            checkpoint(spec, step, kind)
        if status is not None:
            save_manifest(a_manifest(spec, status=status), directory)
        if status == "finished":
            fill(directory / "model" / "model.safetensors", 3 * KB)
        return spec


def checkpoint(spec: TrainingSpec, step: int, kind: Mapping[str, Any] = NATIVE) -> Path:
    """A complete checkpoint as a trainer leaves it."""
    name = f"step-{step:06d}" if kind is NATIVE else f"checkpoint-{step}"
    folder = spec.run_directory / "checkpoints" / name
    for file in (kind["model"], *kind["only"]):
        fill(folder / file, KB)
    files = {path.name: {"bytes": path.stat().st_size} for path in folder.iterdir()}
    record = {"step": step, "config_hash": spec.config_hash, "files": files}
    (folder / "complete.json").write_text(json.dumps(record))
    return folder


def fill(path: Path, size: int) -> Path:
    """A file of random bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(size))
    return path


def make_filled(root: Path) -> FilledProject:
    """A project with one dataset, whose current version is :data:`CURRENT`."""
    project = FilledProject(root)
    (root / "data" / "sweeps").mkdir(parents=True)
    entry = {"description": "d", "source": "synthetic", "data_config": "so100_dualcam"}
    (root / "data" / "datasets.yaml").write_text(yaml.safe_dump({"demo": entry}))
    save_modality_config(a_modality_config(), project.store)
    for version in (OLD, CURRENT):
        fill(project.store.dataset_directory("demo", version) / "meta" / "info.json", KB)
    project.store.dataset_record("demo").write_text(json.dumps({"version": CURRENT}))
    return project


def tree(root: Path) -> dict[str, bytes]:
    """Every file below a folder by its relative path, without the lock files."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.name.endswith(".lock")
    }
