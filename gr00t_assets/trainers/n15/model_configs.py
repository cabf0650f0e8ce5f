"""Configurations of N1.5 as ``config.json`` has them, that of ``tiny`` among them.

Two layouts are read. Isaac-GR00T's own (``model_type: gr00t_n1_5`` with ``backbone_cfg`` and
``action_head_cfg``) leaves the towers out, since its code holds them; ours adds them under
``towers``, so that both programs read one file. The flat layout has every field at the top.
"""

import json
from pathlib import Path
from typing import Any

from gr00t_assets.trainers.n15 import architecture as n15
from gr00t_assets.trainers.n15.architecture import known_fields


def parse_config(raw: dict[str, Any]) -> n15.ModelConfig:
    """Read either layout. Keys that do not bear on the model are passed over.

    Raises:
        ValueError: It is another model's configuration, or does not describe an N1.5.
    """
    if "vision_config" in raw and "action_head_cfg" not in raw:
        towers = {"tokenizer": "bytes"} | known_fields(n15.TowersConfig, raw)
        layer = raw.get("select_layer", -1)
        return n15.ModelConfig(
            backbone=n15.BackboneConfig(project_to_dim=None, select_layer=layer),
            towers=n15.TowersConfig.model_validate(towers),
            action_head=n15.ActionHeadConfig.model_validate(raw),
        )
    if raw.get("model_type") != n15.MODEL_TYPE:
        raise ValueError(f"model_type is {raw.get('model_type')!r}, expected {n15.MODEL_TYPE!r}")
    parts = ("backbone_cfg", "action_head_cfg")
    if missing := [key for key in parts if not isinstance(raw.get(key), dict)]:
        raise ValueError(f"{' and '.join(missing)} missing, or no object")
    sizes = {key: raw[key] for key in ("action_dim", "action_horizon") if key in raw}
    return n15.ModelConfig(
        backbone=n15.BackboneConfig.model_validate(raw["backbone_cfg"]),
        towers=n15.TowersConfig.model_validate(raw.get("towers", {})),
        action_head=n15.ActionHeadConfig.model_validate(sizes | raw["action_head_cfg"]),
        compute_dtype=raw.get("compute_dtype") or "float32",
    )


TINY = parse_config(json.loads(Path(__file__).with_name("tiny.json").read_text(encoding="utf-8")))
"""Random weights that train on a CPU within minutes: the default base model."""


RELEASED = n15.ModelConfig(
    backbone=n15.BackboneConfig(select_layer=12, project_to_dim=None, use_flash_attention=True),
    towers=n15.TowersConfig(),
    action_head=n15.ActionHeadConfig(
        action_dim=32,
        action_horizon=16,
        max_action_dim=32,
        backbone_embedding_dim=2048,
        diffusion_model_cfg=n15.DiffusionModelConfig(
            num_attention_heads=32,
            attention_head_dim=48,
            num_layers=16,
            dropout=0.2,
            positional_embeddings=None,
            output_dim=1024,
            cross_attention_dim=2048,
            interleave_self_attention=True,
        ),
        vl_self_attention_cfg=n15.SelfAttentionConfig(
            num_attention_heads=32, num_layers=4, dropout=0.2, positional_embeddings=None
        ),
    ),
    compute_dtype="bfloat16",
)
"""nvidia/GR00T-N1.5-3B: 2,414 M parameters."""
