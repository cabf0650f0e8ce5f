"""``model/`` of a finished run: the last checkpoint without what only training needs."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from safetensors import safe_open

from gr00t_assets.core.errors import CheckpointError
from gr00t_assets.core.files import published_directory, write_json
from gr00t_assets.runs.run_directory import CHECKPOINTS, MODALITY_CONFIG, MODEL
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.experiment_cfg import isaac_metadata
from gr00t_assets.trainers.isaac_gr00t.checkpoints import checkpoint_folder

FUTURE_TOKENS = "action_head.future_tokens.weight"

MERGED = "merged"
"""Where the launcher leaves the whole model of a LoRA run, whose checkpoints hold adapters only."""

TOKENIZER_FILES = (
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "tokenizer_config.json",
)


def publish_model(spec: TrainingSpec, step: int, tokenizer: Path) -> None:
    """Publish the weights of the checkpoint of ``step``; a model that is there is kept.

    Weights are linked, not copied, where the file system can; they outlive their checkpoint.

    Args:
        spec: What was asked.
        step: The last step.
        tokenizer: Folder with the tokenizer that the prompts were made with.

    Raises:
        CheckpointError: The checkpoint has no safetensors.
        StoreError: The disk is full.
    """
    source = checkpoint_folder(spec.run_directory, step)
    if spec.experiment.hyperparameters.lora_rank:
        source = spec.run_directory / CHECKPOINTS / MERGED
    weights = sorted(source.glob("*.safetensors"))
    if not weights or not (source / "config.json").is_file():
        raise CheckpointError(
            str(source),
            "it holds no model.",
            ["expected config.json and safetensors", "move the run directory away and train again"],
        )
    with published_directory(spec.run_directory / MODEL) as partial:
        for path in weights:
            _link(path, partial / path.name)
        for path in sorted(source.glob("*.index.json")):
            shutil.copyfile(path, partial / path.name)
        write_json(partial / "config.json", _config(source, weights))
        for name in TOKENIZER_FILES:
            if (tokenizer / name).is_file():
                shutil.copyfile(tokenizer / name, partial / name)
        (partial / "experiment_cfg").mkdir()
        metadata = isaac_metadata(spec.modality_config)
        write_json(partial / "experiment_cfg" / "metadata.json", metadata)
        write_json(partial / MODALITY_CONFIG, spec.modality_config.model_dump(mode="json"))


def _config(source: Path, weights: list[Path]) -> dict[str, Any]:
    """The model's configuration, true to its weights.

    The June release leaves ``future_tokens`` out of the model and not out of its configuration, by
    which a later commit would draw new ones at random.
    """
    config = json.loads((source / "config.json").read_text())
    head = config.get("action_head_cfg", {})
    if head.get("num_target_vision_tokens") and not any(_has(path) for path in weights):
        head["num_target_vision_tokens"] = 0
    return config


def _has(weights: Path) -> bool:
    with safe_open(weights, framework="numpy") as file:
        return FUTURE_TOKENS in file.keys()  # noqa: SIM118 - it is no dict


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
