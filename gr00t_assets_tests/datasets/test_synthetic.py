import hashlib
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from gr00t_assets.datasets.frames import decode
from gr00t_assets.datasets.lerobot import LeRobotDataset
from gr00t_assets.datasets.synthetic import generate
from gr00t_assets.datasets.synthetic_motion import Demonstration, demonstrate, shuffled_things
from gr00t_assets.datasets.synthetic_robots import ROBOTS
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
        assert np.asarray(frames[0][1]).shape == (256, 256, 3)
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
    assert np.abs(np.diff(action[:, 22:29], axis=0)).max() < 0.5


def _demonstration(spec: SyntheticSpec) -> Demonstration:
    random = np.random.default_rng(spec.seed)
    thing = shuffled_things(random, 1)[0]
    return demonstrate(ROBOTS[spec.robot](), thing, spec.max_frames, random)


@pytest.mark.parametrize("robot", ["gr1_arms", "so101"])
@pytest.mark.parametrize("seed", range(8))
def test_thing_is_carried_by_the_hand_to_the_plate(robot: str, seed: int) -> None:
    spec = SyntheticSpec.model_validate({"robot": robot, "seed": seed})
    shown, arm = _demonstration(spec), ROBOTS[robot]()
    start, end = shown.places[0], shown.places[-1]
    assert np.linalg.norm((start - shown.plate)[:2]) > arm.plate_radius
    assert np.linalg.norm((end - shown.plate)[:2]) < arm.plate_radius * 0.6
    assert end[2] < 0.02 < shown.places[:, 2].max()
    assert shown.held.any() and not shown.held[0] and not shown.held[-1]
    held = np.flatnonzero(shown.held)
    tools = np.array([arm.pose(shown.states[row]).points[-1] for row in held])
    offsets = shown.places[held] - tools
    np.testing.assert_allclose(offsets, np.broadcast_to(offsets[0], offsets.shape), atol=1e-6)
    assert np.linalg.norm(offsets[0]) < 0.07
    still = np.flatnonzero(~shown.held[: held[0]])
    np.testing.assert_allclose(shown.places[still], np.broadcast_to(start, (len(still), 3)))


@pytest.mark.parametrize(("spec", "camera"), [(SMALL, "ego_view"), (TABLE, "front")])
def test_hand_is_drawn_where_forward_kinematics_says(
    spec: SyntheticSpec, camera: str, small: LeRobotDataset, table: LeRobotDataset
) -> None:
    dataset = small if spec is SMALL else table
    arm = ROBOTS[spec.robot]()
    states = dataset.vector(0, "observation.state")
    video = dataset.video_path(0, f"observation.images.{camera}")
    frames = np.stack([np.asarray(frame) for _, frame in decode(video)]).astype(int)
    still = np.median(frames, axis=0)
    covered, in_view = 0, 0
    width, height = spec.size
    for state, frame in zip(states, frames, strict=True):
        hand = arm.pose(state).points[-2]
        x, y = arm.camera(camera, state, spec.size).pixels(
            arm.camera(camera, state, spec.size).view(hand[None])
        )[0]
        if 0 <= x < width and 0 <= y < height:
            in_view += 1
            covered += np.abs(frame[int(y), int(x)] - still[int(y), int(x)]).max() > 15
    assert in_view > 0.5 * len(frames)
    assert covered > 0.5 * in_view


def test_pictures_change_as_much_as_the_joints_move(small: LeRobotDataset) -> None:
    state = small.vector(0, "observation.state")
    frames = [np.asarray(frame) for _, frame in decode(small.video_path(0, small.cameras[0]))]
    speed = np.linalg.norm(np.diff(state[:, 22:29], axis=0), axis=1)
    change = [np.abs(b.astype(int) - a).mean() for a, b in pairwise(frames)]
    assert np.corrcoef(speed, change)[0, 1] > 0.7


def test_same_spec_gives_the_same_files(small: LeRobotDataset, tmp_path: Path) -> None:
    again = _made(SMALL, tmp_path / "again")
    assert _hashes(again.directory) == _hashes(small.directory)
    other = _made(SMALL.model_copy(update={"seed": 4}), tmp_path / "other")
    assert _hashes(other.directory) != _hashes(small.directory)


def test_table_arm(table: LeRobotDataset) -> None:
    assert table.cameras == ("observation.images.front", "observation.images.wrist")
    assert table.vector(0, "action").shape == (60, 6)
    assert table.fps == 30.0
    assert table.modality is not None
    assert table.modality["annotation"] == {
        "human.task_description": {"original_key": "task_index"}
    }
    front, wrist = (
        [np.asarray(frame) for _, frame in decode(table.video_path(0, camera))]
        for camera in table.cameras
    )
    assert front[0].shape == wrist[0].shape == (240, 320, 3)
    background = [
        np.abs(frames[30].astype(int) - frames[0])[:40].mean() for frames in (front, wrist)
    ]
    assert background[1] > background[0]


def test_stats_are_those_of_the_rows(small: LeRobotDataset) -> None:
    stats = json.loads((small.directory / "meta" / "stats.json").read_text())
    rows = np.concatenate([small.vector(episode.index, "action") for episode in small.episodes])
    np.testing.assert_allclose(stats["action"]["mean"], rows.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(stats["action"]["max"], rows.max(axis=0), atol=1e-6)


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
