"""All that training needs to go on as if it had never stopped, and the checkpoint that keeps it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from gr00t_assets.core.errors import CheckpointError
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.native.action_head import by_embodiment, kept_rows
from gr00t_assets.trainers.native.base_models import BaseModel, Device, load_base_model
from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters
from gr00t_assets.trainers.native.optimizer import add_lora, finish_training
from gr00t_assets.trainers.native.weights import save_tensors
from gr00t_assets.trainers.run_files import latest_record, publish_checkpoint

FILES = {"weights": "model.safetensors", "optimizer": "optimizer.safetensors"}
"""Of a checkpoint, by what of the state they hold."""

EMA = "ema.safetensors"
"""The weights' average, where ``ema_decay`` asks for it; then it is the model."""

_FACTS = ("samples_seen", "wall_seconds", "scheduler")  # In the checkpoint's record.


@dataclass(frozen=True)
class TrainingState:
    """The state after a step, and the training time so far."""

    step: int
    samples_seen: int  # The place in the data order, from which all random draws follow.
    wall_seconds: float
    scheduler: dict[str, Any]  # State of the learning rate's schedule.
    weights: dict[str, Tensor]  # Trained parameters; frozen ones come from the base model.
    optimizer: dict[str, Tensor]  # AdamW's moments by parameter.
    ema: dict[str, Tensor] = field(default_factory=dict)  # Average of the weights, float32, if any.


def save_checkpoint(state: TrainingState, run_directory: Path, config_hash: str, keep: int) -> None:
    """Publish a checkpoint; see ``publish_checkpoint``."""

    def write(folder: Path) -> None:
        for part, name in FILES.items():
            save_tensors(getattr(state, part), folder / name)
        if state.ema:
            save_tensors(state.ema, folder / EMA)

    facts = {name: getattr(state, name) for name in _FACTS}
    publish_checkpoint(
        run_directory, state.step, write, config_hash=config_hash, keep=keep, facts=facts
    )


def latest_checkpoint(run_directory: Path, config_hash: str) -> TrainingState | None:
    """The newest complete checkpoint; ``None`` where there is none.

    Raises:
        CheckpointError: It belongs to another run, or its files are not what was written.
    """
    latest = latest_record(run_directory, config_hash)
    if latest is None:
        return None
    folder, record = latest
    if missing := set(FILES.values()) - record.files.keys():
        details = [f"{name}: is missing" for name in sorted(missing)]
        remedy = f"delete {folder} to go on from the checkpoint before it, or from the start"
        raise CheckpointError(str(folder), "this checkpoint is corrupt.", [*details, remedy])
    kept: dict[str, Any] = {name: getattr(record, name) for name in ("step", *_FACTS)}
    kept |= {part: load_file(folder / name) for part, name in FILES.items()}
    return TrainingState(ema=load_file(folder / EMA) if EMA in record.files else {}, **kept)


def spec_base_model(spec: TrainingSpec, device: Device) -> BaseModel:
    """The base model of a run, as training starts from it; nothing of it is frozen yet.

    Towers that will be frozen are bfloat16 on a GPU; weights that are trained stay float32.

    Raises:
        BaseModelError: There is no such model, or it is of no generation that is trained here.
    """
    experiment = spec.experiment
    settings = NativeHyperparameters.of(experiment)
    frozen = not (settings.tune_llm or settings.tune_visual)
    return load_base_model(
        experiment.base_model,
        experiment.base_model_revision,
        seed=settings.seed,
        action_horizon=len(spec.modality_config.action_indices),
        attn=device.attention,
        dtype=torch.bfloat16 if frozen and device.on_gpu else torch.float32,
        device=device.device,
    )


def checkpoint_model(folder: Path, spec: TrainingSpec, device: Device) -> BaseModel:
    """The model at a checkpoint: trained parameters from it, frozen ones from the base model.

    Where it has an average of the weights, that is the model.

    Raises:
        BaseModelError: The base model is not there any more.
        CheckpointError: The checkpoint is of another model.
    """
    averaged = folder / EMA
    weights = load_file(averaged if averaged.is_file() else folder / FILES["weights"])
    base = spec_base_model(spec, device)
    settings = NativeHyperparameters.of(spec.experiment)
    add_lora(base.model, settings)
    for layer in by_embodiment(base.model).values():
        layer.keep_rows(spec.embodiments)
    weights = kept_rows(base.model, weights)
    named = dict(base.model.named_parameters())
    shapes = {name: value.shape for name, value in named.items()}
    if other := [name for name, value in weights.items() if shapes.get(name) != value.shape]:
        problem = f"its weights are not those of base model {spec.experiment.base_model}."
        raise CheckpointError(str(folder), problem, sorted(other)[:5])
    with torch.no_grad():
        for name, value in weights.items():
            named[name].copy_(value)
    finish_training(base.model, settings)
    return base
