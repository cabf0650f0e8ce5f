"""The configuration of nvidia/GR00T-N1.5-3B: 2,414 M parameters."""

from typing import Any

from gr00t_assets.trainers.n15.architecture import parse_config


def isaac_config() -> dict[str, Any]:
    """``config.json`` of an N1.5 checkpoint as Isaac-GR00T writes it."""
    common = {"dropout": 0.2, "final_dropout": True, "positional_embeddings": None}
    return {
        "architectures": ["GR00T_N1_5"],
        "model_type": "gr00t_n1_5",
        "action_dim": 32,
        "action_horizon": 16,
        "compute_dtype": "bfloat16",
        "hidden_size": 2048,
        "torch_dtype": "float32",
        "transformers_version": "4.51.3",
        "backbone_cfg": {
            "eagle_path": None,
            "load_bf16": False,
            "project_to_dim": None,
            "reproject_vision": False,
            "select_layer": 12,
            "tune_llm": False,
            "tune_visual": False,
            "use_flash_attention": True,
        },
        "action_head_cfg": {
            "action_dim": 32,
            "action_horizon": 16,
            "add_pos_embed": True,
            "backbone_embedding_dim": 2048,
            "detection_coeff": 1.0,
            "diffusion_model_cfg": common
            | {
                "attention_head_dim": 48,
                "cross_attention_dim": 2048,
                "interleave_self_attention": True,
                "norm_type": "ada_norm",
                "num_attention_heads": 32,
                "num_layers": 16,
                "output_dim": 1024,
            },
            "hidden_size": 1024,
            "input_embedding_dim": 1536,
            "max_action_dim": 32,
            "max_num_embodiments": 32,
            "max_seq_len": 1024,
            "max_state_dim": 64,
            "noise_s": 0.999,
            "num_inference_timesteps": 4,
            "num_target_vision_tokens": 32,
            "use_vlln": True,
            "vl_self_attention_cfg": common
            | {"attention_head_dim": 64, "num_attention_heads": 32, "num_layers": 4},
        },
    }


N1_5_FULL = parse_config(isaac_config())
