"""The form in which datasets are trained on: LeRobot v2.1, one file for each episode.

Made from v3.0, which has many episodes in a file, and from v2.x where something is to change.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.files import published_directory
from gr00t_assets.datasets.lerobot.columns import (
    flatten_column,
    image_bytes,
    report_unreadable,
    stored_images,
)
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.folder import Folder, episode_names
from gr00t_assets.datasets.lerobot.info import (
    DATA_PATH,
    V30,
    V30_EPISODES,
    VIDEO_PATH,
    episode_path,
)
from gr00t_assets.datasets.lerobot.rows import Rows, batch_rows
from gr00t_assets.datasets.lerobot.v3.cut_videos import cut_video
from gr00t_assets.datasets.lerobot.v3.stored_episodes import (
    StoredEpisode,
    flattened_columns,
    stored_episodes,
    trimmed_videos,
    write_meta,
)
from gr00t_assets.datasets.lerobot.video_packets import SharedVideo, find_frames, report_video
from gr00t_assets.datasets.videos import VideoError

CONVERTED = "converted from LeRobot v3.0 to v2.1"
"""How the first warning of a converted dataset begins."""

CONVERSION = f"{CONVERTED} by converter 2; every frame was compared"
"""That warning; its number is raised when the same source begins to give other files."""

_PROBLEM = "this dataset cannot be written as LeRobot v2.1."

_DESCRIPTION = b"huggingface"
"""Key of a file's schema under which LeRobot writes the columns' shapes."""


@dataclass(frozen=True)
class Converted:
    """What was written: its episodes, and what is odd, and yet converted."""

    episodes: tuple[StoredEpisode, ...]
    warnings: tuple[str, ...]


def convert_to_v21(
    source: Path,
    destination: Path,
    *,
    name: str | None = None,
    leaves_out: Callable[[int], bool] | None = None,
    trimmed: Mapping[int, tuple[int, int]] | None = None,
    renamed: Mapping[str, str] | None = None,
) -> Converted:
    """Write a dataset as a v2.1 dataset in normal form: episodes from 0 on without gaps, numbers
    in one axis, each row and each frame as in the source, which every frame is compared with.

    Everything is looked at before anything is written. Memory does not grow with the size of the
    dataset, but for 50 bytes a frame of the longest video file.

    Args:
        destination: Folder to make; it may be there and be empty.
        name: What errors call the dataset; the folder's name by default.
        leaves_out: Whether an episode of the source is left out.
        trimmed: Rows to cut off at start and end, by number in the source.
        renamed: New instructions by the old ones.

    Raises:
        DatasetError: All that is missing, unreadable or contradictory, at once; ``destination``
            is as it was.
        StoreError: The disk is full.
    """
    name, trimmed = name or source.name, trimmed or {}
    if destination.resolve().is_relative_to(source.resolve()):
        problem = f"{destination} is inside of the source, which is never written"
        raise DatasetError(name, _PROBLEM, [problem])
    if destination.is_dir() and not any(destination.iterdir()):
        destination.rmdir()
    elif destination.exists():
        raise DatasetError(name, _PROBLEM, [f"{destination} is there already: name a new folder"])
    folder = Folder(source, confined=False, leaves_out=leaves_out)
    dataset = LeRobotDataset.read(folder, name)
    is_shared = dataset.info.version == V30
    in_videos = [item for item in dataset.episodes if is_shared or item.index in trimmed]
    videos = find_frames(folder, in_videos, dataset.video_cameras, dataset.fps)
    folder.raise_errors(name, _PROBLEM)
    episodes = stored_episodes(dataset, trimmed, videos)
    videos = trimmed_videos(folder.collector, videos, episodes)
    folder.raise_errors(name, _PROBLEM)
    with published_directory(destination) as target:
        _cut_rows(folder, dataset, episodes, target)
        folder.raise_errors(name, _PROBLEM)
        for item in episodes if not is_shared else ():
            for camera in dataset.video_cameras if not item.is_trimmed else ():
                file = target / episode_path(VIDEO_PATH, item.index, camera)
                file.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(dataset.video_path(item.source.index, camera), file)
        codecs = _write_videos(folder, videos, episodes, target)
        with report_unreadable(folder.collector, V30_EPISODES):
            write_meta(folder, dataset, episodes, renamed or {}, target, codecs)
        folder.raise_errors(name, _PROBLEM)
    return Converted(episodes, folder.warnings())


def _write_videos(
    folder: Folder, videos: Iterable[SharedVideo], episodes: Sequence[StoredEpisode], target: Path
) -> dict[str, set[str]]:
    """Write a file for each episode and camera; gives the codecs of each camera encoded anew."""
    codecs: dict[str, set[str]] = {}
    index_of = {item.source.index: item.index for item in episodes}
    for camera, files in groupby(videos, key=lambda video: video.camera):
        encoded, total, unchanged = [], 0, set()

        def path_of(episode: int, camera: str = camera) -> Path:
            return target / episode_path(VIDEO_PATH, index_of[episode], camera)

        for video in files:
            changed: list[int] = []
            try:
                path = folder.directory / video.file
                changed = cut_video(path, video.packets, video.cuts, path_of)
            except VideoError as error:
                report_video(folder.collector, video.file, str(error))
            encoded += changed
            total += len(video.cuts)
            if len(changed) < len(video.cuts):
                unchanged.add(video.packets.codec)
        if encoded:
            codecs[camera] = unchanged | {"h264"}
            size = sum(path_of(episode).stat().st_size for episode in encoded)
            found = f"{episode_names(sorted(encoded))} of {total} cannot be cut out as they are "
            found += "(no clean key frame at the border); encoded anew as H.264 without loss, "
            folder.collector.report("video-encoded", camera, f"{found}{size / 1e6:.1f} MB")
    return codecs


def _cut_rows(
    folder: Folder, dataset: LeRobotDataset, episodes: Sequence[StoredEpisode], target: Path
) -> None:
    """Write the rows of each episode into a file of its own, in one pass.

    Counting columns are left as they are where no episode is changed.
    """
    flattened = flattened_columns(dataset)
    stored = {item.source.index: item for item in episodes}
    is_renumbered = any(item.is_changed for item in episodes)
    ranges = dataset.ranges.values() or (
        Rows(item.index, str(item.data_file), 0, item.length) for item in dataset.episodes
    )
    for file, parts in groupby(ranges, key=lambda part: part.file):
        with report_unreadable(folder.collector, file):
            parquet = pq.ParquetFile(folder.directory / file, buffer_size=1 << 20, pre_buffer=False)
            wanted = ((stored[part.episode], part.start) for part in parts)
            for item, batches in _episodes(parquet, wanted):
                path, writer, began = target / episode_path(DATA_PATH, item.index), None, 0.0
                path.parent.mkdir(parents=True, exist_ok=True)
                for done, batch in batches:
                    if not done and "timestamp" in batch.schema.names:
                        began = batch.column("timestamp")[0].as_py()
                    counts = _counts(batch, item, done, began) if is_renumbered else {}
                    changed = _stored_batch(batch, folder.directory, flattened, counts)
                    if writer is None:
                        schema = changed.schema if flattened else parquet.schema_arrow
                        writer = pq.ParquetWriter(path, schema)
                    writer.write_batch(changed)
                if writer is not None:
                    writer.close()


def _episodes(
    file: pq.ParquetFile, parts: Iterable[tuple[StoredEpisode, int]]
) -> Iterator[tuple[StoredEpisode, Iterator[tuple[int, pa.RecordBatch]]]]:
    """Each episode with its batches, and how many of its rows were in those before.

    ``parts`` have the position in the file of the first row that the source has of an episode.
    """
    batches, position = file.iter_batches(batch_rows(file)), 0
    batch: pa.RecordBatch | None = None

    def rows_of(start: int, end: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        nonlocal batch, position
        while position < end:
            if batch is None:
                batch = next(batches, None)
                if batch is None:
                    return
            first = max(start - position, 0)
            last = min(end - position, batch.num_rows)
            if first < last:
                yield max(position - start, 0), batch.slice(first, last - first)
            if end < position + batch.num_rows:
                return
            position, batch = position + batch.num_rows, None

    for item, begin in parts:
        start = begin + item.start
        yield item, rows_of(start, start + item.length)


def _counts(
    batch: pa.RecordBatch, item: StoredEpisode, done: int, began: float
) -> dict[str, np.ndarray]:
    """The counting columns of a batch in the copy.

    ``done`` rows of the episode were before; its first row is at ``began`` seconds.
    """
    count = np.arange(done, done + batch.num_rows)
    counts = {"episode_index": np.full(len(count), item.index), "index": item.first + count}
    if item.is_trimmed:
        counts["frame_index"] = count
        if "timestamp" in batch.schema.names:
            times = batch.column("timestamp").to_numpy(zero_copy_only=False)
            counts["timestamp"] = times.astype(np.float64) - began
    return counts


def _stored_batch(
    batch: pa.RecordBatch, directory: Path, flattened: Sequence[str], counts: Mapping[str, Any]
) -> pa.RecordBatch:
    """The batch as the copy has it.

    With other counts, each in the type of its column, lists of numbers in place of lists of lists,
    and the images themselves where it names files of the dataset's own.
    """
    arrays, fields, metadata = list(batch.columns), list(batch.schema), batch.schema.metadata
    for place, (field, column) in enumerate(zip(batch.schema, batch.columns, strict=True)):
        images = image_bytes(column)
        if field.name in counts:
            arrays[place] = pa.array(counts[field.name]).cast(field.type, safe=False)
        elif field.name in flattened:
            values = flatten_column(column).values
            size = len(values) // max(batch.num_rows, 1)
            arrays[place] = pa.FixedSizeListArray.from_arrays(values, size)
            fields[place] = pa.field(field.name, arrays[place].type)
        elif images is not None and images.null_count and pa.types.is_struct(column.type):
            images = pa.array(stored_images(column, directory) or (), images.type)
            parts = [
                images if part.name == "bytes" else column.field(part.name) for part in field.type
            ]
            arrays[place] = pa.StructArray.from_arrays(parts, fields=list(field.type))
    if flattened:
        metadata = {key: text for key, text in (metadata or {}).items() if key != _DESCRIPTION}
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields, metadata))
