import json
from pathlib import Path

import numpy as np
import pytest

from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.statistics import ColumnStatistics
from gr00t_assets.datasets.source_kinds import SyntheticSource
from gr00t_assets.datasets.sources.versions import content_hash
from gr00t_assets.datasets.synthetic.generator import generate
from gr00t_assets.datasets.synthetic.motion import demonstrate, shuffled_things
from gr00t_assets.datasets.videos import decode
from gr00t_assets.environments.synthetic.robots import ROBOTS
from gr00t_assets_tests.datasets.conftest import SMALL


def test_the_same_parameters_give_the_same_bytes(small_dataset: Path, tmp_path: Path) -> None:
    generate(SMALL, tmp_path / "again")
    assert content_hash(tmp_path / "again") == content_hash(small_dataset)
    generate(SMALL.model_copy(update={"seed": 1}), tmp_path / "other")
    assert content_hash(tmp_path / "other") != content_hash(small_dataset)


@pytest.mark.parametrize("name", list(ROBOTS))
def test_the_thing_is_carried_by_the_hand_to_the_plate(name: str) -> None:
    robot = ROBOTS[name]()
    for seed in range(12):
        random = np.random.default_rng(seed)
        shown = demonstrate(robot, shuffled_things(random, 1)[0], 140, random)
        tools = np.array([robot.pose(state).points[-1] for state in shown.states])
        moved = np.flatnonzero(np.abs(np.diff(shown.places[:, :2], axis=0)).sum(1) > 0)
        assert shown.grasped[moved + 1].all()
        reach = np.linalg.norm((tools - shown.places)[shown.grasped][:, :2], axis=1)
        assert reach.max() < 0.02
        assert np.hypot(*(shown.places[0] - shown.plate)[:2]) > robot.plate_radius
        assert np.hypot(*(shown.places[-1] - shown.plate)[:2]) < robot.plate_radius / 2
        assert shown.places[:, 2].max() > 0.08
        assert not shown.grasped[-1] and shown.places[-1, 2] < 0.01


def test_the_state_follows_the_action_of_the_frame_before(small_dataset: Path) -> None:
    dataset = LeRobotDataset.open(small_dataset)
    state, action = (dataset.vector(0, name) for name in ("observation.state", "action"))
    now, before = np.abs(action - state).sum(), np.abs(action[:-1] - state[1:]).sum()
    assert 0 < before < now
    assert np.ptp(action[:, 22:35], axis=0).min() > 0.01


def test_images_show_the_state_of_their_own_row(tmp_path: Path) -> None:
    spec = SyntheticSource(episodes=1, min_frames=60, max_frames=60)
    generate(spec, tmp_path)
    dataset, robot = LeRobotDataset.open(tmp_path), ROBOTS["gr1_arms"]()
    states = dataset.vector(0, "observation.state")
    frames = [frame for _, frame in decode(dataset.video_path(0, dataset.cameras[0]))]
    camera = robot.camera("ego_view", states[0], spec.size)

    def share_on_the_arm(shift: int) -> float:
        """Share of frames whose forearm's middle, by the joints, has the forearm's white."""
        found = []
        for row, frame in enumerate(frames):
            points = robot.pose(states[(row + shift) % len(states)]).points
            x, y = camera.pixels(camera.view(0.3 * points[3:4] + 0.7 * points[6:7]))[0]
            if frame is not None and 0 <= x < spec.size[0] and 0 <= y < spec.size[1]:
                found.append(frame[int(y), int(x)].min() > 180)
        return float(np.mean(found))

    assert share_on_the_arm(0) > 0.95
    assert share_on_the_arm(12) < 0.6


def test_statistics_and_meta_files_say_what_the_rows_say(small_dataset: Path) -> None:
    dataset = LeRobotDataset.open(small_dataset)
    stored = json.loads((small_dataset / "meta/stats.json").read_text())
    for column in ("observation.state", "action", "timestamp"):
        for name, values in ColumnStatistics(dataset).computed(column).items():
            np.testing.assert_allclose(stored[column][name], values, atol=1e-7)
    assert dataset.info.raw["total_frames"] == dataset.frame_count
    for episode in dataset.episodes:
        times = [time for time, _ in decode(dataset.video_path(episode.index, dataset.cameras[0]))]
        np.testing.assert_allclose(times, dataset.timestamps(episode.index), atol=1e-6)
        task = dataset.vector(episode.index, "task_index")[0, 0]
        assert dataset.tasks[task] == episode.tasks[0]


def test_statistics_are_those_of_isaac_gr00t(demo_dataset: Path) -> None:
    dataset = LeRobotDataset.open(demo_dataset)
    stored = json.loads((demo_dataset / "meta/stats.json").read_text())
    for column in ("observation.state", "action"):
        for name, values in ColumnStatistics(dataset).computed(column).items():
            np.testing.assert_allclose(values, stored[column][name], atol=1e-6)


def test_so101_has_two_cameras_and_six_numbers(tmp_path: Path) -> None:
    spec = SyntheticSource(
        robot="so101", episodes=1, min_frames=40, max_frames=40, width=160, height=120
    )
    generate(spec, tmp_path)
    dataset = LeRobotDataset.open(tmp_path)
    assert dataset.cameras == ("observation.images.front", "observation.images.wrist")
    assert dataset.vector(0, "action").shape == (40, 6)
    assert dataset.fps == 30
    assert dataset.modality is not None
    assert dataset.modality["annotation"] == {
        "human.task_description": {"original_key": "task_index"}
    }
    front, wrist = (
        np.stack([frame for _, frame in decode(dataset.video_path(0, camera)) if frame is not None])
        for camera in dataset.cameras
    )
    assert front.shape == wrist.shape == (40, 120, 160, 3)
    assert np.abs(front[0].astype(int) - front[20]).mean() > 1
    assert np.abs(wrist[0].astype(int) - wrist[20]).mean() > 5
