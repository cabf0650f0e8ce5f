"""Building a frame cache, which goes on from where the last attempt was killed."""

import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

from gr00t_assets.core.errors import DatasetError, StoreError, system_errors_explained
from gr00t_assets.core.files import free_bytes
from gr00t_assets.core.locks import Log, exclusive_lock
from gr00t_assets.core.text import format_bytes
from gr00t_assets.datasets.frames.camera_build import CameraBuild, Method, reusable_episodes
from gr00t_assets.datasets.frames.frame_index import (
    FrameCacheInfo,
    FramePlan,
    Progress,
    Size,
    Span,
    cache_folder,
    damaged_frames,
    frame_cache_info,
    read_indices,
)
from gr00t_assets.datasets.frames.partial_frames import (
    PartialFrames,
    building_folder,
    publish_complete,
)
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.recorded_frames import recorded_frames
from gr00t_assets.datasets.videos import VideoError

_META_BYTES = 1 << 20
"""Of index and journal."""


def _plan_cameras(
    dataset: LeRobotDataset, cameras: Sequence[str], size: Size | None
) -> dict[str, FramePlan]:
    """Where each frame of some cameras goes, from the rows and the first header of each camera.

    A camera without frames, or without any header that can be read, is a DatasetError.
    """
    if unknown := [camera for camera in cameras if camera not in dataset.cameras]:
        has = f"it has: {', '.join(dataset.cameras) or 'none'}"
        raise DatasetError(dataset.name, f"it has no frames of {', '.join(unknown)}.", [has])
    lengths = [episode.length for episode in dataset.episodes]
    spans = tuple(
        Span(episode=episode.index, first_row=end - episode.length, frames=episode.length)
        for episode, end in zip(dataset.episodes, accumulate(lengths), strict=True)
    )
    plans: dict[str, FramePlan] = {}
    problems, in_videos = [], dataset.video_cameras
    for camera in cameras:
        video_size, unreadable = None, []
        for episode in dataset.episodes:
            recorded = recorded_frames(dataset, episode.index, camera)
            try:
                video_size = recorded.size()
                break
            except VideoError as error:
                file = recorded.path.relative_to(dataset.directory)
                unreadable.append(f"{file}: {error}")
        if video_size is None:
            problems += unreadable
            continue
        width, height = size or video_size
        plans[camera] = FramePlan(
            frames=sum(lengths),
            height=height,
            width=width,
            video_height=video_size[1],
            video_width=video_size[0],
            decoder=_decoder_versions(camera in in_videos, (width, height) != video_size),
            spans=spans,
        )
    if problems:
        raise DatasetError(dataset.name, "its frames cannot be read.", problems)
    return plans


def _needed_bytes(plan: FramePlan) -> int:
    return sum(plan.file_bytes().values()) + _META_BYTES


def _require_room(name: str, plans: dict[str, FramePlan], folder: Path) -> None:
    """Check that the disk can hold the frames; what an interrupted build wrote is counted."""
    written = sum(
        file.stat().st_blocks * 512
        for camera in plans
        for path in (building_folder(folder, camera), folder / camera)
        for file in path.glob("*")
        if file.is_file()
    )
    missing, free = sum(map(_needed_bytes, plans.values())) - written, free_bytes(folder)
    if missing > free:
        sizes = [
            f"{camera}: {plan.frames} frames of {plan.width} x {plan.height} x 3 bytes, "
            f"{format_bytes(_needed_bytes(plan))}"
            for camera, plan in plans.items()
        ]
        problem = f"its frame cache needs {format_bytes(missing)} more, and the disk of {folder} "
        problem += f"has {format_bytes(free)} free; nothing was written."
        remedy = "free some space, or move the store to a larger disk with GR00T_ASSETS_STORE"
        raise StoreError(name, problem, [*sizes, remedy])


def _decoder_versions(in_videos: bool, resized: bool) -> str:
    """What the bytes of a frame depend on besides its video or image."""
    import av
    import PIL

    parts = []
    if in_videos:
        for library in ("libavcodec", "libswscale"):
            parts.append(f"{library} {'.'.join(map(str, av.library_versions[library]))}")
    if resized or not in_videos:
        parts.append(f"pillow {PIL.__version__}")
    return ", ".join(parts)


