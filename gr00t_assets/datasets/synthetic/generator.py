"""Synthetic demonstrations, written as a LeRobot dataset of format v2.0.

An arm reaches for a thing, carries it to a plate and lets it go; every image shows the joints of
its own row. Small, quick to make, and always the same for the same parameters.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gr00t_assets.core.files import write_json
from gr00t_assets.datasets.lerobot.info import DATA_PATH, VIDEO_PATH, episode_path
from gr00t_assets.datasets.lerobot.statistics import array_statistics
from gr00t_assets.datasets.lerobot.writer import new_info, write_lists
from gr00t_assets.datasets.source_kinds import SyntheticSource
from gr00t_assets.datasets.synthetic.motion import Demonstration, demonstrate, shuffled_things
from gr00t_assets.datasets.videos import write_video
from gr00t_assets.environments.synthetic.robots import ROBOTS, Robot
from gr00t_assets.environments.synthetic.scene import PinholeCamera, plate, render, shadow, table
from gr00t_assets.modality.modality_json import preset_path

PRESETS = {"gr1_arms": "gr1_arms", "so101": "so100_dualcam"}
"""The packaged modality.json of each robot."""

_TASK = "annotation.human.action.task_description"


def generate(spec: SyntheticSource, directory: Path) -> None:
    """Fill a folder with the demonstrations of some parameters.

    The same parameters give the same rows byte for byte, and the same images.
    """
    robot = ROBOTS[spec.robot]()
    random = np.random.default_rng(spec.seed)
    things = shuffled_things(random, spec.episodes)
    tasks = list(dict.fromkeys(thing.instruction for thing in things))
    episodes: list[dict[str, Any]] = []
    numbers: dict[str, list[np.ndarray]] = {}
    row = 0
    for index, thing in enumerate(things):
        frames = int(random.integers(spec.min_frames, spec.max_frames, endpoint=True))
        shown = demonstrate(robot, thing, frames, random)
        columns = _columns(spec, shown, index, tasks.index(thing.instruction), row)
        for name, values in columns.items():
            numbers.setdefault(name, []).append(values.reshape(frames, -1))
        path = directory / episode_path(DATA_PATH, index)
        path.parent.mkdir(parents=True, exist_ok=True)
        cells = {name: list(rows) if rows.ndim == 2 else rows for name, rows in columns.items()}
        pq.write_table(pa.table(cells), path)
        for camera in spec.shown_cameras:
            path = directory / episode_path(VIDEO_PATH, index, f"observation.images.{camera}")
            images = (
                draw(robot, shown, frame, robot.camera(camera, state, spec.size))
                for frame, state in enumerate(shown.states)
            )
            write_video(path, images, spec.rate)
        episodes.append({"episode_index": index, "tasks": [thing.instruction], "length": frames})
        row += frames
    rows = {name: np.concatenate(parts) for name, parts in numbers.items()}
    _write_meta(spec, robot, rows, episodes, tasks, directory / "meta")


def draw(robot: Robot, shown: Demonstration, frame: int, camera: PinholeCamera) -> np.ndarray:
    """One image of an episode, ``(height, width, 3)`` uint8 RGB."""
    place, state = shown.places[frame], shown.states[frame]
    over_plate = bool(np.hypot(*(place - shown.plate)[:2]) < robot.plate_radius)
    tool = robot.pose(state).points[-1]
    hand_over_plate = bool(np.hypot(*(tool - shown.plate)[:2]) < robot.plate_radius * 0.8)
    flats = [
        *table(*robot.table, shown.tint),
        *plate(shown.plate, robot.plate_radius),
        shadow(tool, 0.03 * robot.scale, hand_over_plate),
        shadow(place, 0.03 * robot.scale, over_plate),
    ]
    solids = [*robot.solids(state), *shown.thing.standing(place, robot.scale)]
    return render(camera, flats, solids)


def _columns(
    spec: SyntheticSource, shown: Demonstration, episode: int, task: int, first_row: int
) -> dict[str, np.ndarray]:
    real = np.float64 if spec.robot == "gr1_arms" else np.float32
    frames = np.arange(len(shown.states))
    last, tasks = frames == frames[-1], np.full_like(frames, task)
    return {
        "observation.state": shown.states.astype(real),
        "action": shown.actions.astype(real),
        "timestamp": (frames / spec.rate).astype(real),
        **({_TASK: tasks} if spec.robot == "gr1_arms" else {}),
        "frame_index": frames,
        "episode_index": np.full_like(frames, episode),
        "index": frames + first_row,
        "task_index": tasks,
        "next.reward": last.astype(real),
        "next.done": last,
    }


def _write_meta(
    spec: SyntheticSource,
    robot: Robot,
    columns: dict[str, np.ndarray],
    episodes: list[dict[str, Any]],
    tasks: list[str],
    meta: Path,
) -> None:
    video = {
        "dtype": "video",
        "shape": [spec.size[1], spec.size[0], 3],
        "names": ["height", "width", "channel"],
        "video_info": {
            "video.fps": spec.rate,
            "video.codec": "h264",
            "video.pix_fmt": "yuv420p",
            "video.is_depth_map": False,
            "has_audio": False,
        },
    }
    features: dict[str, Any] = {f"observation.images.{name}": video for name in spec.shown_cameras}
    for name, rows in columns.items():
        features[name] = {"dtype": str(rows.dtype), "shape": [rows.shape[1]]}
        if rows.shape[1] > 1:
            features[name]["names"] = list(robot.names)
    counts = len(episodes), len(columns["action"]), len(tasks)
    info = new_info("v2.0", robot.robot_type, spec.rate, counts, features)
    write_json(meta / "info.json", info)
    statistics = {
        name: {field: values.tolist() for field, values in array_statistics(rows).items()}
        for name, rows in columns.items()
    }
    write_json(meta / "stats.json", statistics)
    listed = [{"task_index": index, "task": text} for index, text in enumerate(tasks)]
    write_lists(meta, {"tasks": listed, "episodes": episodes})
    modality = json.loads(preset_path(PRESETS[spec.robot]).read_text(encoding="utf-8"))
    videos = modality["video"].items()
    modality["video"] = {name: item for name, item in videos if name in spec.shown_cameras}
    write_json(meta / "modality.json", modality)
