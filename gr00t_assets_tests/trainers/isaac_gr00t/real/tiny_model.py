"""A base model of 10 M random parameters that Isaac-GR00T and the native trainer both open.

Run ``python -m gr00t_assets_tests.trainers.isaac_gr00t.real.tiny_model EAGLE TARGET`` to make
one by hand. Nearly all of it is the embedding of Eagle's vocabulary, which its tokenizer needs.
"""

import shutil
import sys
from pathlib import Path

import torch

from gr00t_assets.trainers.isaac_gr00t.isaac_checkpoints import TOKENIZER_FILES
from gr00t_assets.trainers.n15.architecture import (
    ActionHeadConfig,
    BackboneConfig,
    DiffusionModelConfig,
    ModelConfig,
    SelfAttentionConfig,
    TextConfig,
    TowersConfig,
    VisionConfig,
)
from gr00t_assets.trainers.native.base_models import save_model
from gr00t_assets.trainers.native.gr00t_n15 import Gr00tN15

TINY = ModelConfig(
    backbone=BackboneConfig(select_layer=1, project_to_dim=None),
    towers=TowersConfig(
        # 64 tokens an image. The side stays 224: Isaac-GR00T's transforms end at 224, and its
        # processor would resize once more.
        vision_config=VisionConfig(
            hidden_size=48,
            intermediate_size=96,
            num_attention_heads=4,
            num_hidden_layers=2,
            patch_size=28,
        ),
        text_config=TextConfig(
            hidden_size=64,
            intermediate_size=128,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=16,
            max_position_embeddings=1024,
            num_hidden_layers=2,
        ),
    ),
    action_head=ActionHeadConfig(
        action_dim=32,
        action_horizon=16,
        max_action_dim=32,
        backbone_embedding_dim=64,
        hidden_size=64,
        input_embedding_dim=64,
        max_seq_len=64,
        num_target_vision_tokens=8,
        diffusion_model_cfg=DiffusionModelConfig(
            num_attention_heads=4,
            attention_head_dim=16,
            num_layers=2,
            output_dim=64,
            cross_attention_dim=64,
            interleave_self_attention=True,
            dropout=0.1,
            positional_embeddings=None,
        ),
        vl_self_attention_cfg=SelfAttentionConfig(
            num_attention_heads=4,
            attention_head_dim=16,
            num_layers=1,
            dropout=0.1,
            positional_embeddings=None,
        ),
        embodiment_init="fan_in",
    ),
)


def make(eagle: Path, target: Path, seed: int = 0) -> Path:
    """Write the model, and the tokenizer of an Eagle folder beside it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Gr00tN15(TINY)
    save_model(model, target)
    for name in TOKENIZER_FILES:
        if (eagle / name).is_file():
            shutil.copyfile(eagle / name, target / name)
    return target


if __name__ == "__main__":
    make(Path(sys.argv[1]), Path(sys.argv[2]))
