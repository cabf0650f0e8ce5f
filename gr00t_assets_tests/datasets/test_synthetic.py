import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from gr00t_assets.datasets.frames import decode
from gr00t_assets.datasets.lerobot import LeRobotDataset
from gr00t_assets.datasets.synthetic import camera_view, draw_episode, generate, plan_episode
from gr00t_assets.datasets.synthetic_motion import forward, inverse, minimum_jerk
from gr00t_assets.datasets.synthetic_robots import GR1_RIGHT, SO101, Camera
from gr00t_assets.datasets.synthetic_spec import SyntheticSpec

SMALL = SyntheticSpec(episodes=2, min_frames=50, max_frames=60, seed=3)
TABLE = SyntheticSpec(
    robot="so101", episodes=1, min_frames=60, max_frames=60, width=320, height=240
)


def _made(spec: SyntheticSpec, directory: Path) -> LeRobotDataset:
    directory.mkdir()
    generate(spec, directory)
    return LeRobotDataset.open(directory)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> LeRobotDataset:
    return _made(SMALL, tmp_path_factory.mktemp("synthetic") / "small")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> LeRobotDataset:
    return _made(TABLE, tmp_path_factory.mktemp("synthetic") / "table")


def test_rows_frames_and_meta_agree(small: LeRobotDataset) -> None:
    assert not small.warnings
    assert small.cameras == ("observation.images.ego_view",)
    first = 0
    for episode in small.episodes:
        table = small.read_episode(episode.index)
        frames = list(decode(small.video_path(episode.index, small.cameras[0])))
        assert table.num_rows == episode.length == len(frames)
        assert frames[0][1].shape == (256, 256, 3)
        np.testing.assert_allclose([time for time, _ in frames], small.timestamps(episode.index))
        assert small.vector(episode.index, "observation.state").shape == (episode.length, 44)
        assert table.column("index").to_pylist() == list(range(first, first + episode.length))
        task = table.column("annotation.human.action.task_description").to_pylist()
        assert {small.tasks[number] for number in task} == set(episode.tasks)
        assert table.column("next.done").to_pylist() == [False] * (episode.length - 1) + [True]
        assert set(table.column_names) | set(small.cameras) == set(small.columns)
        first += episode.length
    assert small.info["total_frames"] == first


def test_layout_is_the_demonstrations(small: LeRobotDataset, demo_dataset: Path) -> None:
    demo = LeRobotDataset.open(demo_dataset)
    assert small.modality is not None and demo.modality is not None
    for part in ("state", "action", "video"):
        assert small.modality[part] == demo.modality[part]
    assert small.vector(0, "observation.state")[:, 13:22].any() == np.False_
    assert small.vector(0, "action")[:, 35:].any() == np.False_


def test_state_follows_the_commanded_position(small: LeRobotDataset) -> None:
    state, action = small.vector(0, "observation.state"), small.vector(0, "action")
    to_command = np.abs(state[1:] - action[:-1]).mean()
    assert to_command < np.abs(state[:-1] - action[:-1]).mean()
    assert np.abs(np.diff(action, axis=0)).max() < 0.8


@pytest.mark.parametrize("robot", ["gr1_arms", "so101"])
@pytest.mark.parametrize("index", range(12))
def test_object_is_carried_by_the_hand_to_the_plate(robot: str, index: int) -> None:
    spec = SyntheticSpec.model_validate({"robot": robot, "seed": 1})
    episode = plan_episode(spec, index)
    item, setting = episode.motion.item, episode.setting
    grasp = forward(GR1_RIGHT if robot == "gr1_arms" else SO101, episode.motion.state).grasp
    moving = np.linalg.norm(np.diff(item, axis=0), axis=1) > 2e-3
    held = np.flatnonzero(moving)[:-3]
    assert np.linalg.norm(item[held] - grasp[held], axis=1).max() < 0.02
    assert episode.motion.closed[held].min() > 0.3
    assert item[:, 2].max() > setting.position[2] + 0.08
    assert np.linalg.norm(item[0, :2] - setting.plate[:2]) > setting.plate_radius
    assert np.linalg.norm(item[-1, :2] - setting.plate[:2]) < setting.plate_radius * 0.5
    assert item[-1, 2] == pytest.approx(setting.place[2])


@pytest.mark.parametrize(("spec", "camera"), [(SMALL, "ego_view"), (TABLE, "front")])
def test_hand_is_drawn_where_forward_kinematics_says(spec: SyntheticSpec, camera: str) -> None:
    episode = plan_episode(spec, 0)
    frames = list(draw_episode(spec, episode, camera))
    chain = GR1_RIGHT if spec.robot == "gr1_arms" else SO101
    wrist = forward(chain, episode.motion.state).joints[:, -1]
    seen = camera_view(spec, episode, camera).project(wrist, *spec.size)
    width, height = spec.size
    still = np.median(np.stack(frames), axis=0)
    covered = 0
    for (x, y, _), frame in zip(seen, frames, strict=True):
        assert 0 <= x < width and 0 <= y < height
        change = np.abs(frame[int(y), int(x)].astype(float) - still[int(y), int(x)]).max()
        covered += change > 15
    assert covered > 0.5 * len(frames)


