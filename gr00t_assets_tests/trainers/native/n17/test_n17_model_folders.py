"""Folders of N1.7 models that others made, kept features, the count, and models of another kind."""

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch

from gr00t_assets.core.errors import BaseModelError, CheckpointError, ObservationError
from gr00t_assets.modality.config import ModalityConfig
from gr00t_assets.trainers.base_model_files import load_config, locate
from gr00t_assets.trainers.n17.architecture import TINY
from gr00t_assets.trainers.n17.processor_files import FOLDER
from gr00t_assets.trainers.native.base_models import load_base_model, save_model
from gr00t_assets.trainers.native.batches import ON_CPU, observation_tensors
from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters
from gr00t_assets.trainers.native.memory import counted_config, memory_need
from gr00t_assets.trainers.policy import open_policy
from gr00t_assets_tests.trainers.n17.test_processor_files import with_camera

FILES = ("processor_config.json", "statistics.json", "embodiment_id.json")


@pytest.fixture(scope="module")
def data() -> ModalityConfig:
    return with_camera("relative")


@pytest.fixture
def folder(tmp_path: Path, data: ModalityConfig) -> Path:
    """As NVIDIA's script leaves it: no modality config of ours, the files in a folder."""
    base = load_base_model("tiny-n1.7", seed=3)
    save_model(base.model, tmp_path / "model", base.tokenizer, [data])
    (tmp_path / "model" / FOLDER).mkdir()
    for name in FILES:
        (tmp_path / "model" / name).rename(tmp_path / "model" / FOLDER / name)
    return tmp_path / "model"


def test_a_folder_that_nvidias_script_left_opens_with_its_own_statistics(
    folder: Path, data: ModalityConfig
) -> None:
    policy = open_policy(folder, "cpu")
    assert policy.config.state[0].statistics == data.state[0].statistics
    assert policy.config.action[0].chunk_statistics == data.action[0].chunk_statistics
    observation = policy.example_observation()
    chunk = policy.act(observation, seed=1)
    assert chunk.flat.shape == (40, 26) and np.isfinite(chunk.flat).all()
    assert policy.fps == 0 and np.isnan(chunk.times[1:]).all()
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    other = policy.act({**observation, "video.ego_view": image}, seed=1)
    assert other.warnings == () and not np.array_equal(other.flat, chunk.flat)
    with pytest.raises(ObservationError, match="ego_view: is missing"):
        policy.act({key: value for key, value in observation.items() if "video" not in key})
    with pytest.raises(CheckpointError, match="was not trained on libero_sim"):
        open_policy(folder, "cpu", "libero_sim")


def test_the_size_of_images_is_the_processors(folder: Path) -> None:
    assert load_config(folder / "config.json").image_recipe.size == TINY.shortest_image_edge
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**content, "shortest_image_edge": None}))
    kept = json.loads((folder / FOLDER / FILES[0]).read_text())
    kept["processor_kwargs"]["shortest_image_edge"] = 140
    (folder / FOLDER / FILES[0]).write_text(json.dumps(kept))
    assert load_config(folder / "config.json").image_recipe.size == 140


def test_positions_that_nothing_says_are_refused(folder: Path) -> None:
    """NVIDIA's class adds sines to the tokens then, which no released model has."""
    content = json.loads((folder / "config.json").read_text())
    del content["diffusion_model_cfg"]["positional_embeddings"]
    (folder / "config.json").write_text(json.dumps(content))
    with pytest.raises(BaseModelError, match="positional_embeddings"):
        load_config(folder / "config.json")


def test_weights_of_the_other_generation_are_told(folder: Path, tmp_path: Path) -> None:
    older = load_base_model("tiny", seed=3)
    save_model(older.model, tmp_path / "older")
    (folder / "config.json").write_bytes((tmp_path / "older" / "config.json").read_bytes())
    with pytest.raises(BaseModelError, match="do not match its config"):
        load_base_model(str(folder))


def test_a_gated_repository_says_where_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.errors import GatedRepoError

    def refuse(repository: str, **_: object) -> str:
        request = httpx.Request("GET", f"https://huggingface.co/{repository}")
        response: Any = httpx.Response(403, request=request)
        raise GatedRepoError("Access is restricted.", response=response)

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(BaseModelError) as told:
        locate("nvidia/GR00T-N1.7-3B")
    text = str(told.value)
    assert "is gated" in text and "https://huggingface.co/nvidia/GR00T-N1.7-3B" in text
    assert "HF_TOKEN" in text


def test_kept_features_are_as_good_as_computed_ones(data: ModalityConfig) -> None:
    base = load_base_model("tiny-n1.7", seed=3)
    images = torch.randint(0, 256, (2, 1, 112, 140, 3), dtype=torch.uint8)
    state, tasks = np.zeros((2, 1, 132), np.float32), ["pick it up", "put the pear down"]
    batch = base.model.placed(observation_tensors(base, images, state, tasks, 10))
    assert not any(value.is_cuda for name, value in batch.items() if name in ON_CPU)
    features, kinds = base.model.backbone_features(batch)
    kept = {name: batch[name] for name in ("input_ids", "attention_mask")}
    again, same = base.model.backbone_features({**kept, "features": features})
    assert again is features and same is not None and kinds is not None
    assert torch.equal(same, kinds)
    left = {
        key: value
        for key, value in batch.items()
        if key
        not in base.model.backbone.positions({**batch, "attention_mask": batch["attention_mask"]})
    }
    computed, _ = base.model.backbone_features(left)
    seen = batch["attention_mask"].bool()
    torch.testing.assert_close(computed[seen], features[seen])


def test_its_memory_is_counted_for_any_batch() -> None:
    settings = NativeHyperparameters(batch_size=2)
    assert counted_config("tiny-n1.7") == TINY
    few, many = (memory_need(TINY, settings, 2, batch_size=size) for size in (2, 64))
    assert few.weights == many.weights and few.step < many.step
    towers = NativeHyperparameters(batch_size=2, tune_llm=True, tune_visual=True)
    assert memory_need(TINY, towers, 2).moments > few.moments
