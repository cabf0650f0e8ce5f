"""One run from its spec to its manifest, whatever happened to it before."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import torch

from gr00t_assets.errors import Gr00tAssetsError, TrainingError
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.files import published_directory, write_json
from gr00t_assets.training.experiment_cfg import isaac_metadata
from gr00t_assets.training.manifest import MANIFEST, Manifest, load_manifest, save_manifest
from gr00t_assets.training.native.base_models import BaseModel, load_base_model, save_model
from gr00t_assets.training.native.batches import BatchSource
from gr00t_assets.training.native.checkpoints import (
    TrainingState,
    latest_checkpoint,
    remove_partial,
    save_checkpoint,
)
from gr00t_assets.training.native.devices import Device, choose_device
from gr00t_assets.training.native.loop import TrainingLoop
from gr00t_assets.training.native.outcome import Attempt, make_manifest
from gr00t_assets.training.native.policy import MODALITY_CONFIG
from gr00t_assets.training.native.reporting import Reporter, reporting
from gr00t_assets.training.native.stopping import StopRequest, stop_on_signal
from gr00t_assets.training.run_directory import MODEL, place_spec
from gr00t_assets.training.run_lock import run_lock
from gr00t_assets.training.spec import TrainingSpec

ATTEMPTS = "attempts.jsonl"


def run_spec(spec: TrainingSpec) -> Manifest:
    """Train what the spec asks for, or go on where an earlier attempt stopped.

    A finished run is not trained again. A run that failed or was interrupted goes on from its last
    complete checkpoint.

    Returns:
        The manifest, whose status is ``finished`` or ``interrupted``.

    Raises:
        Gr00tAssetsError: The run failed; its manifest says so and no model is published.
    """
    directory = spec.run_directory
    with (
        run_lock(directory),
        reporting(directory, spec.experiment.hyperparameters.max_steps) as reporter,
    ):
        manifest = load_manifest(directory)
        if manifest is not None and manifest.status == "finished":
            reporter.say(
                f"{spec.experiment.name} ({spec.config_hash}) is finished already: "
                f"{manifest.steps} steps; nothing is trained"
            )
            return manifest
        place_spec(spec)
        remove_partial(directory)
        attempt = Attempt(spec, _record_attempt(directory), datetime.now(UTC))
        try:
            with stop_on_signal() as stop:
                return _train(spec, attempt, reporter, stop)
        except torch.OutOfMemoryError as error:
            explained = _out_of_memory(spec, error)
            attempt.failure = explained.explain()
            save_manifest(make_manifest(attempt), directory)
            raise explained from error
        except Gr00tAssetsError as error:
            attempt.failure = error.explain()
            save_manifest(make_manifest(attempt), directory)
            raise
        except KeyboardInterrupt:
            attempt.failure = "stopped at once by a second Ctrl-C"
            save_manifest(make_manifest(attempt, status="interrupted"), directory)
            raise
        except Exception as error:
            attempt.failure = f"{type(error).__name__}: {error}"
            save_manifest(make_manifest(attempt), directory)
            raise


def _record_attempt(directory: Path) -> list[str]:
    """Note that training starts; returns the times of all attempts so far, the first one first."""
    path = directory / ATTEMPTS
    with path.open("a") as file:
        file.write(json.dumps({"started_at": datetime.now(UTC).isoformat()}) + "\n")
    lines = path.read_text().splitlines()
    return [json.loads(line)["started_at"] for line in lines if line.endswith("}")]


def _out_of_memory(spec: TrainingSpec, error: Exception) -> TrainingError:
    settings = spec.experiment.hyperparameters
    return TrainingError(
        spec.experiment.name,
        f"the GPU's memory does not hold batch_size {settings.batch_size}.",
        [
            str(error).splitlines()[0],
            "halve batch_size and double gradient_accumulation_steps: the samples per step stay",
        ],
    )


def _train(spec: TrainingSpec, attempt: Attempt, reporter: Reporter, stop: StopRequest) -> Manifest:
    directory, settings = spec.run_directory, spec.experiment.hyperparameters
    state = latest_checkpoint(directory, spec.config_hash)
    device = attempt.device = choose_device()
    loop = _prepare(spec, attempt, device, reporter)
    if state is not None:
        loop.restore(state)
        reporter.say(f"resuming from step {state.step} of {settings.max_steps}")
    attempt.loop = loop
    (directory / MANIFEST).unlink(missing_ok=True)
    if not loop.run(stop):
        attempt.failure = f"stopped by {stop.signal_name} at step {loop.step}"
        manifest = make_manifest(attempt, status="interrupted")
        save_manifest(manifest, directory)
        reporter.say(f"{attempt.failure}; a checkpoint is written, the next start goes on from it")
        return manifest
    _publish_model(spec, loop, attempt)
    manifest = make_manifest(attempt, status="finished")
    save_manifest(manifest, directory)
    return manifest


def _prepare(
    spec: TrainingSpec, attempt: Attempt, device: Device, reporter: Reporter
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
    attempt.base = base
    _check_fit(spec, base)
    base.model.set_trainable(
        tune_llm=settings.tune_llm,
        tune_visual=settings.tune_visual,
        tune_projector=settings.tune_projector,
        tune_diffusion_model=settings.tune_diffusion_model,
    )
    batches = BatchSource(spec, base, device.device)
    attempt.frames = batches.samples
    reporter.say(
        f"{experiment.name}: {sum(p.numel() for p in base.model.parameters()):,} parameters, "
        f"{sum(base.model.trainable_parameters().values()):,} trained, on {device.name}; "
        f"{batches.samples} samples; ready after {time.perf_counter() - began:.1f} s"
    )
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


def _publish_model(spec: TrainingSpec, loop: TrainingLoop, attempt: Attempt) -> None:
    assert attempt.base is not None
    with published_directory(spec.run_directory / MODEL) as partial:
        save_model(loop.model, attempt.base.config, partial, attempt.base.tokenizer)
        (partial / "experiment_cfg").mkdir()
        write_json(
            partial / "experiment_cfg" / "metadata.json", isaac_metadata(spec.modality_config)
        )
        write_json(partial / MODALITY_CONFIG, spec.modality_config.model_dump(mode="json"))