def build_frame_cache(
    dataset: LeRobotDataset,
    cameras: Sequence[str],
    directory: Path,
    progress: Progress | None = None,
    *,
    size: Size | None = None,
    workers: int | None = None,
    previous: Sequence[Path] = (),
    log: Log = lambda line: sys.stderr.write(line + "\n"),
) -> FrameCacheInfo:
    """Decode every frame of some cameras, once; a camera that is there and sound is left alone.

    A build that was interrupted, even by a kill, goes on with the episodes that it lacks, and ends
    with the same bytes. A second builder waits for the first. Frames that are there are all held
    against their checksums, and those of a damaged camera are decoded anew.

    Args:
        directory: Where the frames go; each camera appears whole or not at all.
        progress: Called with the frames done and the frames in all, twice a second or less often,
            from the thread that called.
        size: Width and height in pixels to resize frames to, in a folder of that name. By default
            frames keep their size and are exact; see ``images.resized`` for what is lost.
        workers: Episodes decoded at once; see ``CameraBuild.run``.
        previous: Folders of earlier caches, such as those of older versions of the dataset:
            frames of a video, or of images, with the same content are copied and not decoded.
        log: Where a line about the size goes, and one while another builder is waited for.

    Raises:
        DatasetError: A camera has no frames, one cannot be decoded, they differ in
            size, or are not one for each row; all of them are listed.
        StoreError: The disk cannot hold the frames; raised before anything is written.
    """
    folder = cache_folder(directory, size)
    missing = _missing(dataset, cameras, folder)
    if not missing:
        return frame_cache_info(directory, size)
    plans = _plan_cameras(dataset, missing, size)
    log(f"its frame cache takes {format_bytes(sum(map(_needed_bytes, plans.values())))}")
    _require_room(dataset.name, plans, folder)
    methods, problems = Counter[Method](), list[str]()
    lock = directory.parent / f".{directory.name}.lock"
    with system_errors_explained(directory), ExitStack() as stack:
        directory.parent.mkdir(parents=True, exist_ok=True)
        what = f"the frame cache of {dataset.name}, being built"
        stack.enter_context(exclusive_lock(lock, what, log))
        missing = _missing(dataset, missing, folder)
        reusable = reusable_episodes([directory, *previous], size)
        total = dataset.frame_count * len(missing)
        for number, camera in enumerate(missing):

            def show(done: int, before: int = dataset.frame_count * number) -> None:
                if progress is not None:
                    progress(before + done, total)

            plan, target = plans[camera], folder / camera
            partial_folder = building_folder(folder, camera)
            index = publish_complete(partial_folder, plan, target)
            if index is not None and index.fits(dataset, camera):
                show(plan.frames)
                methods["kept"] += len(plan.spans)
                continue
            shutil.rmtree(target, ignore_errors=True)
            with closing(PartialFrames(partial_folder, plan)) as partial:
                build = CameraBuild(dataset, camera, partial, reusable, show)
                unusable = build.run(workers)
                if not unusable:
                    paths = (recorded_frames(dataset, s.episode, camera).path for s in plan.spans)
                    partial.write_index(path.stat().st_size for path in paths)
            if unusable:
                shutil.rmtree(partial_folder)
                problems += unusable
            else:
                publish_complete(partial_folder, plan, target)
                methods += build.methods
    if problems:
        raise DatasetError(dataset.name, "its frames cannot be cached.", problems)
    return replace(frame_cache_info(directory, size), **methods)


def _missing(dataset: LeRobotDataset, cameras: Sequence[str], folder: Path) -> list[str]:
    """Cameras that are not there, or damaged, or of other episodes."""
    present = read_indices(folder)
    return [
        camera
        for camera in cameras
        if (index := present.get(camera)) is None
        or not index.fits(dataset, camera)
        or next(damaged_frames(folder / camera), None) is not None
    ]


def earlier_caches(directory: Path) -> list[Path]:
    """Frame caches of other versions of the same dataset, the newest first."""
    siblings = directory.parent.glob("[!.]*") if directory.parent.is_dir() else ()
    caches = [path for path in siblings if path.is_dir() and path != directory]
    return sorted(caches, key=lambda path: path.stat().st_mtime, reverse=True)
