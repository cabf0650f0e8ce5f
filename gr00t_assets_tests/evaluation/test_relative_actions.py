"""Relative actions in the evaluation: normalised as they are fed, in units as they are sent."""

from pathlib import Path

import numpy as np
import pytest

from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import load_catalog
from gr00t_assets.datasets.fit.modality_configs import build_modality_config
from gr00t_assets.datasets.frames.demonstrations import Demonstrations
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets.evaluation.recorded_actions import action_groups, recorded_at
from gr00t_assets.evaluation.windows import Windows
from gr00t_assets.modality.transforms import StateActionTransform

CONFIG = """\
video: [ego_view]
state:
  left_arm: {normalization: min_max}
action:
  left_arm: {rep: relative, normalization: min_max}
  right_arm: {normalization: min_max}
language: annotation.human.action.task_description
"""
CATALOG = """\
drawn:
  description: Two short episodes
  source: {kind: synthetic, episodes: 2, min_frames: 40, max_frames: 44, width: 96, height: 96}
  data_config: mine
"""


def test_what_is_recorded_and_held_is_what_the_model_is_fed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data" / "data_configs").mkdir(parents=True)
    (tmp_path / "data" / "datasets.yaml").write_text(CATALOG)
    (tmp_path / "data" / "data_configs" / "mine.yaml").write_text(CONFIG)
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    entry, store = load_catalog()["drawn"], Store(tmp_path / "store")
    record = ingest_dataset(entry, store)
    config = build_modality_config(entry, store)
    dataset = LeRobotDataset.open(record.directory(store))
    folder = store.frame_cache(record.name, record.version)
    build_frame_cache(dataset, [camera.original_key for camera in config.video], folder)
    data = Demonstrations(dataset, FrameCache.open(folder), config)

    rows = np.array([0, 5, 39])
    inside = np.ones((3, 16), dtype=bool)
    windows = Windows(np.zeros(3, int), rows, inside, np.arange(3), "windows", 5)
    groups = action_groups(config)
    recorded = recorded_at(windows, dataset, groups, config)
    fed = data.actions(rows)
    np.testing.assert_allclose(recorded.actions, fed[..., : config.action_dim], atol=1e-5)

    units = StateActionTransform(config).invert_action(fed, data.anchors(rows))
    for group in groups:
        truth = recorded.actions_in_units[group.key.key]
        np.testing.assert_allclose(units[group.key.key], truth, atol=1e-4)
        anchor = recorded.anchors.get(group.key.key)
        again = group.in_units(recorded.actions[..., group.normalised], anchor=anchor)
        np.testing.assert_allclose(again, truth, atol=1e-8)
    # Holding the state is a relative action of nothing.
    arm, state = config.action[0], config.state_of(config.action[0])
    assert groups[0].held == "state"
    vectors = dataset.vectors(0, [state.original_key])[state.original_key]
    held = recorded.held_in_units[arm.key]
    assert held.shape[1] in (1, 16)
    np.testing.assert_allclose(held[:, 0], vectors[rows, state.start : state.end], atol=1e-8)
    assert recorded.held.shape == recorded.actions.shape
