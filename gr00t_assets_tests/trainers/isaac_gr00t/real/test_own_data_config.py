"""A data config of one's own, by the real transforms of either release and by ours."""

import json
from pathlib import Path

import numpy as np
import torch

from gr00t_assets.modality.camera_images import ImageRecipe, camera_images
from gr00t_assets.modality.transforms import StateActionTransform
from gr00t_assets.trainers.isaac_gr00t.data_config_module import CLASS, write_module
from gr00t_assets.trainers.run_files import isaac_metadata
from gr00t_assets_tests.trainers.isaac_gr00t import own_data_config
from gr00t_assets_tests.trainers.isaac_gr00t.real.conftest import Isaac


def test_state_action_and_images_are_the_same(isaac: Isaac, tmp_path: Path) -> None:
    config, frames = own_data_config.own_config(), own_data_config.frames()
    rows, transform = own_data_config.columns(config), StateActionTransform(config)
    sample = {f"video.{key.key}": frames[:, at] for at, key in enumerate(config.video)}
    for modality, keys, places in (
        ("state", config.state, [0]),
        ("action", config.action, list(config.action_indices)),
    ):
        for key in keys:
            values = rows[key.original_key][places, key.start : key.end]
            sample[f"{modality}.{key.key}"] = values
    np.savez(tmp_path / "inputs.npz", allow_pickle=False, **sample)
    (tmp_path / "metadata.json").write_text(json.dumps(isaac_metadata(config)))
    module = write_module(config, tmp_path)
    answer = isaac.program(
        *("own_config", tmp_path, f"{module.stem}:{CLASS}", tmp_path / "inputs.npz"),
        *(tmp_path / "metadata.json", tmp_path / "out.npz"),
    )
    theirs = np.load(tmp_path / "out.npz")
    state = transform.states(rows)[:1, : config.state_dim]
    np.testing.assert_allclose(theirs["state"], state, atol=1e-6)
    action = transform.chunks(transform.actions(rows), [0])[0, :, : config.action_dim]
    np.testing.assert_allclose(theirs["action"], action, atol=1e-6)
    images = camera_images(torch.from_numpy(frames), ImageRecipe(config.image_size), config).numpy()
    assert theirs["video"].shape == images.shape
    assert np.abs(theirs["video"].astype(int) - images).max() <= 1
    assert answer["last"] == {
        "state_horizon": 1,
        "action_horizon": len(config.action_indices),
        "max_state_dim": 64,
        "max_action_dim": 32,
        "tags": {"new_embodiment": 30},
    }
    assert answer["keys"]["language"] == [[0], ["annotation.human.task_description"]]
    assert answer["keys"]["action"][0] == list(config.action_indices)
