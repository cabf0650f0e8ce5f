"""Building a frame cache: several episodes at once, and from where the last attempt was killed.

The decoders are threads, since PyAV leaves Python's lock alone while FFmpeg works: a kill ends
them all, and no orphan writes on. Each uses one core, holds one frame, and writes it at its own
place, so the order in which they finish changes nothing in the files.
"""

import fcntl
import os
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.files import disk_full_explained
from gr00t_assets.datasets.frames.building.episodes import (
    Cached,
    Way,
    cached_videos,
    fill_episode,
)
from gr00t_assets.datasets.frames.building.partial import (
    PartialFrames,
    building_folder,
    publish_whole,
)
from gr00t_assets.datasets.frames.building.plan import (
    UnusableVideosError,
    check_request,
    plan_camera,
    refuse_without_room,
)
from gr00t_assets.datasets.frames.frame_index import (
    FrameCacheInfo,
    FramePlan,
    Size,
    Span,
    cache_folder,
    describe,
    read_indices,
)
from gr00t_assets.datasets.frames.frames import VideoError
from gr00t_assets.datasets.lerobot.lerobot import LeRobotDataset

Progress = Callable[[int, int], None]
"""Told the frames done and the frames in all."""

MOST_WORKERS = 4

_TELL_SECONDS = 0.5


def default_workers() -> int:
    """Episodes decoded at once: the cores that this process may use, four at most."""
    return min(len(os.sched_getaffinity(0)), MOST_WORKERS)


def build_frame_cache(
    dataset: LeRobotDataset,
    cameras: Sequence[str],
    directory: Path,
    progress: Progress | None = None,
    *,
    size: Size | None = None,
    workers: int | None = None,
    previous: Sequence[Path] = (),
) -> FrameCacheInfo:
    """Decode every frame of some cameras, once; a camera that is there already is left alone.

    A build that was interrupted, even by a kill, goes on with the episodes that it lacks, and ends
    with the same bytes. A second builder of the same folder waits for the first.

    Args:
        dataset: The dataset.
        cameras: Feature names of cameras.
        directory: Where the frames go; each camera appears whole or not at all.
        progress: Told the frames done and the frames in all, twice a second or less often, from
            the thread that called.
        size: Width and height in pixels to resize frames to, in a folder of that name. By default
            frames keep their size and are exact; see ``episodes.resized`` for what is lost.
        workers: Episodes decoded at once; :func:`default_workers` by default.
        previous: Folders of earlier caches, such as those of older versions of the dataset:
            frames of a video with the same content are copied and not decoded.

    Raises:
        DatasetError: A camera has no videos, a video cannot be decoded, its frames differ in
            size, or are not one for each row; all of them are listed.
        StoreError: The disk cannot hold the frames; said before anything is written.
    """
    check_request(dataset, cameras, size)
    folder = cache_folder(directory, size)
    missing = _missing(dataset, cameras, folder)
    if not missing:
        return describe(directory, size)
    problems: list[str] = []
    plans: dict[str, FramePlan] = {}
    for camera in missing:
        try:
            plans[camera] = plan_camera(dataset, camera, size)
        except UnusableVideosError as error:
            problems += error.problems
    refuse_without_room(dataset.name, plans, folder)
    ways: Counter[str] = Counter()
    with disk_full_explained(directory), _locked(directory):
        missing = [camera for camera in _missing(dataset, cameras, folder) if camera in plans]
        reusable = cached_videos([directory, *previous], size)
        total = dataset.frame_count * len(missing)
        for number, camera in enumerate(missing):
            tell = _after(progress, dataset.frame_count * number, total)
            try:
                ways += _build_camera(
                    dataset, camera, plans[camera], folder, tell, workers, reusable
                )
            except UnusableVideosError as error:
                problems += error.problems
    if problems:
        raise DatasetError(dataset.name, "its videos do not fit its rows.", problems)
    return replace(
        describe(directory, size),
        decoded=ways["decoded"],
        reused=ways["reused"],
        kept=ways["kept"],
    )


def _missing(dataset: LeRobotDataset, cameras: Sequence[str], folder: Path) -> list[str]:
    present = read_indices(folder)
    return [
        camera
        for camera in cameras
        if (index := present.get(camera)) is None or not index.fits(dataset, camera)
    ]


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the right to write in a folder; the kernel drops it when the holder dies."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with (directory.parent / f".{directory.name}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _after(progress: Progress | None, before: int, total: int) -> Callable[[int], None]:
    return lambda done: progress(before + done, total) if progress is not None else None


def _build_camera(
    dataset: LeRobotDataset,
    camera: str,
    plan: FramePlan,
    folder: Path,
    tell: Callable[[int], None],
    workers: int | None,
    reusable: dict[str, Cached],
) -> Counter[str]:
    partial_folder, target = building_folder(folder, camera), folder / camera
    index = publish_whole(partial_folder, plan, target)
    if index is not None and index.fits(dataset, camera):
        tell(plan.frames)
        return Counter(kept=len(plan.spans))
    shutil.rmtree(target, ignore_errors=True)
    partial = PartialFrames.open(partial_folder, plan)
    try:
        ways, problems = _fill(dataset, camera, partial, tell, workers, reusable)
        if not problems:
            paths = (dataset.video_path(span.episode, camera) for span in plan.spans)
            partial.write_index(path.stat().st_size for path in paths)
    finally:
        partial.close()
    if problems:
        shutil.rmtree(partial_folder)
        raise UnusableVideosError([problems[span] for span in sorted(problems)])
    publish_whole(partial_folder, plan, target)
    return ways


def _fill(
    dataset: LeRobotDataset,
    camera: str,
    partial: PartialFrames,
    tell: Callable[[int], None],
    workers: int | None,
    reusable: dict[str, Cached],
) -> tuple[Counter[str], dict[int, str]]:
    """How each episode was had, and what is wrong with a video, by episode."""
    ways: Counter[str] = Counter()
    problems: dict[int, str] = {}
    frames: dict[int, int] = {}
    stop = threading.Event()
    count = workers or default_workers()
    waiting = iter(partial.plan.spans)
    running: dict[Future[Way], Span] = {}

    def fill(span: Span) -> Way:
        def told(done: int) -> None:
            frames[span.episode] = done

        path = dataset.video_path(span.episode, camera)
        return fill_episode(path, span, partial, reusable, told, stop)

    with ThreadPoolExecutor(count, thread_name_prefix="frames") as pool:
        try:
            while True:
                while len(running) < 2 * count and (span := next(waiting, None)) is not None:
                    running[pool.submit(fill, span)] = span
                if not running:
                    return ways, problems
                for future in wait(running, _TELL_SECONDS, FIRST_COMPLETED).done:
                    span = running.pop(future)
                    path = dataset.video_path(span.episode, camera)
                    try:
                        ways[future.result()] += 1
                    except VideoError as error:
                        problems[span.episode] = f"{path.relative_to(dataset.directory)}: {error}"
                tell(sum(frames.copy().values()))
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
