"""The model of N1.7 against NVIDIA's and LeRobot's own, and what files of other models say."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from gr00t_assets.core.errors import BaseModelError
from gr00t_assets.modality.camera_images import edge_images
from gr00t_assets.trainers.base_model_files import known_generation, load_config
from gr00t_assets.trainers.n17.architecture import TINY, parse_config
from gr00t_assets.trainers.native.base_models import load_base_model, save_model
from gr00t_assets.trainers.native.gr00t_n17 import IMAGE, Gr00tN17
from gr00t_assets.trainers.native.prompts import qwen3_prompt
from gr00t_assets_tests.parity_cut import N17_CUT, unpack
from gr00t_assets_tests.trainers.native import model_parity

RELEASED = {
    **TINY.to_json(),
    "qwen3_vl_config": {},
    **{"backbone_embedding_dim": 2048, "select_layer": 16, "max_seq_len": 1024},
    **{"hidden_size": 1024, "input_embedding_dim": 1536, "min_pixels": 65_536},
    "shortest_image_edge": 256,
    "diffusion_model_cfg": {
        **{"num_attention_heads": 32, "attention_head_dim": 48, "num_layers": 32},
        **{"output_dim": 1024, "interleave_self_attention": True, "dropout": 0.2},
        "positional_embeddings": None,
    },
    "vl_self_attention_cfg": {
        **{"num_attention_heads": 32, "attention_head_dim": 64, "num_layers": 4, "dropout": 0.2},
        "positional_embeddings": None,
    },
}
"""The sizes that the released checkpoint is said to have."""


@pytest.fixture(scope="module")
def vectors() -> Path:
    return N17_CUT.parent / "data"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(N17_CUT, tmp_path_factory.mktemp("n17") / "model")


def test_equals_nvidias_own_model(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    differences = model_parity.measure(folder)
    assert differences["features"] <= 2e-5
    assert differences["loss"] <= 1e-5
    assert differences["actions"] <= 1e-5
    assert differences["grad_norm_relative"] <= 1e-4
    assert model_parity.main([str(folder)]) == 0
    assert '"actions"' in capsys.readouterr().out


def test_the_released_sizes_make_the_released_number_of_parameters() -> None:
    with torch.device("meta"):
        model = Gr00tN17(parse_config(RELEASED))
    assert sum(value.numel() for value in model.parameters()) == 3_144_016_000
    model.set_trainable(False, False, True, True)
    assert sum(model.trainable_parameters().values()) == 1_620_515_968
    assert not any(value.requires_grad for value in model.backbone.parameters())


def test_patches_are_those_of_qwens_processor(vectors: Path) -> None:
    samples = load_file(vectors / "samples.safetensors")
    with torch.device("meta"):
        model = Gr00tN17(parse_config(RELEASED))
    made = model.pixels(samples["image"].permute(0, 3, 1, 2))
    assert made["image_grid_thw"].tolist() == samples["first/image_grid_thw"].tolist()
    torch.testing.assert_close(
        made["pixel_values"][:32], samples["first/pixel_values_head"], rtol=0, atol=1e-6
    )
    total = float(made["pixel_values"].double().sum())
    assert total == pytest.approx(float(samples["first/pixel_values_sum"]), abs=0.01)


def test_patches_of_images_that_are_not_square(vectors: Path) -> None:
    """Their size is made to fit the patches: within one grey level of Qwen's processor."""
    samples = load_file(vectors / "samples.safetensors")
    with torch.device("meta"):
        model = Gr00tN17(parse_config(RELEASED))
    names = [name.partition("/")[0] for name in samples if name.endswith("/frame")]
    assert len(names) == 3
    for name in names:
        image = edge_images(samples[f"{name}/frame"][None, None], 256, 0.95)[0]
        made = model.pixels(image.permute(0, 3, 1, 2))
        grid = samples[f"{name}/released/image_grid_thw"]
        assert made["image_grid_thw"].tolist() == grid.tolist()
        head = samples[f"{name}/released/pixel_values_head"]
        off = (made["pixel_values"][: len(head)] - head).abs() * 127.5
        assert float(off.max()) < 1.001 and float((off > 0.01).float().mean()) < 0.005


