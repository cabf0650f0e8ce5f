"""A trainer outside of gr00t_assets: it learns the mean action chunk of a dataset.

It stands in one file beside a ``toy_trainer-1.0.dist-info`` with its entry point.
"""

import json
import shutil
import sys
import time
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
from pydantic import Field

from gr00t_assets.core.finding import Finding, Findings
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.frames.demonstrations import Demonstrations
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.runs.checkpoint_layout import CheckpointLayout
from gr00t_assets.runs.manifest import MANIFEST, Manifest, Outcome
from gr00t_assets.runs.metrics import Metric
from gr00t_assets.runs.run_directory import SPEC
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.attempt import Attempt, StopRequest, attempt_run, train_main
from gr00t_assets.trainers.base import EnvironmentReport, Trainer
from gr00t_assets.trainers.policy import Observations, Policy
from gr00t_assets.trainers.reporter import Reporter
from gr00t_assets.trainers.run_files import (
    latest_record,
    publish_checkpoint,
    published_model,
    read_modality_config,
    remove_partial,
)

LAYOUT = CheckpointLayout(prefix="after", digits=3, training_files=r"velocity\.npy")
REVISION = "toy-1"


class ToyHyperparameters(Hyperparameters):
    """What every trainer takes, and one of its own."""

    momentum: float = Field(default=0.5, ge=0, lt=1, description="Share of the step before")


class ToyTrainer(Trainer):
    """Gradient descent on one chunk of actions."""

    name = "toy"
    hyperparameters = ToyHyperparameters
    default_base_model = "zeros"
    built_in_models = ("zeros",)
    checkpoint_layout = LAYOUT
    model_name = "A mean"

    def command(self, spec: TrainingSpec) -> list[str]:
        return [sys.executable, "-m", "toy_trainer", str(spec.run_directory / SPEC)]

    def load_policy(self, model_directory: Path, device: str | None = None) -> Policy:
        return ToyPolicy(model_directory)

    def export_checkpoint(self, checkpoint: Path, spec: TrainingSpec, model: Path) -> None:
        shutil.copyfile(checkpoint / "chunk.npy", model / "chunk.npy")
        (model / "config.json").write_text(json.dumps({"model": "toy"}))

    def revision(self) -> str:
        return REVISION

    def limits(self, experiment: Experiment) -> list[Finding]:
        if experiment.base_model == "zeros":
            return []
        found = f"the toy trainer starts from zeros, not from {experiment.base_model}"
        remedy = "give it base_model: zeros"
        return [
            Finding(
                severity="error", code="not-taken", subject="base_model", found=found, remedy=remedy
            )
        ]

    def environment(self, store: Store) -> EnvironmentReport:
        return EnvironmentReport(Findings(()), Findings(()), {"toy": "1.0"}, {"toy": REVISION})


class ToyPolicy(Policy):
    """The same chunk whatever it sees."""

    def __init__(self, model_directory: Path) -> None:
        super().__init__(read_modality_config(model_directory), "cpu")
        self._chunk = np.load(model_directory / "chunk.npy")

    def predict(
        self, observations: Observations, noise: np.ndarray, denoising_steps: int | None = None
    ) -> np.ndarray:
        return np.broadcast_to(self._chunk, noise.shape).astype(np.float32)


class ToyRun(Attempt):
    """One attempt at a run."""

    def __init__(self, spec: TrainingSpec, reporter: Reporter) -> None:
        super().__init__(spec, reporter)
        self.step, self.samples, self.wall_seconds = 0, 0, 0.0

    def outcome(self) -> Outcome:
        per_step = self.spec.experiment.hyperparameters.samples_per_step
        return Outcome(
            trainer_revision=REVISION,
            steps=self.step,
            samples_seen=self.step * per_step,
            wall_seconds=self.wall_seconds,
            dataset_frames=self.samples,
            device="cpu",
            versions={"toy": "1.0"},
            frames_verified=True,
        )

    def train(self, stop: StopRequest) -> Manifest:
        spec = self.spec
        settings = cast(ToyHyperparameters, spec.experiment.hyperparameters)
        directory, config = spec.run_directory, spec.modality_config
        remove_partial(directory, LAYOUT)
        dataset = LeRobotDataset.open(spec.datasets[0].directory, config.dataset)
        frames = FrameCache.open(spec.datasets[0].frame_cache, config.frame_size)
        data = Demonstrations(dataset, frames, config, "train")
        self.samples = len(data)
        chunk = np.zeros((len(config.action_indices), config.max_action_dim))
        velocity = np.zeros_like(chunk)
        if latest := latest_record(directory, spec.config_hash, LAYOUT):
            folder, record = latest
            self.step, self.wall_seconds = record.step, record.wall_seconds
            chunk, velocity = (np.load(folder / name) for name in ("chunk.npy", "velocity.npy"))
            self.reporter.say(f"resuming from step {self.step} of {settings.max_steps}")
        (directory / MANIFEST).unlink(missing_ok=True)
        while self.step < settings.max_steps:
            began = time.perf_counter()
            draw = np.random.default_rng([settings.seed, self.step])
            rows = draw.integers(0, len(data), settings.batch_size)
            error = chunk - data.actions(rows)
            velocity = settings.momentum * velocity - settings.learning_rate * error.mean(axis=0)
            chunk = chunk + velocity
            self.step += 1
            self.wall_seconds += time.perf_counter() - began
            self._log(float(np.square(error).mean()))
            stopping = stop.asked
            if stopping or self.step % settings.save_steps == 0 or self.step == settings.max_steps:
                self._save(chunk, velocity)
            if stopping and self.step < settings.max_steps:
                return self.record_stop(stop, self.step)
        with published_model(spec) as folder:
            np.save(folder / "chunk.npy", chunk)
            (folder / "config.json").write_text(json.dumps({"model": "toy"}))
        return self.record("finished")

    def _save(self, chunk: np.ndarray, velocity: np.ndarray) -> None:
        def write(folder: Path) -> None:
            np.save(folder / "chunk.npy", chunk)
            np.save(folder / "velocity.npy", velocity)

        publish_checkpoint(
            self.spec.run_directory,
            self.step,
            write,
            config_hash=self.spec.config_hash,
            keep=self.spec.experiment.hyperparameters.save_total_limit,
            facts={"wall_seconds": self.wall_seconds},
            layout=LAYOUT,
        )

    def _log(self, loss: float) -> None:
        settings = self.spec.experiment.hyperparameters
        seen = self.step * settings.samples_per_step
        self.reporter.metric(
            Metric(
                step=self.step,
                samples_seen=seen,
                epoch=seen / self.samples,
                loss=loss,
                losses=(loss,),
                grad_norm=0.0,
                learning_rate=settings.learning_rate,
                wall_seconds=self.wall_seconds,
            )
        )


def run_spec(spec: TrainingSpec) -> Manifest:
    return attempt_run(spec, partial(ToyRun, spec))


if __name__ == "__main__":
    sys.exit(train_main(sys.argv[1:], "toy_trainer", run_spec))
