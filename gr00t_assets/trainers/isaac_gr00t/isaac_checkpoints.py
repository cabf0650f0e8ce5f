"""Checkpoints of Isaac-GR00T's trainer: which may be resumed, their size, the published model.

The launcher writes ``complete.json`` into a checkpoint when every file of it is on the disk. One
without it was cut short; Isaac-GR00T would resume from it all the same, since it takes the folder
with the highest number.
"""

import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from gr00t_assets.core.errors import CheckpointError, TrainingError
from gr00t_assets.core.files import write_json
from gr00t_assets.runs.checkpoint_layout import COMPLETE, CheckpointLayout, stored_checkpoints
from gr00t_assets.runs.run_directory import CHECKPOINTS
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.checkpoint_files import complete_checkpoints
from gr00t_assets.trainers.isaac_gr00t.hyperparameters import IsaacHyperparameters, isaac_settings
from gr00t_assets.trainers.model_folder import published_model

LAYOUT = CheckpointLayout(
    prefix="checkpoint",
    digits=1,
    training_files=r"optimizer\.(?:safetensors|pt|bin)|rng_state[\w-]*\.pth|scheduler\.pt",
)
"""``checkpoints/checkpoint-200`` for step 200, as transformers' trainer names it."""

MERGED = "merged"
"""Folder of the whole model of a LoRA run, whose checkpoints hold adapters only."""

TOKENIZER_FILES = (
    "tokenizer.json", "vocab.json", "merges.txt", "added_tokens.json", "special_tokens_map.json",
    "tokenizer_config.json",
)  # fmt: skip

_FUTURE_TOKENS = "action_head.future_tokens.weight"

_BYTES_PER_NUMBER = 4
"""Weights and AdamW's two moments are saved in float32."""

_MOMENTS = 2

_MAX_HEADER_BYTES = 100_000_000
"""Limit of the safetensors format for a header."""


class IsaacCheckpoint(BaseModel):
    """``complete.json`` of a checkpoint."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    step: int
    config_hash: str
    wall_seconds: float = Field(description="Training time up to this step, over every attempt")
    samples_seen: int
    files: dict[str, int] = Field(description="Bytes of each file, by its name in the folder")


def latest_checkpoint(spec: TrainingSpec) -> IsaacCheckpoint | None:
    """The newest complete checkpoint; ``None`` where there is none.

    Raises:
        CheckpointError: It belongs to another run, or its files are not what was written.
        TrainingError: It is beyond the steps that are asked for.
    """
    folders = complete_checkpoints(spec.run_directory, LAYOUT)
    if not folders:
        return None
    latest = _read(folders[-1], spec.config_hash)
    asked = spec.experiment.hyperparameters.max_steps
    if latest.step > asked:
        raise TrainingError(
            spec.experiment.name,
            f"its run directory has a checkpoint of step {latest.step}, max_steps is {asked}.",
            [f"delete {folders[-1]} to resume from the checkpoint before it"],
        )
    return latest


def remove_incomplete(run_directory: Path) -> None:
    """Remove checkpoints that a kill cut short; needs the run's lock."""
    for checkpoint in stored_checkpoints(run_directory):
        if not checkpoint.complete:
            shutil.rmtree(checkpoint.path)


def _read(folder: Path, config_hash: str) -> IsaacCheckpoint:
    remedy = f"delete {folder} to resume from the checkpoint before it, or from the start"
    try:
        record = IsaacCheckpoint.model_validate(json.loads((folder / COMPLETE).read_text()))
    except ValueError as error:
        problem = f"{COMPLETE} is not a checkpoint's record."
        raise CheckpointError(str(folder), problem, [str(error), remedy]) from error
    if record.config_hash != config_hash or folder.name != LAYOUT.folder_name(record.step):
        owner = f"it is step {record.step} of config hash {record.config_hash}"
        details = [owner, f"expected: {config_hash}", remedy]
        raise CheckpointError(str(folder), "this checkpoint belongs to another run.", details)
    damaged = []
    for name, expected in record.files.items():
        size = (folder / name).stat().st_size if (folder / name).is_file() else None
        if size is None:
            damaged.append(f"{name}: is missing")
        elif size != expected:
            damaged.append(f"{name}: has {size} bytes, {expected} were written")
    if damaged:
        raise CheckpointError(str(folder), "this checkpoint is corrupt.", [*damaged, remedy])
    return record


