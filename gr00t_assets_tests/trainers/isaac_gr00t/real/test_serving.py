"""NVIDIA's own client gets from our server what NVIDIA's own policy class answers."""

from pathlib import Path

import numpy as np
import pytest

from gr00t_assets.datasets.frames.demonstrations import Demonstrations
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.serving.server import PolicyServer, serving
from gr00t_assets.trainers.policy import open_policy
from gr00t_assets_tests.trainers.conftest import SpecMaker, train
from gr00t_assets_tests.trainers.isaac_gr00t.real.conftest import Isaac

TOLERANCE = 1e-4
SEED, ROW = 3, 7


def test_the_client_gets_what_the_policy_class_answers(
    isaac: Isaac, tiny_base: Path, exact_eagle: Path, spec_of: SpecMaker, tmp_path: Path
) -> None:
    if isaac.drops_future_tokens:
        pytest.skip("the client of this release sends pickles, which our server does not read")
    spec = spec_of(str(tiny_base), tune_visual=True)
    assert train(spec).returncode == 0
    model, config = spec.run_directory / "model", spec.modality_config
    dataset = LeRobotDataset.open(spec.datasets[0].directory, config.dataset)
    data = Demonstrations(dataset, FrameCache.open(spec.datasets[0].frame_cache), config)
    frames, text = data.frames(np.array([ROW])), data.texts(np.array([ROW]))[0]
    columns = dataset.vectors(0, sorted({key.original_key for key in config.state}))
    observation = {
        **{f"video.{camera.key}": frames[:, at] for at, camera in enumerate(config.video)},
        **{
            f"state.{key.key}": columns[key.original_key][ROW : ROW + 1, key.start : key.end]
            for key in config.state
        },
        str(config.language): np.array(text),
    }
    shape = 1, len(config.action_indices), config.max_action_dim
    noise = np.random.default_rng(SEED).standard_normal(shape, np.float32)
    np.savez(tmp_path / "asked.npz", allow_pickle=False, **observation)
    np.savez(tmp_path / "with_noise.npz", allow_pickle=False, **observation, noise=noise)
    isaac.program(
        *("policy", model, config.data_config, config.embodiment_tag),
        *(tmp_path / "with_noise.npz", tmp_path / "theirs.npz"),
        eagle=exact_eagle,
    )
    with serving(PolicyServer(open_policy(spec.run_directory, "cpu"), port=0, seed=SEED)) as server:
        configs = isaac.program(
            *("client", "ask", server.port, tmp_path / "asked.npz", tmp_path / "ours.npz")
        )
    assert configs["action"] == {
        "delta_indices": list(config.action_indices),
        "modality_keys": [f"action.{key.key}" for key in config.action],
    }
    assert configs["language"]["modality_keys"] == [config.language]
    ours, theirs = np.load(tmp_path / "ours.npz"), np.load(tmp_path / "theirs.npz")
    assert set(ours) == set(theirs)
    for key in config.action:
        name = f"action.{key.key}"
        assert ours[name].shape == theirs[name].shape
        # Against the range of the data, which the model's -1 to 1 stands for.
        wide = np.subtract(key.statistics.max, key.statistics.min).clip(1e-6)
        assert (np.abs(ours[name] - theirs[name]) / wide).max() < TOLERANCE, name
