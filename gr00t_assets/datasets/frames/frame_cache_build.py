"""Building a frame cache, which goes on from where the last attempt was killed."""

import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from gr00t_assets.core.errors import DatasetError, system_errors_explained
from gr00t_assets.core.locks import Log, exclusive_lock
from gr00t_assets.datasets.frames.camera_build import CameraBuild, Method, reusable_episodes
from gr00t_assets.datasets.frames.frame_cache_plan import plan_cameras, require_room
from gr00t_assets.datasets.frames.frame_checksums import damaged_frames
from gr00t_assets.datasets.frames.frame_index import (
    FrameCacheInfo,
    Progress,
    Size,
    cache_folder,
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
    with the same bytes. A second builder of the same folder waits for the first. Frames that are
    there are all held against their checksums, and those of a damaged camera are decoded anew.

    Args:
        cameras: Feature names of cameras.
        directory: Where the frames go; each camera appears whole or not at all.
        progress: Called with the frames done and the frames in all, twice a second or less often,
            from the thread that called.
        size: Width and height in pixels to resize frames to, in a folder of that name. By default
            frames keep their size and are exact; see ``images.resized`` for what is lost.
        workers: Episodes decoded at once; see ``CameraBuild.run``.
        previous: Folders of earlier caches, such as those of older versions of the dataset:
            frames of a video, or of images, with the same content are copied and not decoded.
        log: Where a line goes while another builder is waited for.

    Raises:
        DatasetError: A camera has no frames, one cannot be decoded, they differ in
            size, or are not one for each row; all of them are listed.
        StoreError: The disk cannot hold the frames; raised before anything is written.
    """
    folder = cache_folder(directory, size)
    missing = _missing(dataset, cameras, folder)
    if not missing:
        return frame_cache_info(directory, size)
    plans, problems = plan_cameras(dataset, missing, size)
    require_room(dataset.name, plans, folder)
    methods: Counter[Method] = Counter()
    with system_errors_explained(directory), _locked(directory, dataset.name, log):
        missing = [camera for camera in _missing(dataset, missing, folder) if camera in plans]
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
            with closing(PartialFrames.open(partial_folder, plan)) as partial:
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


@contextmanager
def _locked(directory: Path, dataset: str, log: Log) -> Iterator[None]:
    """Lock a folder for writing; the kernel drops the lock when its holder dies."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    lock = directory.parent / f".{directory.name}.lock"
    with exclusive_lock(lock, f"the frame cache of {dataset}, being built", log):
        yield
