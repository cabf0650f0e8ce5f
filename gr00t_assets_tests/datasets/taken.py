"""Recordings of an SO-101 in a store of their own, and their frames held against the recorded."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
import yaml

from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.fit.modality_configs import build_modality_config
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets.modality.config import ModalityConfig
from gr00t_assets_tests.harness.lerobot_writer import Recording

MODALITY = {
    "state": {
        "single_arm": {"start": 0, "end": 5},
        "gripper": {"start": 5, "end": 6},
        "contact": {"start": 0, "end": 1, "original_key": "observation.contact"},
    },
    "action": {
        "single_arm": {"start": 0, "end": 5},
        "gripper": {"start": 5, "end": 6},
        "gripper_steps": {"start": 0, "end": 1, "original_key": "action.gripper_steps"},
    },
    "video": {
        "front": {"original_key": "observation.images.front"},
        "wrist": {"original_key": "observation.images.wrist"},
    },
    "annotation": {"human.task_description": {"original_key": "task_index"}},
}
"""Of recordings with the joints of an SO-101; those without a column have no key of it."""


@dataclass(frozen=True)
class Taken:
    """A recording as it stands in a store.

    Attributes:
        episodes: Which of the recording's episodes each episode of the dataset is.
        folder: What LeRobot wrote.
    """

    recording: Recording
    episodes: tuple[int, ...]
    folder: Path
    dataset: LeRobotDataset
    config: ModalityConfig
    cache: FrameCache


def take(folder: Path, recording: Recording, episodes: Sequence[int], root: Path) -> Taken:
    """Take a dataset into a store below ``root``, with a data config of all its keys."""
    source = with_modality(folder, root / folder.name)
    write_data_config(source, root / "data" / "data_configs" / "own.yaml")
    entry = CatalogEntry.model_validate(
        {
            "name": folder.name,
            "description": "Written by LeRobot",
            "source": {"kind": "folder", "path": str(source)},
            "data_config": "own",
        }
    )
    store = Store(root / "store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GR00T_ASSETS_ROOT", str(root))
        record = ingest_dataset(entry, store)
        config = build_modality_config(entry, store)
    dataset = LeRobotDataset.open(record.directory(store), record.name)
    frames = store.frame_cache(record.name, record.version)
    build_frame_cache(dataset, [camera.original_key for camera in config.video], frames)
    cache = FrameCache.open(frames)
    return Taken(recording, tuple(episodes), folder, dataset, config, cache)


def with_modality(source: Path, target: Path) -> Path:
    """A copy of a dataset with the file that LeRobot does not write."""
    shutil.copytree(source, target)
    columns = json.loads((source / "meta" / "info.json").read_text())["features"]
    sections = {
        section: {k: v for k, v in keys.items() if v.get("original_key", "action") in columns}
        for section, keys in MODALITY.items()
    }
    (target / "meta" / "modality.json").write_text(json.dumps(sections))
    return target


def write_data_config(source: Path, file: Path) -> None:
    """A data config of every key of a dataset's ``modality.json``."""
    sections = json.loads((source / "meta" / "modality.json").read_text())
    min_max = {"normalization": "min_max"}
    vectors = {kind: dict.fromkeys(sections[kind], min_max) for kind in ("state", "action")}
    language = "annotation.human.task_description"
    file.parent.mkdir(parents=True)
    file.write_text(
        yaml.safe_dump({"video": list(sections["video"]), "language": language, **vectors})
    )


def assert_frames(
    recording: Recording, cache: FrameCache, camera: str, episodes: Sequence[int]
) -> None:
    """Every frame is the image that was recorded; a video may be off by two grey levels."""
    for index, episode in enumerate(episodes):
        for row in range(recording.lengths[episode]):
            frame = cache.frame(index, f"observation.images.{camera}", row / recording.fps)
            image = recording.image(camera, episode, row)
            difference = np.abs(frame.astype(int) - image).mean()
            assert difference <= (2 if recording.use_videos else 0), (camera, index, row)


def cached_frames(taken: Taken, camera: str, episode: int) -> np.ndarray:
    """The frames of an episode's rows, shape ``(rows, height, width, 3)``, uint8."""
    times = taken.dataset.timestamps(episode)
    return taken.cache.frames(camera, taken.cache.rows(episode, camera, times))


def joined_frames(folder: Path, camera: str) -> list[np.ndarray]:
    """All frames of a camera of a v3.0 dataset, decoded from its files in their order."""
    frames = []
    for file in sorted((folder / "videos" / camera).rglob("*.mp4")):
        with av.open(str(file)) as container:
            frames += [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return frames
