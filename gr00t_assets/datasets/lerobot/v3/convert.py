"""The form in which datasets are trained on: LeRobot v2.1, one file for each episode.

Made from v3.0, which has many episodes in a file, and from v2.x where something is to change. Rows
are written as they are, frames are shown as they are, and the source is never written to.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.files import published_directory
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.folder import Folder, episode_names
from gr00t_assets.datasets.lerobot.info import V30, V30_EPISODES, VIDEO_PATH, episode_path
from gr00t_assets.datasets.lerobot.rows import report_unreadable
from gr00t_assets.datasets.lerobot.v3.cut_rows import cut_rows
from gr00t_assets.datasets.lerobot.v3.cut_videos import cut_video
from gr00t_assets.datasets.lerobot.v3.stored_episodes import (
    Changes,
    StoredEpisode,
    stored_episodes,
    trimmed_videos,
    with_own_files,
)
from gr00t_assets.datasets.lerobot.v3.write_meta import flattened_columns, write_meta
from gr00t_assets.datasets.lerobot.video_packets import VideoFiles, find_frames, report_video
from gr00t_assets.datasets.video_decoding import VideoError

CONVERTED = "converted from LeRobot v3.0 to v2.1"
"""How the first warning of a converted dataset begins."""

CONVERSION = f"{CONVERTED} by converter 2; every frame was compared"
"""That warning; its number is raised when the same source begins to give other files."""

_PROBLEM = "this dataset cannot be written as LeRobot v2.1."


@dataclass(frozen=True)
class Converted:
    """What was written: its episodes, and what is odd, and yet converted."""

    episodes: tuple[StoredEpisode, ...]
    warnings: tuple[str, ...]


def convert_to_v21(
    source: Path, destination: Path, *, name: str | None = None, changes: Changes | None = None
) -> Converted:
    """Write a dataset as a v2.1 dataset in normal form: episodes from 0 on without gaps, numbers
    in one axis, each row and each frame as in the source, which every frame is compared with.

    Everything is looked at before anything is written. Memory does not grow with the size of the
    dataset, but for 50 bytes a frame of the longest video file.

    Args:
        source: Folder of the dataset; only read.
        destination: Folder to make; it may be there and be empty.
        name: What errors call the dataset; the folder's name by default.
        changes: What is left out or renamed; nothing by default.

    Raises:
        DatasetError: All that is missing, unreadable or contradictory, at once; ``destination``
            is as it was.
        StoreError: The disk is full.
    """
    name, changes = name or source.name, changes or Changes()
    if destination.resolve().is_relative_to(source.resolve()):
        problem = f"{destination} is inside of the source, which is never written"
        raise DatasetError(name, _PROBLEM, [problem])
    if destination.is_dir() and not any(destination.iterdir()):
        destination.rmdir()
    elif destination.exists():
        problem = f"{destination} is there already: name a new folder"
        raise DatasetError(name, _PROBLEM, [problem])
    folder = Folder(source, confined=False, leaves_out=changes.leaves_out)
    dataset = LeRobotDataset.read(folder, name)
    is_shared = dataset.info.version == V30
    in_videos = [
        item if is_shared else with_own_files(dataset, item)
        for item in dataset.episodes
        if is_shared or item.index in changes.trimmed
    ]
    videos = find_frames(folder, in_videos, dataset.video_cameras, dataset.fps)
    folder.raise_errors(name, _PROBLEM)
    episodes = stored_episodes(dataset, changes.trimmed, videos)
    with published_directory(destination) as target:
        cut_rows(folder, dataset, episodes, target, flattened_columns(dataset))
        folder.raise_errors(name, _PROBLEM)
        if not is_shared:
            _copy_videos(dataset, episodes, target)
        videos = trimmed_videos(folder.collector, videos, episodes)
        folder.raise_errors(name, _PROBLEM)
        codecs = _write_videos(folder, videos, episodes, target)
        with report_unreadable(folder.collector, V30_EPISODES):
            write_meta(folder, dataset, episodes, changes, target, codecs)
        folder.raise_errors(name, _PROBLEM)
    return Converted(episodes, folder.warnings())


def _copy_videos(dataset: LeRobotDataset, episodes: Sequence[StoredEpisode], target: Path) -> None:
    """Copy the videos of whole episodes, which have files of their own."""
    for item in (item for item in episodes if not item.is_trimmed):
        for camera in dataset.video_cameras:
            file = target / episode_path(VIDEO_PATH, item.index, camera)
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(dataset.video_path(item.source.index, camera), file)


def _write_videos(
    folder: Folder,
    videos: Mapping[str, VideoFiles],
    episodes: Sequence[StoredEpisode],
    target: Path,
) -> dict[str, set[str]]:
    """Write a file for each episode and camera.

    Returns:
        By camera that was encoded anew, the codecs that its files now have.
    """
    codecs: dict[str, set[str]] = {}
    index_of = {item.source.index: item.index for item in episodes}
    for camera, files in videos.items():
        encoded, unchanged = [], set()

        def path_of(episode: int, camera: str = camera) -> Path:
            return target / episode_path(VIDEO_PATH, index_of[episode], camera)

        for file, (table, cuts) in files.items():
            changed: list[int] = []
            try:
                changed = cut_video(folder.directory / file, table, cuts, path_of)
            except VideoError as error:
                report_video(folder.collector, file, str(error))
            encoded += changed
            if len(changed) < len(cuts):
                unchanged.add(table.codec)
        if encoded:
            codecs[camera] = unchanged | {"h264"}
            size = sum(path_of(episode).stat().st_size for episode in encoded)
            total = sum(len(cuts) for _, cuts in files.values())
            found = f"{episode_names(sorted(encoded))} of {total} cannot be cut out as they are "
            found += "(no clean key frame at the border); encoded anew as H.264 without loss, "
            folder.collector.report("video-encoded", camera, f"{found}{size / 1e6:.1f} MB")
    return codecs