def test_pictures_change_as_much_as_the_joints_move(small: LeRobotDataset) -> None:
    state = small.vector(0, "observation.state")
    frames = [frame for _, frame in decode(small.video_path(0, small.cameras[0]))]
    speed = np.linalg.norm(np.diff(state[:, 22:29], axis=0), axis=1)
    change = [np.abs(b.astype(int) - a).mean() for a, b in zip(frames, frames[1:], strict=False)]
    assert np.corrcoef(speed, change)[0, 1] > 0.7


def test_object_shows_its_colour_on_the_plate_at_the_end() -> None:
    spec = SyntheticSpec(min_frames=50, max_frames=60)
    episodes = (plan_episode(spec, index) for index in range(40))
    episode = next(episode for episode in episodes if episode.setting.item == "apple")
    *_, last = draw_episode(spec, episode, "ego_view")
    at = camera_view(spec, episode, "ego_view").project(episode.motion.item[-1], *spec.size)
    red, green, blue = last[int(at[1]), int(at[0])].astype(int)
    assert red > 1.8 * green and red > 1.8 * blue


def test_same_spec_gives_the_same_files(small: LeRobotDataset, tmp_path: Path) -> None:
    again = _made(SMALL, tmp_path / "again")
    assert _hashes(again.directory) == _hashes(small.directory)
    other = _made(SMALL.model_copy(update={"seed": 4}), tmp_path / "other")
    assert _hashes(other.directory) != _hashes(small.directory)


def test_more_episodes_leave_the_first_ones_as_they_are(small: LeRobotDataset) -> None:
    longer = plan_episode(SMALL.model_copy(update={"episodes": 50}), 1)
    np.testing.assert_array_equal(longer.state, small.vector(1, "observation.state"))


def test_table_arm(table: LeRobotDataset) -> None:
    assert table.cameras == ("observation.images.front", "observation.images.wrist")
    assert table.vector(0, "action").shape == (60, 6)
    assert table.fps == 30.0
    assert table.modality is not None
    assert table.modality["annotation"] == {
        "human.task_description": {"original_key": "task_index"}
    }
    front, wrist = (
        [frame for _, frame in decode(table.video_path(0, camera))] for camera in table.cameras
    )
    assert front[0].shape == wrist[0].shape == (240, 320, 3)
    background = [np.abs(frames[30].astype(int) - frames[0])[:40].mean() for frames in (front, wrist)]
    assert background[1] > background[0]


def test_stats_are_those_of_the_rows(small: LeRobotDataset) -> None:
    stats = json.loads((small.directory / "meta" / "stats.json").read_text())
    rows = np.concatenate([small.vector(episode.index, "action") for episode in small.episodes])
    np.testing.assert_allclose(stats["action"]["mean"], rows.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(stats["action"]["max"], rows.max(axis=0), atol=1e-6)


def test_inverse_undoes_forward() -> None:
    rest = np.array(GR1_RIGHT.rest)
    angles = rest + np.random.default_rng(0).uniform(-0.4, 0.4, (20, 7))
    pose = forward(GR1_RIGHT, angles)
    fingers, palm = pose.hand @ np.array(GR1_RIGHT.approach), pose.hand @ np.array(GR1_RIGHT.normal)
    found = forward(GR1_RIGHT, inverse(GR1_RIGHT, pose.grasp, fingers, palm, rest))
    assert np.linalg.norm(found.grasp - pose.grasp, axis=1).max() < 5e-3


def test_minimum_jerk_starts_and_stops_at_rest() -> None:
    way = minimum_jerk(np.linspace(0, 1, 101))
    assert way[0] == 0 and way[-1] == 1
    assert np.diff(way)[[0, -1]].max() < 1e-4 < np.diff(way)[50]


def test_camera_sees_its_target_in_the_middle() -> None:
    camera = Camera.looking(np.zeros(3), np.array([0.0, 2.0, -1.0]), np.array([0.0, 0.0, 1.0]), 1.0)
    pixel = camera.project(np.array([[0.0, 2.0, -1.0], [0.1, 2.0, -0.9]]), 640, 480)
    np.testing.assert_allclose(pixel[0], [320, 240, np.sqrt(5)])
    assert pixel[1, 0] > 320 and pixel[1, 1] < 240


@pytest.mark.parametrize(
    "wrong",
    [
        {"robot": "spot"},
        {"episodes": 0},
        {"min_frames": 100, "max_frames": 90},
        {"cameras": ["wrist"]},
        {"width": 255},
        {"colour": "red"},
    ],
)
def test_wrong_spec_is_refused(wrong: dict) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong)).split("_")[0]):
        SyntheticSpec.model_validate(wrong)


def _hashes(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }
