"""One run from its spec to its manifest, whatever happened to it before."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from gr00t_assets.core.errors import CheckpointError, TrainingError
from gr00t_assets.modality.frame_check_result import frames_verified
from gr00t_assets.modality.generations import GENERATIONS
from gr00t_assets.runs.manifest import (
    MANIFEST,
    Manifest,
    Outcome,
    dataset_samples,
    installed_versions,
)
from gr00t_assets.runs.retention.removal import require_disk_space
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.attempt import Attempt, StopRequest, attempt_run, stop_on_signal
from gr00t_assets.trainers.base_model_files import BUILT_IN_NAMES, locate
from gr00t_assets.trainers.failures.gpu_memory import out_of_memory
from gr00t_assets.trainers.n17.processor_configs import inexpressible
from gr00t_assets.trainers.n17.processor_files import ProcessorFiles, processor_folder
from gr00t_assets.trainers.native import optimizer, training_state
from gr00t_assets.trainers.native.action_head import by_embodiment
from gr00t_assets.trainers.native.base_models import BaseModel, Device, choose_device, save_model
from gr00t_assets.trainers.native.batches import BatchSource
from gr00t_assets.trainers.native.frozen_features import require_frozen, use_cached_features
from gr00t_assets.trainers.native.gr00t_model import Gr00tModel
from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters
from gr00t_assets.trainers.native.memory import SOURCE as COUNTED
from gr00t_assets.trainers.native.memory import compare_after_second_step, memory_of, require_memory
from gr00t_assets.trainers.native.processes import Processes, is_sharded, shard, unshard
from gr00t_assets.trainers.native.trainer import REVISION
from gr00t_assets.trainers.native.training_loop import TrainingLoop
from gr00t_assets.trainers.reporter import Reporter
from gr00t_assets.trainers.run_files import published_model, remove_partial

_HEADER = 256  # Bytes that a tensor takes in the header of a safetensors file, at most.


def run_spec(spec: TrainingSpec, processes: Processes | None = None) -> Manifest:
    """Train what the spec asks for, as the first of its processes; see ``attempt_run``."""
    processes = processes or Processes()
    try:
        # Whoever only looks whether somebody trains here holds the lock for an instant.
        return attempt_run(spec, partial(NativeRun, spec, processes), lock_patience=1.0)
    finally:
        processes.begin(None)


def follow_spec(spec: TrainingSpec, processes: Processes) -> None:
    """Train another process's share of every step, once the first one begins.

    Raises:
        Exception: Whatever went wrong; the first process was told.
    """
    step = processes.awaited_begin()
    if step is None:
        return
    try:
        state = training_state.latest_checkpoint(spec.run_directory, spec.config_hash)
        if (seen := state.step if state else 0) != step:
            problem = f"process {processes.rank} sees step {seen} as the last one, not {step}."
            remedy = "mount the same store on every node"
            raise CheckpointError(str(spec.run_directory), problem, [remedy])
        device = choose_device(index=processes.local_rank)
        with stop_on_signal() as stop:
            _, loop = prepare(spec, processes, device)
            if state is not None:
                loop.restore(state)
            if loop.run(stop) and is_sharded(loop.model):
                with loop.average.in_use():
                    unshard(loop.model, keep=False)
    except Exception as error:
        processes.say_failed(error)
        if explained := processes.failure_of_another(error):
            raise explained from error
        raise


class NativeRun(Attempt):
    """One attempt; what is known of it grows as it goes on."""

    def __init__(self, spec: TrainingSpec, processes: Processes, reporter: Reporter) -> None:
        super().__init__(spec, reporter)
        self._processes = processes
        self._known = Outcome(trainer_revision=REVISION, versions=installed_versions())
        self._loop: TrainingLoop | None = None

    def train(self, stop: StopRequest) -> Manifest:
        """Train to the end, or to a request to stop; see ``Attempt.train``."""
        try:
            return self._train(stop)
        except torch.OutOfMemoryError as error:
            needed, name = memory_of(self.spec), self.spec.experiment.name
            total = needed and (lambda size: needed(size).total)
            explanation = out_of_memory(str(error), self.spec, total, COUNTED)
            raise TrainingError(name, explanation.problem, explanation.details) from error
        except RuntimeError as error:
            if explained := self._processes.failure_of_another(error):
                raise explained from error
            raise

    def outcome(self) -> Outcome:
        """What is known of the run by now."""
        verified = [frames_verified(dataset.frame_check) for dataset in self.spec.datasets]
        self._know(frames_verified=all(verified))
        if (loop := self._loop) is not None:
            counts = loop.batches.counts(loop.samples_seen)
            self._know(
                steps=loop.step,
                samples_seen=loop.samples_seen,
                wall_seconds=loop.wall_seconds,
                peak_memory_bytes=loop.device.peak_memory_bytes(),
                datasets=dataset_samples(self.spec, counts, verified),
            )
        return self._known

    def _train(self, stop: StopRequest) -> Manifest:
        directory, processes = self.spec.run_directory, self._processes
        remove_partial(directory)
        state = training_state.latest_checkpoint(directory, self.spec.config_hash)
        processes.begin(state.step if state else 0)
        began, device = time.perf_counter(), choose_device(index=processes.local_rank)
        gpus = processes.count if device.on_gpu else 0
        self._know(device=device.name, device_uuid=device.uuid, gpus=gpus)
        base, loop = prepare(self.spec, processes, device, self.reporter, self._know)
        self._loop = loop
        name = self.spec.experiment.name
        require_disk_space(name, directory, *sizes_on_disk(base.model, loop.settings))
        several = f", {processes.count} processes" if processes.count > 1 else ""
        trained = sum(parameter.numel() for _, parameter in optimizer.trainable(base.model))
        self.reporter.say(
            f"{name}: {self._known.parameters:,} parameters, {trained:,} "
            f"trained, on {device.name}{several}; {loop.batches.samples} samples; "
            f"attention of the towers: {base.model.attention}; "
            f"ready after {time.perf_counter() - began:.1f} s"
        )
        if state is not None:
            loop.restore(state)
            self.reporter.say(f"resuming from step {state.step} of {loop.settings.max_steps}")
        (directory / MANIFEST).unlink(missing_ok=True)
        if not loop.run(stop):
            return self.record_stop(stop, loop.step)
        with published_model(self.spec) as folder, loop.average.in_use():
            if is_sharded(loop.model):
                unshard(loop.model, keep=True)
            optimizer.finish_training(loop.model, loop.settings, folder / optimizer.ADAPTER)
            data = [dataset.config for dataset in self.spec.datasets]
            save_model(loop.model, folder, base.tokenizer, data)
        return self.record("finished")

    def _know(self, **facts: Any) -> None:
        self._known = replace(self._known, **facts)


def prepare(
    spec: TrainingSpec,
    processes: Processes,
    device: Device,
    reporter: Reporter | None = None,
    know: Callable[..., None] = lambda **facts: None,
) -> tuple[BaseModel, TrainingLoop]:
    """Load the model and the data, and look whether they fit each other.

    ``know`` is told what becomes known of the run meanwhile.

    Raises:
        BaseModelError: There is no such model, or it is not an N1.5.
        DatasetError: A dataset cannot be read.
        TrainingError: They do not fit each other, or the hyperparameters.
    """
    settings = NativeHyperparameters.of(spec.experiment)
    say = reporter.say if reporter is not None else lambda line: None
    require_frozen(settings)
    base = training_state.spec_base_model(spec, device)
    _check_fit(spec, base)
    parameters = sum(parameter.numel() for parameter in base.model.parameters())
    optimizer.set_up_training(base.model, settings, spec.embodiments)
    device = replace(device, mixed_precision=settings.weights == "bfloat16")
    trained = base.model.trainable_parameters()
    know(base_model_revision=base.revision, parameters=parameters, trainable_parameters=trained)
    if base.config.generation == "n1.7":
        for problem in inexpressible([dataset.config for dataset in spec.datasets]):
            say(f"the model will open here alone, not in Isaac-GR00T or LeRobot: {problem}")
    needed = memory_of(spec) if device.on_gpu else None
    if needed is not None:
        total = torch.cuda.get_device_properties(device.device).total_memory
        require_memory(spec.experiment.name, needed, settings, total)
    if settings.sharding == "fsdp" and processes.count > 1:
        shard(base.model, device.device)
    batches = BatchSource(spec, base, device.device)
    know(dataset_frames=batches.samples)
    if settings.frozen_features == "cache":
        use_cached_features(spec.datasets, base, batches, device, processes, say)

    def save(state: training_state.TrainingState) -> None:
        if processes.is_first:
            keep = settings.save_total_limit
            training_state.save_checkpoint(state, spec.run_directory, spec.config_hash, keep)

    loop = TrainingLoop(base.model, settings, batches, device, reporter, save, processes)
    if settings.compile:
        reason = base.model.compile_layers(loop.try_out)
        say(f"not compiled: {reason}" if reason else "layers are compiled")
    if needed is not None:
        need = needed(settings.batch_size)
        compare_after_second_step(loop.optimizer, need, device.device, say)
    return base, loop


def _check_fit(spec: TrainingSpec, base: BaseModel) -> None:
    """Refuse a model that the data's padded vectors or its embodiment do not fit."""
    head, data = base.config.action_head, spec.modality_config
    if data.generation != base.config.generation:
        theirs, own = data.generation.upper(), base.config.generation.upper()
        problem = f"base model {spec.experiment.base_model} is {own}, and the data is not."
        found = f"data config {data.data_config} of dataset {data.dataset} is of {theirs}"
        remedy = f"give the dataset a data config with generation: {base.config.generation}"
        raise TrainingError(spec.experiment.name, problem, [found, remedy])
    pairs = [
        ("numbers of state", data.max_state_dim, head.max_state_dim),
        ("numbers of action", data.max_action_dim, head.action_dim),
    ]
    problems = [f"{what}: the data has {a}, the model {b}" for what, a, b in pairs if a != b]
    problems += _other_rows(spec)
    rows, ids = head.max_num_embodiments, [item.config.embodiment_id for item in spec.datasets]
    problems += [f"embodiment {number}: the model has {rows}" for number in ids if number >= rows]
    if problems:
        name = spec.experiment.base_model
        raise TrainingError(spec.experiment.name, f"base model {name} does not fit.", problems)


