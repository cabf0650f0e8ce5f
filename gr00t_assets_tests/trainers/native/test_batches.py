"""What the trainer is fed, against NVIDIA's own samples and against itself."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from gr00t_assets.core.project import Store
from gr00t_assets.datasets.fit.modality_configs import (
    build_modality_config,
    resolve_modality_config,
)
from gr00t_assets.datasets.frames.demonstrations import Demonstrations
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.modality.data_config import ColorJitter
from gr00t_assets.runs.spec import make_spec
from gr00t_assets.trainers.native.base_models import load_base_model
from gr00t_assets.trainers.native.batches import BatchSource
from gr00t_assets.trainers.native.data_order import DataOrder, draw_flow, sample_seed
from gr00t_assets_tests.modality.image_reference import augment_image, prepare_image
from gr00t_assets_tests.trainers.conftest import ENTRY, SpecMaker

CPU = torch.device("cpu")


def test_every_row_is_what_nvidias_pipeline_makes_of_it(
    parity_dataset: Path, parity_data: Path, tmp_path: Path
) -> None:
    dataset = LeRobotDataset.open(parity_dataset)
    build_frame_cache(dataset, dataset.cameras, tmp_path / "frames")
    config = resolve_modality_config(dataset, "demo", "v1", "fourier_gr1_arms_only", "gr1")
    data = Demonstrations(dataset, FrameCache.open(tmp_path / "frames"), config)
    samples = json.loads((parity_data / "samples.json").read_text())
    tensors = load_file(parity_data / "samples.safetensors")
    rows = np.array([sample["index"] for sample in samples])

    np.testing.assert_allclose(data.states(rows), tensors["state"], atol=1e-7)
    np.testing.assert_allclose(data.actions(rows), tensors["action"], atol=1e-7)
    assert (data.action_mask(len(rows)) == tensors["action_mask"]).all()
    frames = data.frames(rows)
    for sample, task, frame in zip(samples, data.tasks[rows], frames, strict=True):
        digest = hashlib.sha256(np.ascontiguousarray(frame[0]).tobytes()).hexdigest()
        assert digest == sample["frame_sha256"]["video.ego_view"]
        assert data.instructions[task] in sample["prompt"]


def test_only_episodes_to_train_on_are_drawn(spec_of: SpecMaker) -> None:
    spec = spec_of(batch_size=4)
    base = load_base_model("tiny", seed=0)
    whole = BatchSource(spec, base, CPU)
    split = spec.modality_config.model_copy(update={"held_out_episodes": (0,)})
    source = BatchSource(spec.model_copy(update={"modality_config": split}), base, CPU)
    assert 0 < source.samples < whole.samples
    assert set(source.data[0].episodes) == {1}
    own = {state.tobytes() for state in source.data[0].states(source.data[0].rows())}
    drawn = [source.batch(range(draw, draw + 4))["state"] for draw in range(0, source.samples, 4)]
    assert {state.numpy().tobytes() for state in torch.cat(drawn)} == own


@pytest.mark.parametrize("augmentation", ["none", "gr00t"])
def test_images_are_those_of_the_definition(spec_of: SpecMaker, augmentation: str) -> None:
    spec = spec_of(batch_size=6, augmentation=augmentation)
    base = load_base_model("tiny", seed=0)
    source, size = BatchSource(spec, base, CPU), base.config.image_size
    config = spec.modality_config
    dataset = LeRobotDataset.open(spec.datasets[0].directory)
    raw = Demonstrations(dataset, FrameCache.open(spec.datasets[0].frame_cache), config)
    seed, draw = spec.experiment.hyperparameters.seed, 6
    frames = raw.frames(DataOrder(len(raw), seed).rows(np.arange(draw, draw + 6)))
    generators = [torch.Generator().manual_seed(sample_seed(seed, draw + n)) for n in range(6)]
    expected = [
        prepare_image(frame, size, config.crop_scale)
        if augmentation == "none"
        else augment_image(frame, size, config.crop_scale, ColorJitter(), generator)
        for frame, generator in zip(frames, generators, strict=True)
    ]
    images = (source.batch(range(draw, draw + 6))["pixel_values"] + 1) * 127.5
    apart = images.permute(0, 2, 3, 1) - torch.from_numpy(np.concatenate(expected))
    assert apart.abs().max() < (0.01 if augmentation == "none" else 1.01)
    assert (apart.abs() > 0.01).float().mean() < 1e-3


def test_a_batch_is_the_same_whenever_it_is_asked_for(spec_of: SpecMaker) -> None:
    spec = spec_of(augmentation="gr00t", batch_size=4)
    base = load_base_model("tiny", seed=0)
    in_order, out_of_order = BatchSource(spec, base, CPU), BatchSource(spec, base, CPU)
    wanted = [in_order.batch(range(draw, draw + 4)) for draw in (0, 4, 8)][2]
    found = out_of_order.batch(range(8, 12))
    assert wanted.keys() == found.keys()
    for name, value in wanted.items():
        assert torch.equal(value, found[name]), name


def test_a_batch_has_the_shapes_that_the_model_takes(spec_of: SpecMaker) -> None:
    base = load_base_model("tiny", seed=0)
    batch = BatchSource(spec_of(batch_size=4), base, CPU).batch(range(4))
    size = base.config.image_size
    assert batch["pixel_values"].shape == (4, 3, size, size)
    assert batch["pixel_values"].min() >= -1
    assert batch["pixel_values"].max() <= 1
    assert batch["state"].shape == (4, 1, 64)
    assert batch["action"].shape == batch["action_mask"].shape == (4, 16, 32)
    assert batch["embodiment_id"].tolist() == [24]  # of all four
    image_tokens = (batch["input_ids"] == base.tokenizer.image_id).sum(dim=1)
    assert image_tokens.tolist() == [base.config.tokens_per_image] * 4
    assert torch.isfinite(
        base.model(batch, *draw_flow(base.config.action_head, 0, 0, len(batch["action"])))
    )


def test_batches_made_ahead_are_the_same(spec_of: SpecMaker) -> None:
    spec = spec_of(augmentation="gr00t", batch_size=4)
    base = load_base_model("tiny", seed=0)
    plain, ahead = BatchSource(spec, base, CPU), BatchSource(spec, base, CPU)
    for draw in (0, 4, 8, 80, 84, 4):
        draws = range(draw, draw + 4)
        expected, found = plain._make(draws), ahead.batch(draws)
        assert all(torch.equal(expected[name], found[name]) for name in expected)
        assert ahead._next is not None and ahead._next[0] == range(draw + 4, draw + 8)


@pytest.mark.parametrize("seed", [0, 42])
def test_augmentation_differs_from_sample_to_sample(seed: int) -> None:
    seeds = [sample_seed(seed, draw) for draw in range(100)]
    assert len(set(seeds)) == 100
    assert all(0 <= value < 2**63 for value in seeds)


def test_frames_cached_at_another_size_are_what_the_trainer_is_fed(
    spec_of: SpecMaker, tmp_path: Path
) -> None:
    spec = spec_of(batch_size=2)
    entry = ENTRY.model_copy(update={"frame_size": (48, 40)})
    store = Store(Path(spec.store))
    config = build_modality_config(entry, store)
    assert config.content_hash() != spec.modality_config.content_hash()
    dataset = LeRobotDataset.open(spec.datasets[0].directory)
    build_frame_cache(dataset, dataset.cameras, spec.datasets[0].frame_cache, size=(48, 40))
    resized = make_spec(spec.experiment, store)
    data = Demonstrations(dataset, FrameCache.open(spec.datasets[0].frame_cache, (48, 40)), config)
    assert data.frames(np.array([0])).shape == (1, 1, 40, 48, 3)
    base = load_base_model("tiny", seed=0)
    small = BatchSource(resized, base, CPU).batch(range(2))["pixel_values"]
    whole = BatchSource(spec, base, CPU).batch(range(2))["pixel_values"]
    assert small.shape == whole.shape
    assert not torch.equal(small, whole)
    assert (small - whole).abs().mean() < 0.2
