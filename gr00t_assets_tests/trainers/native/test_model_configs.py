import json

import pytest

from gr00t_assets.core.errors import BaseModelError
from gr00t_assets.trainers.n15.model_configs import N1_5_FULL, TINY, load_config, parse_config


def isaac_config() -> dict:
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


def test_isaac_gr00ts_layout_gets_the_built_in_towers():
    assert parse_config(isaac_config()) == N1_5_FULL


@pytest.mark.parametrize("config", [N1_5_FULL, TINY])
def test_our_layout_holds_everything(config):
    written = json.loads(json.dumps(config.to_json()))
    assert parse_config(written) == config
    assert set(written["backbone_cfg"]) == set(isaac_config()["backbone_cfg"])
    assert set(isaac_config()) - set(written) == {
        "hidden_size",
        "torch_dtype",
        "transformers_version",
    }


def test_flat_layout(parity_model):
    config = load_config(parity_model / "config.json")
    assert config.tokens_per_image == 64
    assert config.towers.tokenizer == "bytes"
    assert config.action_head.diffusion_model_cfg.num_layers == 4


def _refused(tmp_path, text: str) -> str:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(BaseModelError) as caught:
        load_config(tmp_path / "config.json")
    return str(caught.value)


def test_not_json(tmp_path):
    assert "Expecting" in _refused(tmp_path, "{")
    assert "this is a list" in _refused(tmp_path, "[]")


def test_another_model(tmp_path):
    assert "model_type is 'llama'" in _refused(tmp_path, '{"model_type": "llama"}')
    assert "backbone_cfg and action_head_cfg missing" in _refused(
        tmp_path, '{"model_type": "gr00t_n1_5"}'
    )


def test_widths_that_do_not_match_are_all_named(tmp_path):
    raw = isaac_config()
    raw["backbone_cfg"]["select_layer"] = 40
    raw["action_head_cfg"]["hidden_size"] = 7
    raw["action_head_cfg"]["diffusion_model_cfg"]["cross_attention_dim"] = 8
    message = _refused(tmp_path, json.dumps(raw))
    assert "select_layer is 40, not within 1 to 28" in message
    assert "hidden_size is 7, diffusion_model_cfg.output_dim has 1024" in message
    assert "cross_attention_dim is 8, the features has 2048" in message


@pytest.mark.parametrize(
    ("key", "value"),
    [("positional_embeddings", "sinusoidal"), ("norm_type", "layer_norm"), ("max_depth", 3)],
)
def test_an_architecture_that_is_not_built_is_refused(tmp_path, key, value):
    raw = isaac_config()
    raw["action_head_cfg"]["diffusion_model_cfg"][key] = value
    assert f"diffusion_model_cfg.{key}: " in _refused(tmp_path, json.dumps(raw))


def test_another_action_horizon():
    assert TINY.with_action_horizon(8).action_head.action_horizon == 8
    with pytest.raises(ValueError, match="action_horizon"):
        TINY.with_action_horizon(TINY.action_head.max_seq_len + 1)