def _other_rows(spec: TrainingSpec) -> list[str]:
    """Embodiment tags that have another row in the base model than in Isaac-GR00T's code."""
    ids: dict[str, int] = {}
    name, revision = spec.experiment.base_model, spec.experiment.base_model_revision
    if name not in BUILT_IN_NAMES and processor_folder(folder := locate(name, revision)):
        ids = ProcessorFiles.read(folder).embodiment_ids
    configs = {dataset.config.embodiment_tag: dataset.config for dataset in spec.datasets}
    return [
        f"embodiment tag {tag} is row {ids[tag]} of the base model, not {config.embodiment_id}; "
        f"give data config {config.data_config} embodiment_id: {ids[tag]}"
        for tag, config in configs.items()
        if tag in ids
        and config.embodiment_id == GENERATIONS[config.generation].embodiment_ids.get(tag)
        and config.embodiment_id != ids[tag]
    ]


def sizes_on_disk(model: Gr00tModel, settings: NativeHyperparameters) -> tuple[int, int]:
    """Bytes of one checkpoint with its optimizer state, and of the final model."""
    trained = [parameter for _, parameter in optimizer.trainable(model)]
    checkpoint = _file_bytes(trained)
    checkpoint += sum(optimizer.moment_bytes(value, settings) + 2 * _HEADER for value in trained)
    if settings.ema_decay:
        checkpoint += sum(4 * value.numel() + _HEADER for value in trained)
    layers = [layer for layer in by_embodiment(model).values() if layer.set_aside]
    kept = _file_bytes(tensor for layer in layers for tensor in layer.parameters())
    whole = _file_bytes(tensor for layer in layers for tensor in layer.set_aside.values())
    return checkpoint, _file_bytes(model.state_dict().values()) - kept + whole


def _file_bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() + _HEADER for tensor in tensors)
