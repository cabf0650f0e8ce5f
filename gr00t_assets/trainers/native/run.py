"""One run from its spec to its manifest, whatever happened to it before."""

import time
from functools import partial

import torch

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.files import published_directory, write_json
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.runs.manifest import MANIFEST, Manifest, save_manifest
from gr00t_assets.runs.outcome import Status, record_attempt
from gr00t_assets.runs.retention.room import require_room
from gr00t_assets.runs.run_directory import MODALITY_CONFIG, MODEL
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.attempt import attempt_run
from gr00t_assets.trainers.experiment_cfg import isaac_metadata
from gr00t_assets.trainers.failures.device import out_of_memory
from gr00t_assets.trainers.native.base_models import BaseModel, load_base_model, save_model
from gr00t_assets.trainers.native.batches import BatchSource
from gr00t_assets.trainers.native.checkpoint_size import sizes_on_disk
from gr00t_assets.trainers.native.checkpoints import (
    TrainingState,
    latest_checkpoint,
    remove_partial,
    save_checkpoint,
)
from gr00t_assets.trainers.native.devices import Device, choose_device
from gr00t_assets.trainers.native.loop import TrainingLoop
from gr00t_assets.trainers.native.outcome import Progress, make_manifest
from gr00t_assets.trainers.reporting import Reporter
from gr00t_assets.trainers.stopping import StopRequest

_LOCK_PATIENCE = 1.0
"""Seconds; whoever only looks whether somebody trains here holds the lock for an instant."""


def run_spec(spec: TrainingSpec) -> Manifest:
    """Train what the spec asks for; see :func:`attempt_run`."""
    begin = partial(NativeRun, spec)
    return attempt_run(spec, begin, lock_patience=_LOCK_PATIENCE)


class NativeRun:
    """One attempt.

    Args:
        spec: What is asked.
        reporter: Where progress goes.
    """

    def __init__(self, spec: TrainingSpec, reporter: Reporter) -> None:
        self._spec = spec
        self._reporter = reporter
        self._progress = Progress(spec, record_attempt(spec.run_directory))

    def train(self, stop: StopRequest) -> Manifest:
        """Train to the end, or to a request to stop.

        Raises:
            Gr00tAssetsError: It cannot be trained, or training failed.
        """
        try:
            return self._train(stop)
        except torch.OutOfMemoryError as error:
            raise _out_of_memory(self._spec, error) from error

    def record(self, status: Status, failure: str | None) -> Manifest:
        """Write the manifest of the attempt as it ended."""
        self._progress.failure = failure
        manifest = make_manifest(self._progress, status)
        save_manifest(manifest, self._spec.run_directory)
        return manifest

    def _train(self, stop: StopRequest) -> Manifest:
        spec, progress, say = self._spec, self._progress, self._reporter.say
        directory, settings = spec.run_directory, spec.experiment.hyperparameters
        remove_partial(directory)
        state = latest_checkpoint(directory, spec.config_hash)
        device = progress.device = choose_device()
        loop = _prepare(spec, progress, device, self._reporter)
        if state is not None:
            loop.restore(state)
            say(f"resuming from step {state.step} of {settings.max_steps}")
        progress.loop = loop
        (directory / MANIFEST).unlink(missing_ok=True)
        if not loop.run(stop):
            failure = stop.words(loop.step)
            manifest = self.record(stop.status, failure)
            say(f"{failure}; a checkpoint is written, the next start goes on from it")
            return manifest
        _publish_model(spec, loop, progress)
        return self.record("finished", None)


def _out_of_memory(spec: TrainingSpec, error: Exception) -> TrainingError:
    told = out_of_memory(str(error), spec)
    return TrainingError(spec.experiment.name, told.problem, told.details)


def _prepare(
    spec: TrainingSpec, progress: Progress, device: Device, reporter: Reporter
) -> TrainingLoop:
    experiment, settings = spec.experiment, spec.experiment.hyperparameters
    began = time.perf_counter()
    base = load_base_model(
        experiment.base_model,
        experiment.base_model_revision,
        seed=settings.seed,
        action_horizon=len(spec.modality_config.action_indices),
        attn="flash_attention_2" if device.on_gpu else "sdpa",
        dtype=_backbone_dtype(settings, device),
        device=device.device,
    )
    progress.base = base
    _check_fit(spec, base)
    base.model.set_trainable(
        tune_llm=settings.tune_llm,
        tune_visual=settings.tune_visual,
        tune_projector=settings.tune_projector,
        tune_diffusion_model=settings.tune_diffusion_model,
    )
    batches = BatchSource(spec, base, device.device)
    progress.frames = batches.samples
    reporter.say(
        f"{experiment.name}: {sum(p.numel() for p in base.model.parameters()):,} parameters, "
        f"{sum(base.model.trainable_parameters().values()):,} trained, on {device.name}; "
        f"{batches.samples} samples; ready after {time.perf_counter() - began:.1f} s"
    )
    require_room(experiment.name, spec.run_directory, *sizes_on_disk(base.model))
    keep = settings.save_total_limit

    def save(state: TrainingState) -> None:
        save_checkpoint(state, spec.run_directory, spec.config_hash, keep)

    return TrainingLoop(base.model, settings, batches, device, reporter, save)


def _check_fit(spec: TrainingSpec, base: BaseModel) -> None:
    """Refuse a model that the data's padded vectors or its embodiment do not fit."""
    head, data = base.config.action_head, spec.modality_config
    pairs = [
        ("numbers of state", data.max_state_dim, head.max_state_dim),
        ("numbers of action", data.max_action_dim, head.action_dim),
    ]
    problems = [f"{what}: the data has {a}, the model {b}" for what, a, b in pairs if a != b]
    if data.embodiment_id >= head.max_num_embodiments:
        problems.append(
            f"embodiment {data.embodiment_id}: the model has {head.max_num_embodiments}"
        )
    if problems:
        name = spec.experiment.base_model
        raise TrainingError(spec.experiment.name, f"base model {name} does not fit.", problems)


def _backbone_dtype(settings: Hyperparameters, device: Device) -> torch.dtype:
    """bfloat16 for towers that are frozen on a GPU; weights that are trained stay float32."""
    frozen = not (settings.tune_llm or settings.tune_visual)
    return torch.bfloat16 if frozen and device.on_gpu else torch.float32


def _publish_model(spec: TrainingSpec, loop: TrainingLoop, progress: Progress) -> None:
    assert progress.base is not None
    with published_directory(spec.run_directory / MODEL) as partial:
        save_model(loop.model, progress.base.config, partial, progress.base.tokenizer)
        (partial / "experiment_cfg").mkdir()
        write_json(
            partial / "experiment_cfg" / "metadata.json", isaac_metadata(spec.modality_config)
        )
        write_json(partial / MODALITY_CONFIG, spec.modality_config.model_dump(mode="json"))
