"""The Eagle folder of a base model whose towers are not those of the checkout."""

import json
from pathlib import Path
from typing import Any

import pytest

from gr00t_assets.core.errors import BaseModelError, TrainingError
from gr00t_assets.trainers.isaac_gr00t.environment import BACKBONE
from gr00t_assets.trainers.isaac_gr00t.launch_file import backbone_folder
from gr00t_assets.trainers.n15.architecture import TINY, ModelConfig, TowersConfig
from gr00t_assets_tests.trainers.isaac_gr00t.small_model import small_config
from gr00t_assets_tests.trainers.n15_release import N1_5_FULL


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with an Eagle folder of N1.5's own sizes."""
    folder = tmp_path / "checkout" / BACKBONE
    folder.mkdir(parents=True)
    towers = TowersConfig()
    write(
        folder / "config.json",
        {
            "model_type": "eagle_2_5_vl",
            "select_layer": -1,
            "mlp_connector_layers": 1,
            "use_pixel_shuffle": False,
            "force_image_size": 224,
            "image_token_index": towers.image_token_index,
            "vision_config": {**towers.vision_config.model_dump(), "torch_dtype": "bfloat16"},
            "text_config": {**towers.text_config.model_dump(), "architectures": ["Qwen3"]},
        },
    )
    tile = {"height": 224, "width": 224}
    write(folder / "preprocessor_config.json", {"size": tile, "tokens_per_tile": 256, "mean": 0.5})
    write(folder / "processor_config.json", {"tokens_per_tile": 256, "image_token": "<IMG>"})
    (folder / "modeling.py").write_text("# code\n")
    return tmp_path / "checkout"


def write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content))


def base(folder: Path, config: ModelConfig) -> Path:
    folder.mkdir()
    write(folder / "config.json", config.to_json())
    return folder


def test_the_checkouts_own_folder_serves_nvidias_release(checkout: Path, tmp_path: Path) -> None:
    release = base(tmp_path / "base", N1_5_FULL)
    content = json.loads((release / "config.json").read_text())
    del content["towers"]
    write(release / "config.json", content)
    assert backbone_folder(release, checkout, tmp_path / "made") is None

    assert backbone_folder(base(tmp_path / "ours", N1_5_FULL), checkout, tmp_path / "made") is None
    assert not (tmp_path / "made").exists()


def test_other_towers_get_a_folder_of_their_own(checkout: Path, tmp_path: Path) -> None:
    config, target = small_config(), tmp_path / "made"
    target.mkdir()
    (target / "config.json").write_text("from another day")
    assert backbone_folder(base(tmp_path / "base", config), checkout, target) == target

    config_json = json.loads((target / "config.json").read_text())
    vision = config.towers.vision_config
    assert config_json["vision_config"] == {**vision.model_dump(), "torch_dtype": "bfloat16"}
    text = config.towers.text_config.model_dump()
    assert config_json["text_config"] == {**text, "architectures": ["Qwen3"]}
    assert config_json["image_token_index"] == config.towers.image_token_index
    assert config_json["force_image_size"] == vision.image_size == 112
    assert config_json["model_type"] == "eagle_2_5_vl"
    processor = json.loads((target / "preprocessor_config.json").read_text())
    assert processor == {
        "size": {"height": 112, "width": 112},
        "tokens_per_tile": 64,
        "max_dynamic_tiles": 1,
        "mean": 0.5,
    }
    processor = json.loads((target / "processor_config.json").read_text())
    assert processor == {"tokens_per_tile": 64, "image_token": "<IMG>"}
    assert (target / "modeling.py").read_text() == "# code\n"


def test_a_model_of_bytes_is_refused(checkout: Path, tmp_path: Path) -> None:
    with pytest.raises(BaseModelError, match="tokens of single bytes"):
        backbone_folder(base(tmp_path / "base", TINY), checkout, tmp_path / "made")


def test_what_is_no_checkout_is_said(checkout: Path, tmp_path: Path) -> None:
    model = base(tmp_path / "base", small_config())
    with pytest.raises(TrainingError, match="missing or broken"):
        backbone_folder(model, tmp_path, tmp_path / "made")
    config = checkout / BACKBONE / "config.json"
    write(config, {**json.loads(config.read_text()), "use_pixel_shuffle": True})
    with pytest.raises(TrainingError, match="not that of N1\\.5's Eagle model"):
        backbone_folder(model, checkout, tmp_path / "made")