def test_prompts_are_those_of_nvidias_processor(vectors: Path) -> None:
    samples = json.loads((vectors / "samples.json").read_text())["samples"]
    for sample in samples:
        assert qwen3_prompt(sample["task"], 1, 1) == sample["prompt"]
        assert sample["input_ids"].count(151_655) == parse_config(RELEASED).image_tokens(256, 256)
    assert "pickup the pear<" in qwen3_prompt("Pick-up the PEAR!", 2, 3)


def test_padding_and_the_neighbours_do_not_matter(folder: Path) -> None:
    model = load_base_model(str(folder)).model.eval()
    vectors = load_file(folder / "vectors.safetensors")
    batch = {name[4:]: value for name, value in vectors.items() if name.startswith("two/")}
    features, kinds = model.backbone_features(batch)
    assert kinds is not None and int((kinds == IMAGE).sum()) == len(batch["pixel_values"]) // 4
    spoiled = torch.where((kinds == 0)[..., None], 1e3, features)
    losses = [
        float(model.action_head(each, kinds, batch, batch["noise"], batch["t"]).detach())
        for each in (features, spoiled)
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)


def test_the_state_is_left_out_in_training_alone() -> None:
    config = TINY.model_copy(update={"state_dropout_prob": 0.5})
    head, generator = Gr00tN17(config).action_head, torch.Generator().manual_seed(0)
    state = torch.randn(64, 1, 132, generator=generator)
    batch = {"state": state, "embodiment_id": torch.full((64,), 10)}
    whole = head.eval().encode_state(batch)
    torch.manual_seed(0)
    dropped = head.train().encode_state(batch)
    kept = [bool(torch.equal(a, b)) for a, b in zip(whole, dropped, strict=True)]
    assert 5 < sum(kept) < 32, "a quarter has both its state and its token"
    assert any(not token.any() for token in dropped)


def test_a_model_is_saved_and_opened(tmp_path: Path) -> None:
    base = load_base_model("tiny-n1.7", seed=3)
    save_model(base.model, tmp_path, base.tokenizer)
    again = load_base_model(str(tmp_path), action_horizon=8)
    assert again.config == base.config and known_generation(str(tmp_path)) == "n1.7"
    for name, value in base.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value), name
    with pytest.raises(BaseModelError, match=r"41 actions at once\.\n.*it can predict 1 to 40"):
        load_base_model(str(tmp_path), action_horizon=41)


def test_a_folder_with_broken_files_is_of_no_known_generation(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(TINY.to_json()))
    assert known_generation(str(tmp_path)) == "n1.7"
    (tmp_path / "processor_config.json").write_text('{"processor_kwargs')
    assert known_generation(str(tmp_path)) is None, "every sweep file is read with it"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model_type": "Gr00tN1d6"}, "a GR00T N1.6"),
        ({"select_layer": 9}, "select_layer is 9, not within 1 to 1"),
        ({"backbone_embedding_dim": 32}, "backbone_embedding_dim is 32"),
        ({"model_type": "other"}, "model_type is 'other'"),
        ({"qwen3_vl_config": []}, "qwen3_vl_config: Input should be a valid dictionary"),
        ({"qwen3_vl_config": {"text_config": 5}}, "qwen3_vl_config.text_config: "),
        ({"qwen3_vl_config": {"text_config": {"vocab_size": "x"}}}, "text_config.vocab_size: "),
    ],
)
def test_what_other_configurations_say(
    changes: dict[str, object], told: str, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**TINY.to_json(), **changes}))
    with pytest.raises(BaseModelError, match=told):
        load_config(tmp_path / "config.json")
    assert known_generation(str(tmp_path)) is None


def test_a_generation_is_not_known_by_broken_processor_files(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(TINY.to_json()))
    assert known_generation(str(tmp_path)) == "n1.7"
    (tmp_path / "processor_config.json").write_text("{}")
    assert known_generation(str(tmp_path)) is None
