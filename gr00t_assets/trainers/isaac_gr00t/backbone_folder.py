"""The folder ``eagle2_hg_model`` of Isaac-GR00T: sizes of the towers, tokenizer and processor.

Isaac-GR00T takes the towers' sizes from this folder of its own checkout, not from the base model.
A base model with other towers, stated under ``towers`` in its ``config.json``, needs a folder of
its own in place of it.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gr00t_assets.core.errors import BaseModelError, TrainingError
from gr00t_assets.core.files import published_directory
from gr00t_assets.trainers.isaac_gr00t.environment import BACKBONE
from gr00t_assets.trainers.model_config import load_config
from gr00t_assets.trainers.n15.architecture import (
    ModelConfig,
    TextConfig,
    TowersConfig,
    VisionConfig,
)


def backbone_folder(base_model_directory: Path, checkout: Path, target: Path) -> Path | None:
    """Make the backbone folder of a base model whose towers are not those of the checkout.

    Args:
        base_model_directory: Folder with the base model's ``config.json``.
        checkout: Checkout of Isaac-GR00T, whose tokenizer and processor are taken.
        target: The folder to make, absolute; an existing one is replaced.

    Returns:
        ``target``, or ``None`` where the checkout's own folder fits, as with NVIDIA's release.

    Raises:
        BaseModelError: The base model is no N1.5, or has another tokenizer than Eagle's.
        TrainingError: The checkout has no backbone folder.
    """
    source = checkout / BACKBONE
    config = _read(source / "config.json")
    model = load_config(base_model_directory / "config.json")
    if not isinstance(model, ModelConfig):
        problem = "isaac-gr00t cannot train this model: its script is that of N1.5."
        raise BaseModelError(str(base_model_directory), problem, ["take trainer: native"])
    towers = model.towers
    if towers.tokenizer != "eagle":
        raise BaseModelError(
            str(base_model_directory),
            "isaac-gr00t cannot train this model: its prompts are tokens of single bytes.",
            ["it takes models with Eagle's tokenizer (towers.tokenizer: eagle)"],
        )
    if towers == _towers_of(config, source):
        return None
    shutil.rmtree(target, ignore_errors=True)
    with published_directory(target) as partial:
        shutil.copytree(source, partial, dirs_exist_ok=True)
        for name, content in _resized_files(source, config, towers).items():
            (partial / name).write_text(json.dumps(content, indent=2), encoding="utf-8")
    return target


def _resized_files(source: Path, config: dict[str, Any], towers: TowersConfig) -> dict[str, Any]:
    vision = towers.vision_config
    tokens = (vision.image_size // vision.patch_size) ** 2
    # One tile of the towers' own size, so that an image of another size is resized, not cut.
    tile = {"height": vision.image_size, "width": vision.image_size}
    preprocessor = _read(source / "preprocessor_config.json")
    processor = _read(source / "processor_config.json")
    return {
        "config.json": config
        | {
            "image_token_index": towers.image_token_index,
            "force_image_size": vision.image_size,
            "vision_config": config["vision_config"] | vision.model_dump(),
            "text_config": config["text_config"] | towers.text_config.model_dump(),
        },
        "preprocessor_config.json": preprocessor
        | {"size": tile, "tokens_per_tile": tokens, "max_dynamic_tiles": 1},
        "processor_config.json": processor | {"tokens_per_tile": tokens},
    }


def _towers_of(config: dict[str, Any], source: Path) -> TowersConfig:
    plain = ("image_token_index", "mlp_connector_layers", "use_pixel_shuffle")
    try:
        towers = {key: config[key] for key in plain}
        towers["eagle_select_layer"] = config["select_layer"]
        for key, model in (("vision_config", VisionConfig), ("text_config", TextConfig)):
            fields = config[key].items()
            towers[key] = {name: value for name, value in fields if name in model.model_fields}
        return TowersConfig.model_validate(towers)
    except (KeyError, ValidationError) as error:
        raise TrainingError(
            str(source), "its config.json is not that of N1.5's Eagle model.", [str(error)]
        ) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(
            str(path),
            "this file of Isaac-GR00T is missing or broken.",
            ["is this a checkout of the N1.5 line? gr00t-assets isaac doctor says"],
        ) from error
