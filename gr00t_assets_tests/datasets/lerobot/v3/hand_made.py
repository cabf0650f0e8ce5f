"""A v3.0 dataset written by hand: files, chunks and episodes in orders of their own."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pyarrow as pa
from av.video.frame import PictureType
from av.video.stream import VideoStream

from gr00t_assets_tests.datasets.lerobot.v3.v30 import DATA, VIDEO, write_meta, write_table

FPS = 10
LENGTHS = {0: 7, 1: 12, 2: 9, 3: 5}
TASKS = {0: "put the cube on the plate", 1: "wipe the table"}
FRONT, WRIST = "observation.images.front", "observation.images.wrist"
DATA_FILES = {(0, 0): (2, 0), (0, 1): (3, 1)}
"""Episodes by chunk and file, in the order of their rows."""
VIDEO_FILES = {FRONT: {(0, 0): (0, 1), (0, 1): (2, 3)}, WRIST: {(0, 0): (3, 0, 2), (1, 0): (1,)}}
KEY_EVERY_2 = ("libsvtav1", {"g": "2", "crf": "30", "preset": "10"})
"""LeRobot's own encoding."""
NO_KEY_AT_BORDERS = ("libx264", {"g": "250", "bf": "2", "sc_threshold": "0"})
MODALITY = '{"state": {}, "action": {}, "video": {}}'


def rows_of(episode: int) -> pa.Table:
    """The rows of an episode, with the types that LeRobot and datasets write."""
    length = LENGTHS[episode]
    random = np.random.default_rng(episode)
    state = random.normal(size=(length, 6)).astype(np.float32)
    action = random.normal(size=(length, 3))
    frames = np.arange(length)
    return pa.table(
        {
            "observation.state": pa.FixedSizeListArray.from_arrays(state.ravel(), 6),
            "action": pa.array(action.tolist(), pa.list_(pa.float64())),
            "next.done": pa.array(frames == length - 1),
            "timestamp": pa.array((frames / FPS).astype(np.float32)),
            "frame_index": pa.array(frames, pa.int64()),
            "episode_index": pa.array(np.full(length, episode), pa.int64()),
            "index": pa.array(frames + _first_row(episode), pa.int64()),
            "task_index": pa.array(np.full(length, episode % 2), pa.int64()),
        }
    )


def gray(episode: int, frame: int) -> int:
    """The grey level of an image, another for each of the dataset."""
    return 20 + 6 * (_first_row(episode) + frame)


def images_of(episode: int) -> Iterator[np.ndarray]:
    """Images of an episode: a square in a corner, on the grey level of its row."""
    for frame in range(LENGTHS[episode]):
        image = np.full((64, 96, 3), gray(episode, frame), np.uint8)
        image[:8, :8] = (200, 30 * episode, 20 * frame)
        yield image


def write_hand_made(
    directory: Path, wrist: tuple[str, dict[str, str]] = NO_KEY_AT_BORDERS, modality: bool = True
) -> Path:
    """Write the dataset; camera front in AV1 with a key frame at each border."""
    rows: dict[int, dict[str, Any]] = {}
    for episode, length in LENGTHS.items():
        first = _first_row(episode)
        rows[episode] = {
            "episode_index": episode,
            "tasks": [TASKS[episode % 2]],
            "length": length,
            "dataset_from_index": first,
            "dataset_to_index": first + length,
            "stats/action/mean": [0.5, float(episode), -1.0],
            "stats/action/count": [length],
            "stats/observation.images.front/max": [[[1.0]], [[0.5]], [[0.25]]],
        }
    for place, episodes in DATA_FILES.items():
        name = DATA.format(chunk_index=place[0], file_index=place[1])
        write_table(directory / name, pa.concat_tables([rows_of(item) for item in episodes]))
        for episode in episodes:
            rows[episode] |= {"data/chunk_index": place[0], "data/file_index": place[1]}
    for camera, files in VIDEO_FILES.items():
        for place, episodes in files.items():
            name = VIDEO.format(video_key=camera, chunk_index=place[0], file_index=place[1])
            encoding = KEY_EVERY_2 if camera == FRONT else wrist
            borders = camera == FRONT
            write_joined(
                directory / name, {item: images_of(item) for item in episodes}, encoding, borders
            )
            start = 0.0
            for episode in episodes:
                prefix = f"videos/{camera}"
                end = start + LENGTHS[episode] / FPS
                rows[episode] |= {
                    f"{prefix}/chunk_index": place[0],
                    f"{prefix}/file_index": place[1],
                }
                rows[episode] |= {f"{prefix}/from_timestamp": start, f"{prefix}/to_timestamp": end}
                start = end
    write_meta(directory, _info(), TASKS, [rows[episode] for episode in (2, 3, 0, 1)])
    (directory / "meta" / "stats.json").write_text('{"action": {"mean": [0.1, 0.2, 0.3]}}')
    if modality:
        (directory / "meta" / "modality.json").write_text(MODALITY)
    return directory


def write_joined(
    path: Path,
    episodes: Mapping[int, Iterator[np.ndarray]],
    encoding: tuple[str, dict[str, str]],
    key_at_borders: bool,
) -> None:
    """Encode episodes one after another with one encoder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codec, options = encoding
    with av.open(str(path), "w") as output:
        stream = cast(VideoStream, output.add_stream(codec, rate=FPS, options=options))
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        number = 0
        for images in episodes.values():
            for position, image in enumerate(images):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, FPS)
                if position == 0 and key_at_borders:
                    frame.pict_type = PictureType.I
                output.mux(stream.encode(frame))
                number += 1
        output.mux(stream.encode(None))


def frames_of(path: Path) -> list[tuple[Fraction, bytes]]:
    """Time and RGB of every frame."""
    with av.open(str(path)) as container:
        return [
            (
                (frame.pts or 0) * Fraction(frame.time_base or 0),
                frame.to_ndarray(format="rgb24").tobytes(),
            )
            for frame in container.decode(video=0)
        ]


def _first_row(episode: int) -> int:
    return sum(length for index, length in LENGTHS.items() if index < episode)


def _info() -> dict[str, Any]:
    def vector(dtype: str, size: int, names: Sequence[str] | None = None) -> dict[str, Any]:
        return {"dtype": dtype, "shape": [size], "names": names}

    def video(codec: str) -> dict[str, Any]:
        info = {"video.fps": FPS, "video.codec": codec, "video.pix_fmt": "yuv420p"}
        return {"dtype": "video", "shape": [64, 96, 3], "names": None, "info": info}

    return {
        "codebase_version": "v3.0",
        "robot_type": "so101_follower",
        "total_episodes": len(LENGTHS),
        "total_frames": sum(LENGTHS.values()),
        "total_tasks": len(TASKS),
        "chunks_size": 1000,
        "fps": FPS,
        "splits": {"train": "0:4"},
        "features": {
            "observation.state": vector("float32", 6),
            "action": vector("float64", 3),
            "next.done": vector("bool", 1),
            "timestamp": vector("float32", 1),
            "frame_index": vector("int64", 1),
            "episode_index": vector("int64", 1),
            "index": vector("int64", 1),
            "task_index": vector("int64", 1),
            FRONT: video("av1"),
            WRIST: video("h264"),
        },
    }
