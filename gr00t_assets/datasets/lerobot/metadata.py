"""What the meta files of a dataset say, and which of the files that they name are there."""

import glob
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from gr00t_assets.core.files import parquet_rows
from gr00t_assets.core.finding import short
from gr00t_assets.datasets.lerobot.columns import report_unreadable
from gr00t_assets.datasets.lerobot.episodes import (
    DAMAGED,
    LARGEST_INDEX,
    Episode,
    read_episodes,
    report_field,
    whole_number,
)
from gr00t_assets.datasets.lerobot.features import INFO, Feature
from gr00t_assets.datasets.lerobot.folder import (
    LARGEST_META_BYTES,
    MOST_LINES,
    Folder,
    read_lines,
    report_missing_files,
)
from gr00t_assets.datasets.lerobot.info import TASKS, V30, V30_TASKS, Info, read_info


@dataclass(frozen=True)
class Metadata:
    """What could be read of a dataset's meta files, but for modality.json and statistics.

    Tasks, by index, are ``None`` where their file cannot be had, and so are ``listed``, the
    episodes in the order of their list. ``complete`` says whether nothing of the list was damaged.
    """

    folder: Folder
    info: Info
    tasks: dict[int, str] | None = None
    listed: tuple[Episode, ...] | None = None
    complete: bool = False

    @property
    def episodes(self) -> list[Episode]:
        """The episodes that can be read, by index."""
        return sorted(self.listed or (), key=lambda episode: episode.index)

    def data_files(self) -> list[str]:
        """Files of rows that the listed episodes name; in v3.0 also those that are there."""
        named = dict.fromkeys(item.data_file for item in self.episodes if item.data_file)
        if self.info.version != V30:
            return list(named)
        return sorted({*named, *self.info.shared_files(self.folder)})

    def video_files(self, camera: str) -> list[str]:
        """Files of a camera that the listed episodes name, each once."""
        videos = (item.videos[camera].file for item in self.episodes if camera in item.videos)
        return list(dict.fromkeys(videos))


def read_metadata(folder: Folder) -> Metadata:
    """Read the meta files; whatever is wrong with them is a finding."""
    collector, info = folder.collector, Info()
    with collector.guard(INFO):
        info = read_info(folder)
    if info.version is None:
        return Metadata(folder, info)
    tasks, listed, complete = None, None, False
    with collector.guard(info.tasks_file):
        tasks = _v30_tasks(folder) if info.version == V30 else _v2_tasks(folder)
    with collector.guard(info.episodes_file):
        listed, complete = read_episodes(folder, info)
    return Metadata(folder, info, tasks, listed, complete)


def find_cameras(metadata: Metadata, needed: Collection[str] = ()) -> list[Feature]:
    """The cameras that have frames; what is missing or left out is a finding.

    A camera that is declared to be in the rows and lies in videos is taken out of the features,
    or each file of rows would be said to lack its column. ``needed`` ones cannot be left out.
    """
    folder, info, present = metadata.folder, metadata.info, []
    for feature in info.features.values():
        if feature.kind in ("depth", "audio"):
            found = f"{feature.name} is {'a depth camera' if feature.kind == 'depth' else 'audio'}"
            folder.collector.report("feature-left-out", INFO, found)
    numbered = info.version == V30 or info.chunks_size is not None
    for camera in info.cameras:
        if not camera.is_video:
            name = glob.escape(camera.name)
            patterns = (f"videos/*/{name}/*.mp4", f"videos/{name}/*/*.mp4")  # of v2.x and v3.0
            has_videos = any(any(folder.directory.glob(pattern)) for pattern in patterns)
            if not has_videos or _is_in_rows(metadata, camera):
                present.append(camera)
                continue
            found = f"{camera.name} is of dtype image, and its frames are in videos"
            folder.collector.report("camera-in-videos", INFO, found)
            del info.features[camera.name]
        elif info.video_path is not None and numbered:
            files = metadata.video_files(camera.name)
            if any(folder.exists(file) for file in files):
                present.append(camera)
                report_missing_files(folder, files, "video-missing", camera=camera.name)
                continue
            fault = "camera-missing" if camera.name in needed else "camera-without-files"
            found = f"camera {camera.name} is declared and has no video"
            if _is_in_rows(metadata, camera):
                fault, found = "camera-in-rows", f"images of camera {camera.name} are in the rows"
            folder.collector.report(fault, INFO, found)
    return present


def _is_in_rows(metadata: Metadata, camera: Feature) -> bool:
    """Whether the first file of rows that can be read has a column of a camera."""
    folder = metadata.folder
    for file in metadata.data_files():
        path = folder.directory / file
        if path.is_file() and (folder.holds(file) or not folder.confined):
            with suppress(OSError, ValueError, pa.ArrowException):
                return camera.name in pq.read_schema(path).names
    return False


def _v2_tasks(folder: Folder) -> dict[int, str] | None:
    lines = read_lines(folder, TASKS)
    if lines is None:
        return None
    tasks: dict[int, str] = {}
    for number, item in lines:
        where = f"line {number}"
        index = whole_number(folder.collector, TASKS, where, item, "task_index", 0, LARGEST_INDEX)
        text = item.get("task")
        if not isinstance(text, str):
            report_field(folder.collector, TASKS, where, item, "task", "text")
        elif index in tasks:
            found = f"{where}: task index {index} again, as {short(text)}"
            folder.collector.report("task-duplicate", TASKS, found, before=short(tasks[index]))
        elif index is not None:
            tasks[index] = text
    if not tasks and not folder.collector.count(*DAMAGED):
        folder.collector.report("no-tasks", TASKS, "no task")
    return tasks


def _v30_tasks(folder: Folder) -> dict[int, str] | None:
    """pandas writes the instruction as the index: a column 'task' or '__index_level_0__'."""
    if not folder.exists(V30_TASKS):
        folder.collector.report("meta-missing", V30_TASKS, "no such file")
    if (path := folder.opened(V30_TASKS)) is None:
        return None
    with report_unreadable(folder.collector, V30_TASKS):
        batches = parquet_rows(path, most_rows=MOST_LINES, most_bytes=LARGEST_META_BYTES)
        table = pa.Table.from_batches(batches, pq.read_schema(path))
        kinds = (pa.string(), pa.large_string())
        texts = [column.name for column in table.schema if column.type in kinds]
        chosen = next((name for name in ("task", *texts) if name in texts), None)
        found, expected = f"the columns {', '.join(table.column_names)}", "task_index and the task"
        if chosen is not None and "task_index" in table.column_names:
            indices, tasks = (table.column(name).to_pylist() for name in ("task_index", chosen))
            is_counted = len(set(indices)) == len(indices)
            if not is_counted or not all(isinstance(index, int) for index in indices):
                found, expected = f"the task indices {indices[:8]}", "each number once"
            elif None in tasks:
                found, expected = f"task {indices[tasks.index(None)]} has no text", "a text of each"
            else:
                return dict(sorted(zip(indices, tasks, strict=True)))
        folder.collector.report("field", V30_TASKS, found, expected=expected)
    return None
