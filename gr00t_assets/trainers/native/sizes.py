"""The two models that are known by name."""

from gr00t_assets.trainers.native.config import (
    ActionHeadConfig,
    BackboneConfig,
    DiffusionModelConfig,
    ModelConfig,
    SelfAttentionConfig,
    TextConfig,
    TowersConfig,
    VisionConfig,
)

N1_5_FULL = ModelConfig(
    backbone=BackboneConfig(select_layer=12, project_to_dim=None, use_flash_attention=True),
    towers=TowersConfig(),
    action_head=ActionHeadConfig(
        action_dim=32,
        action_horizon=16,
        max_action_dim=32,
        backbone_embedding_dim=2048,
        diffusion_model_cfg=DiffusionModelConfig(
            num_attention_heads=32,
            attention_head_dim=48,
            num_layers=16,
            output_dim=1024,
            cross_attention_dim=2048,
            interleave_self_attention=True,
            dropout=0.2,
            positional_embeddings=None,
        ),
        vl_self_attention_cfg=SelfAttentionConfig(
            num_attention_heads=32,
            attention_head_dim=64,
            num_layers=4,
            dropout=0.2,
            positional_embeddings=None,
        ),
    ),
    compute_dtype="bfloat16",
)
"""nvidia/GR00T-N1.5-3B: 2,414 M parameters."""

TINY = ModelConfig(
    backbone=BackboneConfig(select_layer=1, project_to_dim=None),
    towers=TowersConfig(
        vision_config=VisionConfig(
            hidden_size=48,
            intermediate_size=96,
            num_attention_heads=4,
            num_hidden_layers=2,
            image_size=112,
        ),
        text_config=TextConfig(
            hidden_size=64,
            intermediate_size=128,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=16,
            vocab_size=264,
            max_position_embeddings=4096,
            num_hidden_layers=1,
        ),
        image_token_index=258,
        tokenizer="bytes",
    ),
    action_head=ActionHeadConfig(
        action_dim=32,
        action_horizon=16,
        max_action_dim=32,
        backbone_embedding_dim=64,
        hidden_size=128,
        input_embedding_dim=128,
        max_seq_len=64,
        num_target_vision_tokens=8,
        diffusion_model_cfg=DiffusionModelConfig(
            num_attention_heads=4,
            attention_head_dim=32,
            num_layers=2,
            output_dim=128,
            cross_attention_dim=64,
            interleave_self_attention=True,
            dropout=0.0,
            positional_embeddings=None,
        ),
        vl_self_attention_cfg=SelfAttentionConfig(
            num_attention_heads=4,
            attention_head_dim=16,
            num_layers=1,
            dropout=0.0,
            positional_embeddings=None,
        ),
        embodiment_init="fan_in",
    ),
)
"""Random weights that train on a CPU within minutes: the default base model."""
