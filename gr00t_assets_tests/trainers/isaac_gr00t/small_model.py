"""A base model of 1 M random parameters, and the Eagle folder of the small checkout that fits it.

Its tokenizer is Qwen's byte-pair encoding without any pair: one token a byte.
"""

import json
import shutil
from pathlib import Path

import torch

from gr00t_assets.trainers.n15.architecture import TINY, ModelConfig
from gr00t_assets.trainers.native.base_models import save_model
from gr00t_assets.trainers.native.gr00t_n15 import Gr00tN15
from gr00t_assets.trainers.native.prompts import EAGLE_TOKENS, IMAGE_TOKEN, PAD

TOKENIZER = ("vocab.json", "merges.txt", "tokenizer_config.json")
CHAT_TOKENS = (PAD, "<|im_start|>", "<|im_end|>")
FIRST_EAGLE_TOKEN = 256 + len(CHAT_TOKENS)


def small_config() -> ModelConfig:
    """The built-in ``tiny`` with Eagle's tokenizer."""
    content = TINY.model_dump()
    towers = content["towers"]
    towers["tokenizer"] = "eagle"
    towers["image_token_index"] = FIRST_EAGLE_TOKEN + EAGLE_TOKENS.index(IMAGE_TOKEN)
    towers["text_config"]["vocab_size"] = FIRST_EAGLE_TOKEN + len(EAGLE_TOKENS)
    return ModelConfig.model_validate(content)


def write_eagle(folder: Path) -> None:
    """Write the Eagle folder of a checkout: the towers' sizes and the tokenizer."""
    towers = small_config().towers.model_dump()
    sizes = {name: towers[name] for name in ("vision_config", "text_config", "image_token_index")}
    joined = {"mlp_connector_layers": 1, "use_pixel_shuffle": False, "select_layer": -1}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**sizes, **joined}, indent=2))
    numbered = enumerate([*_byte_characters(), *CHAT_TOKENS])
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in numbered}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "Qwen2Tokenizer", "unk_token": PAD, "pad_token": PAD})
    )


def make_base(eagle: Path, target: Path) -> Path:
    """Write the base model, with the tokenizer of ``eagle`` beside it."""
    config = small_config()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        save_model(Gr00tN15(config), target)
    for name in TOKENIZER:
        shutil.copyfile(eagle / name, target / name)
    return target


def _byte_characters() -> list[str]:
    """The character that stands for each byte in a byte-level vocabulary, as GPT-2 has them."""
    shown = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(byte) if byte in shown else chr(next(others)) for byte in range(256)]