def sizes_on_disk(base_model: Path, settings: IsaacHyperparameters) -> tuple[int, int]:
    """Bytes of one checkpoint with its optimizer state, and of the final model beside it.

    The final model shares the files of the last checkpoint, except with LoRA, whose checkpoints
    hold adapters only. Both are 0 where the base model's weights are no safetensors.
    """
    sizes = _tensor_sizes(base_model)
    weights = sum(sizes.values()) * _BYTES_PER_NUMBER
    if settings.lora_rank:
        return 0, weights
    trained = {
        "action_head.": settings.tune_projector or settings.tune_diffusion_model,
        "backbone.eagle_model.language_model.": settings.tune_llm,
        "backbone.eagle_model.vision_model.": settings.tune_visual,
        "backbone.eagle_model.mlp1.": settings.tune_visual,
    }
    begins = tuple(begin for begin, is_trained in trained.items() if is_trained)
    moments = sum(count for name, count in sizes.items() if name.startswith(begins))
    return weights + _MOMENTS * moments * _BYTES_PER_NUMBER, 0


def _tensor_sizes(folder: Path) -> dict[str, int]:
    """Elements of each tensor by name, read from the headers alone."""
    sizes: dict[str, int] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with path.open("rb") as file:
                size = int.from_bytes(file.read(8), "little")
                header = json.loads(file.read(size)) if size <= _MAX_HEADER_BYTES else {}
            sizes |= {
                name: math.prod(tensor["shape"])
                for name, tensor in header.items()
                if name != "__metadata__"
            }
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return sizes


def publish_model(spec: TrainingSpec, step: int, tokenizer: Path) -> None:
    """Publish ``model/`` of a finished run: its last checkpoint without what only training needs.

    An existing model is kept. Weights are hard-linked where the file system can, so that they
    outlive their checkpoint. ``tokenizer`` is the folder of the one that made the prompts.

    Raises:
        CheckpointError: The checkpoint has no safetensors.
        StoreError: The disk is full.
    """
    source = LAYOUT.folder(spec.run_directory, step)
    if isaac_settings(spec.experiment).lora_rank:
        source = spec.run_directory / CHECKPOINTS / MERGED
    weights = sorted(source.glob("*.safetensors"))
    if not weights or not (source / "config.json").is_file():
        raise CheckpointError(
            str(source),
            "it holds no model.",
            ["expected config.json and safetensors", "move the run directory away and train again"],
        )
    with published_model(spec) as partial:
        for path in weights:
            try:
                os.link(path, partial / path.name)
            except OSError:
                shutil.copyfile(path, partial / path.name)
        tokenizer_files = [tokenizer / name for name in TOKENIZER_FILES]
        for path in (*source.glob("*.index.json"), *filter(Path.is_file, tokenizer_files)):
            shutil.copyfile(path, partial / path.name)
        write_json(partial / "config.json", _true_config(source, weights))


def _true_config(source: Path, weights: list[Path]) -> dict[str, Any]:
    """The model's configuration, made consistent with its weights.

    The June release drops ``future_tokens`` from the model but not from its configuration, with
    which a later commit would draw new ones at random.
    """
    from safetensors import safe_open

    config = json.loads((source / "config.json").read_text())
    head = config.get("action_head_cfg", {})
    if head.get("num_target_vision_tokens"):
        names: set[str] = set()
        for path in weights:
            with safe_open(path, framework="numpy") as file:
                names.update(file.keys())
        if _FUTURE_TOKENS not in names:
            head["num_target_vision_tokens"] = 0
    return config
