"""State, action, masks and images against samples of NVIDIA's own data pipeline."""

import hashlib
import json
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from gr00t_assets.datasets.fit.modality_configs import resolve_modality_config
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.modality.images import prepare_images
from gr00t_assets.modality.transforms import StateActionTransform


@pytest.fixture(scope="module")
def samples(parity_data: Path) -> list[dict]:
    return json.loads((parity_data / "samples.json").read_text())


@pytest.fixture(scope="module")
def expected(parity_data: Path) -> dict[str, np.ndarray]:
    return load_file(parity_data / "samples.safetensors")


@pytest.fixture(scope="module")
def demo(parity_dataset: Path) -> LeRobotDataset:
    return LeRobotDataset.open(parity_dataset)


def test_state_action_and_masks(
    demo: LeRobotDataset, samples: list[dict], expected: dict[str, np.ndarray]
) -> None:
    config = resolve_modality_config(demo, "demo", "v1", "fourier_gr1_arms_only", "gr1")
    transform = StateActionTransform(config)
    assert len(samples) in (3, 20)
    for i, sample in enumerate(samples):
        episode, frame = sample["episode_index"], sample["frame_index"]
        rows = {
            column: demo.vector(episode, column)
            for column in (*transform.state_columns, *transform.action_columns)
        }
        state = transform.states(rows)[[frame]]
        chunk = transform.chunks(transform.actions(rows), [frame])[0]
        np.testing.assert_allclose(state, expected["state"][i], rtol=0, atol=1e-12)
        np.testing.assert_allclose(chunk, expected["action"][i], rtol=0, atol=1e-12)
        is_state = np.arange(config.max_state_dim) < config.state_dim
        np.testing.assert_array_equal(is_state[None], expected["state_mask"][i])
        np.testing.assert_array_equal(transform.action_mask, expected["action_mask"][i])
        assert config.embodiment_id == sample["embodiment_id"] == 24


def test_images(parity_dataset: Path, samples: list[dict], expected: dict[str, np.ndarray]) -> None:
    wanted = {sample["frame_sha256"]["video.ego_view"]: i for i, sample in enumerate(samples)}
    assert len(wanted) == len(samples)
    found = set()
    for video in sorted(parity_dataset.glob("videos/*/observation.images.ego_view/*.mp4")):
        with av.open(str(video)) as container:
            for picture in container.decode(video=0):
                frame = picture.to_ndarray(format="rgb24")
                i = wanted.get(hashlib.sha256(frame.tobytes()).hexdigest())
                if i is not None:
                    images = prepare_images(torch.from_numpy(frame)[None, None], 224, 0.95)
                    np.testing.assert_array_equal(images[0, 0].numpy(), expected["image"][i][0])
                    found.add(i)
    assert found == set(range(len(samples)))
