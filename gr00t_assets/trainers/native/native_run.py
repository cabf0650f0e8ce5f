"""One run from its spec to its manifest, whatever happened to it before."""

import time
from collections.abc import Iterable
from functools import partial

import torch

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.modality.frame_check_result import frames_verified
from gr00t_assets.runs.manifest import (
    MANIFEST,
    Manifest,
    Outcome,
    dataset_samples,
    installed_versions,
)
from gr00t_assets.runs.retention.removal import require_disk_space
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.attempt import Attempt, StopRequest, attempt_run
from gr00t_assets.trainers.failures.gpu_memory import out_of_memory
from gr00t_assets.trainers.n15.n15_hyperparameters import N15Hyperparameters
from gr00t_assets.trainers.native.base_models import (
    BaseModel,
    Device,
    choose_device,
    load_base_model,
    save_model,
)
from gr00t_assets.trainers.native.batches import BatchSource
from gr00t_assets.trainers.native.gr00t_n15 import Gr00tN15
from gr00t_assets.trainers.native.trainer import REVISION
from gr00t_assets.trainers.native.training_loop import TrainingLoop, trainable
from gr00t_assets.trainers.native.training_state import (
    TrainingState,
    latest_checkpoint,
    save_checkpoint,
)
from gr00t_assets.trainers.reporter import Reporter
from gr00t_assets.trainers.run_files import published_model, remove_partial

_LOCK_PATIENCE = 1.0
"""Seconds; whoever only looks whether somebody trains here holds the lock for an instant."""

_MOMENTS = 2
"""AdamW's moments of each trained number, in its own type."""

_HEADER = 256
"""Bytes that a tensor takes in the header of a safetensors file, at most."""


def run_spec(spec: TrainingSpec) -> Manifest:
    """Train what the spec asks for; see ``attempt_run``."""
    begin = partial(NativeRun, spec)
    return attempt_run(spec, begin, lock_patience=_LOCK_PATIENCE)


class NativeRun(Attempt):
    """One attempt; its fields are filled as it goes on."""

    def __init__(self, spec: TrainingSpec, reporter: Reporter) -> None:
        super().__init__(spec, reporter)
        self.device: Device | None = None
        self.base: BaseModel | None = None
        self.loop: TrainingLoop | None = None
        self.batches: BatchSource | None = None

    def train(self, stop: StopRequest) -> Manifest:
        """Train to the end, or to a request to stop; see ``Attempt.train``."""
        try:
            return self._train(stop)
        except torch.OutOfMemoryError as error:
            explanation = out_of_memory(str(error), self.spec)
            name = self.spec.experiment.name
            raise TrainingError(name, explanation.problem, explanation.details) from error

    def outcome(self) -> Outcome:
        """What is known of the run by now."""
        loop, device, base, batches = self.loop, self.device, self.base, self.batches
        samples = loop.samples_seen if loop else 0
        verified = [frames_verified(dataset.frame_check) for dataset in self.spec.datasets]
        return Outcome(
            trainer_revision=REVISION,
            base_model_revision=base.revision if base else None,
            steps=loop.step if loop else 0,
            samples_seen=samples,
            wall_seconds=loop.wall_seconds if loop else 0.0,
            dataset_frames=batches.samples if batches else 0,
            gpus=1 if device is not None and device.on_gpu else 0,
            device=device.name if device else "none",
            device_uuid=device.uuid if device else None,
            peak_memory_bytes=device.peak_memory_bytes() if device else 0,
            parameters=_count(base.model) if base else 0,
            trainable_parameters=base.model.trainable_parameters() if base else {},
            versions=installed_versions(),
            frames_verified=all(verified),
            datasets=dataset_samples(self.spec, batches.counts(samples), verified)
            if batches
            else (),
        )

    def _train(self, stop: StopRequest) -> Manifest:
        directory = self.spec.run_directory
        remove_partial(directory)
        state = latest_checkpoint(directory, self.spec.config_hash)
        self.device = choose_device()
        loop = self._prepare(self.device)
        if state is not None:
            loop.restore(state)
            self.reporter.say(f"resuming from step {state.step} of {loop.settings.max_steps}")
        self.loop = loop
        (directory / MANIFEST).unlink(missing_ok=True)
        if not loop.run(stop):
            return self.record_stop(stop, loop.step)
        assert self.base is not None
        with published_model(self.spec) as folder:
            save_model(loop.model, self.base.config, folder, self.base.tokenizer)
        return self.record("finished")

    def _prepare(self, device: Device) -> TrainingLoop:
        """Load the model and the data, and look whether they fit each other and the disk."""
        spec, experiment = self.spec, self.spec.experiment
        settings, began = N15Hyperparameters.of(experiment), time.perf_counter()
        base = self.base = load_base_model(
            experiment.base_model,
            experiment.base_model_revision,
            seed=settings.seed,
            action_horizon=len(spec.modality_config.action_indices),
            attn="flash_attention_2" if device.on_gpu else "sdpa",
            dtype=_backbone_dtype(settings, device),
            device=device.device,
        )
        _check_fit(spec, base)
        base.model.set_trainable(**settings.model_dump(include=set(settings.trained_parts)))
        batches = self.batches = BatchSource(spec, base, device.device)
        self.reporter.say(
            f"{experiment.name}: {_count(base.model):,} parameters, "
            f"{sum(base.model.trainable_parameters().values()):,} trained, on {device.name}; "
            f"{batches.samples} samples; ready after {time.perf_counter() - began:.1f} s"
        )
        require_disk_space(experiment.name, spec.run_directory, *sizes_on_disk(base.model))

        def save(state: TrainingState) -> None:
            keep = settings.save_total_limit
            save_checkpoint(state, spec.run_directory, spec.config_hash, keep)

        return TrainingLoop(base.model, settings, batches, device, self.reporter, save)


def _count(model: Gr00tN15) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _check_fit(spec: TrainingSpec, base: BaseModel) -> None:
    """Refuse a model that the data's padded vectors or its embodiment do not fit."""
    head, data = base.config.action_head, spec.modality_config
    pairs = [
        ("numbers of state", data.max_state_dim, head.max_state_dim),
        ("numbers of action", data.max_action_dim, head.action_dim),
    ]
    problems = [f"{what}: the data has {a}, the model {b}" for what, a, b in pairs if a != b]
    problems += [
        f"embodiment {dataset.config.embodiment_id}: the model has {head.max_num_embodiments}"
        for dataset in spec.datasets
        if dataset.config.embodiment_id >= head.max_num_embodiments
    ]
    if problems:
        name = spec.experiment.base_model
        raise TrainingError(spec.experiment.name, f"base model {name} does not fit.", problems)


def _backbone_dtype(settings: N15Hyperparameters, device: Device) -> torch.dtype:
    """bfloat16 for towers that are frozen on a GPU; weights that are trained stay float32."""
    frozen = not (settings.tune_llm or settings.tune_visual)
    return torch.bfloat16 if frozen and device.on_gpu else torch.float32


def sizes_on_disk(model: Gr00tN15) -> tuple[int, int]:
    """Bytes of one checkpoint with its optimizer state, and of the final model."""
    trained = [parameter for _, parameter in trainable(model)]
    return (1 + _MOMENTS) * _file_bytes(trained), _file_bytes(model.state_dict().values())


def _file_bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() + _HEADER for tensor in tensors)
