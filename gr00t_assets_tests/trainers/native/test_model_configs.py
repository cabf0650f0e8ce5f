import json

import pytest

from gr00t_assets.core.errors import BaseModelError
from gr00t_assets.trainers.base_model_files import load_config
from gr00t_assets.trainers.n15.architecture import TINY, ModelConfig, TowersConfig, parse_config
from gr00t_assets_tests.trainers.n15_release import N1_5_FULL, isaac_config


def test_isaac_gr00ts_layout_gets_the_built_in_towers():
    assert N1_5_FULL.towers == TowersConfig()


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
    assert isinstance(config, ModelConfig)
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
    broken = json.dumps({**isaac_config(), "action_head_cfg": 5})
    assert "action_head_cfg missing, or no object" in _refused(tmp_path, broken)


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
    with pytest.raises(ValueError, match="it can predict 1 to"):
        TINY.with_action_horizon(TINY.action_head.max_seq_len + 1)
