"""Datasets that LeRobot itself writes, with rows and frames that a test can compute again.

Tests import it for ``Recording``, whose methods say what stands in every row, and for ``record``.
That runs this file under a Python that has LeRobot: ``lerobot_writer.py RECORDINGS.json FOLDER
[edited]``.
"""

import importlib
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

SO101 = (
    "shoulder_pan.pos",
    "shoulder_lift.pos",
    "elbow_flex.pos",
    "wrist_flex.pos",
    "wrist_roll.pos",
    "gripper.pos",
)

ARM = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate", "gripper")
BIMANUAL = tuple(f"{side}_{joint}" for side in ("left", "right") for joint in ARM)

QUARTER_TURNS = {"front": 0, "wrist": 2, "cam_high": 0, "cam_left_wrist": 2, "cam_right_wrist": 1}
"""The frames of each camera are turned by so much, so that no two cameras are alike."""


EDITS = {
    "deleted": ("so101", (0, 2)),
    "first-half": ("so101", (0, 1)),
    "second-half": ("so101", (2,)),
    "merged": ("so101", (2, 0, 1)),
    "converted": ("so101-images", (0, 1, 2)),
}
"""What LeRobot's tools make of a recording of three episodes, and which of them are in it."""


@dataclass(frozen=True)
class Recording:
    """What is recorded; lengths are rows of each episode.

    Attributes:
        tasks: Instructions of each episode, which share its rows in turn.
        columns: More columns than state and action, each with its dtype and shape.
        depth: Cameras that give depth in millimetres; LeRobot 0.6 and up.
        resumed_after: Episodes after which recording stops and is taken up again, which begins
            new files of rows, of videos and of episodes.
    """

    lengths: tuple[int, ...] = (24, 31, 20)
    tasks: tuple[tuple[str, ...], ...] = (("pick up the cube",),) * 3
    joints: tuple[str, ...] = SO101
    cameras: tuple[str, ...] = ("front", "wrist")
    robot_type: str = "so101_follower"
    use_videos: bool = True
    columns: Mapping[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    depth: tuple[str, ...] = ()
    resumed_after: int | None = None
    fps: int = 30
    height: int = 48
    width: int = 64

    def states(self, episode: int) -> np.ndarray:
        """Joint angles in degrees, shape ``(length, joints)``, float32."""
        rows = np.arange(self.lengths[episode])[:, None]
        joints = np.arange(len(self.joints))[None]
        angles = 9.0 * joints + 7.0 * episode + 20.0 * np.sin((rows + 3 * joints) / 8.0)
        noise = np.random.default_rng(episode).normal(0.0, 0.2, angles.shape)
        return (angles + noise).astype(np.float32)

    def actions(self, episode: int) -> np.ndarray:
        """Where each joint is two rows later, in the shape of the states."""
        states = self.states(episode)
        return np.concatenate([states[2:], states[-1:], states[-1:]])

    def values(self, column: str, episode: int) -> np.ndarray:
        """What a column holds, shape ``(length, *shape)``."""
        if column == "observation.state":
            return self.states(episode)
        if column == "action":
            return self.actions(episode)
        dtype, shape = self.columns[column]
        rows = np.arange(self.lengths[episode])
        if dtype == "string":
            return np.array([f"row {row}" for row in rows])[:, None]
        steps = rows[:, None] // 5 + np.arange(int(np.prod(shape)))[None]
        values = steps % 2 if dtype == "bool" else steps + 10 * episode
        return values.reshape(len(rows), *shape).astype(dtype)

    def instructions(self, episode: int) -> list[str]:
        """The instruction of each row."""
        texts = self.tasks[episode]
        length = self.lengths[episode]
        return [texts[row * len(texts) // length] for row in range(length)]

    def image(self, camera: str, episode: int, row: int) -> np.ndarray:
        """Grey: one half tells the episode, the other the row; ``(height, width, 3)``, uint8.

        Images that are kept without loss have noise of three colours in them as well.
        """
        turns = QUARTER_TURNS[camera]
        size = (self.width, self.height) if turns % 2 else (self.height, self.width)
        grey = np.empty(size, np.uint8)
        grey[:, : size[1] // 2] = 20 + 30 * episode
        grey[:, size[1] // 2 :] = 10 + 5 * row
        image = np.ascontiguousarray(np.rot90(grey, turns))[..., None].repeat(3, axis=2)
        if self.use_videos:
            return image
        return image + np.random.default_rng([episode, row]).integers(0, 30, image.shape, np.uint8)

    def depth_image(self, episode: int, row: int) -> np.ndarray:
        """Millimetres, shape ``(height, width, 1)``, uint16."""
        return np.full((self.height, self.width, 1), 500 + 100 * episode + 10 * row, np.uint16)

    def features(self) -> dict[str, dict[str, Any]]:
        """What LeRobot is told of the columns and cameras."""
        names = {"dtype": "float32", "shape": (len(self.joints),), "names": list(self.joints)}
        features: dict[str, dict[str, Any]] = {"observation.state": names, "action": dict(names)}
        for name, (dtype, shape) in self.columns.items():
            features[name] = {"dtype": dtype, "shape": tuple(shape), "names": None}
        image = {"dtype": "video" if self.use_videos else "image"}
        axes = ["height", "width", "channels"]
        for camera in self.cameras:
            shape = (self.height, self.width, 3)
            features[f"observation.images.{camera}"] = image | {"shape": shape, "names": axes}
        for camera in self.depth:
            declared = {"shape": (self.height, self.width, 1), "info": {"is_depth_map": True}}
            features[f"observation.images.{camera}"] = image | declared | {"names": axes}
        return features

    def frame(self, episode: int, row: int) -> dict[str, Any]:
        """One row, as a robot's recorder hands it to LeRobot."""
        frame: dict[str, Any] = {
            "observation.state": self.states(episode)[row],
            "action": self.actions(episode)[row],
            "task": self.instructions(episode)[row],
        }
        for name, (dtype, _) in self.columns.items():
            value = self.values(name, episode)[row]
            frame[name] = str(value[0]) if dtype == "string" else value
        for camera in self.cameras:
            frame[f"observation.images.{camera}"] = self.image(camera, episode, row)
        for camera in self.depth:
            frame[f"observation.images.{camera}"] = self.depth_image(episode, row)
        return frame


def record(
    python: Path, recordings: Mapping[str, Recording], folder: Path, edited: bool = False
) -> None:
    """Have LeRobot write recordings, each into the folder of its name; some seconds.

    Args:
        python: One that has LeRobot.
        edited: Make ``EDITS`` of them as well.
    """
    listed = folder / "recordings.json"
    listed.write_text(json.dumps({name: asdict(item) for name, item in recordings.items()}))
    home = {"HF_HOME": str(folder / "home"), "HF_LEROBOT_HOME": str(folder / "home")}
    result = subprocess.run(
        [str(python), __file__, str(listed), str(folder), *["edited"] * edited],
        env={**os.environ, **home, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout[-4000:]


def write(recording: Recording, folder: Path) -> None:
    """Record all episodes as LeRobot's own scripts do."""
    lerobot = importlib.import_module("lerobot.datasets.lerobot_dataset").LeRobotDataset
    repository = f"tests/{folder.name}"
    one_thread = _known(lerobot.create, encoder_threads=1)
    dataset = lerobot.create(
        repo_id=repository,
        fps=recording.fps,
        features=recording.features(),
        root=folder,
        robot_type=recording.robot_type,
        use_videos=recording.use_videos,
        **one_thread,
    )
    for episode, length in enumerate(recording.lengths):
        if episode == recording.resumed_after:
            dataset.finalize()
            resume = getattr(lerobot, "resume", lerobot)
            dataset = resume(repository, root=folder, **_known(resume, **one_thread))
        for row in range(length):
            dataset.add_frame(recording.frame(episode, row))
        dataset.save_episode(parallel_encoding=False)
    dataset.finalize()


def _known(function: Any, **arguments: Any) -> dict[str, Any]:
    """Those arguments that this release of LeRobot has."""
    parameters = inspect.signature(function).parameters
    return {name: value for name, value in arguments.items() if name in parameters}


def edit(folder: Path) -> None:
    """Make ``EDITS`` of recordings that are there already, with LeRobot's own tools."""
    lerobot = importlib.import_module("lerobot.datasets.lerobot_dataset").LeRobotDataset
    tools = importlib.import_module("lerobot.datasets.dataset_tools")

    def opened(name: str) -> Any:
        return lerobot(f"tests/{name}", root=folder / name, video_backend="pyav")

    tools.delete_episodes(opened("so101"), [1], folder / "deleted")
    tools.split_dataset(opened("so101"), {"first-half": [0, 1], "second-half": [2]}, folder)
    halves = [opened("second-half"), opened("first-half")]
    tools.merge_datasets(halves, "tests/merged", folder / "merged")
    images = opened("so101-images")
    tools.convert_image_to_video_dataset(images, folder / "converted", num_workers=1)


def main(recordings: str, folder: str, *edited: str) -> None:
    """Write every recording, and edit them where there is a third argument."""
    for name, values in json.loads(Path(recordings).read_text()).items():
        write(Recording(**values), Path(folder, name))
    if edited:
        edit(Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
