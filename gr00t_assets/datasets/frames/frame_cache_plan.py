"""What a frame cache will hold and how many bytes that takes, before a frame is decoded."""

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from gr00t_assets.core.errors import DatasetError, StoreError
from gr00t_assets.core.files import free_bytes
from gr00t_assets.core.text import format_bytes
from gr00t_assets.datasets.frames.frame_index import FramePlan, Size, Span
from gr00t_assets.datasets.frames.partial_frames import building_folder
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.recorded_frames import recorded_frames
from gr00t_assets.datasets.video_decoding import VideoError

_META_BYTES = 1 << 20
"""Of index and journal."""


def frame_cache_bytes(
    dataset: LeRobotDataset, cameras: Sequence[str], size: Size | None = None
) -> int:
    """Bytes that a frame cache will take: rows times pixels times 3, and a little for its index.

    One header a camera is read, nothing is decoded.

    Raises:
        DatasetError: A camera has no frames, or none that can be read.
    """
    plans, problems = plan_cameras(dataset, cameras, size)
    if problems:
        raise DatasetError(dataset.name, "its frames cannot be read.", problems)
    return sum(map(_needed_bytes, plans.values()))


def plan_cameras(
    dataset: LeRobotDataset, cameras: Sequence[str], size: Size | None
) -> tuple[dict[str, FramePlan], list[str]]:
    """Where each frame of some cameras goes, from the rows and the first header of each camera.

    Returns:
        Plans by camera, and a line for each episode of those of which no header can be read.

    Raises:
        DatasetError: A camera does not exist.
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
    problems: list[str] = []
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
        (video_width, video_height), (width, height) = video_size, size or video_size
        plans[camera] = FramePlan(
            frames=sum(lengths),
            height=height,
            width=width,
            video_height=video_height,
            video_width=video_width,
            decoder=_decoder_versions(
                in_videos=camera in dataset.video_cameras, resized=(width, height) != video_size
            ),
            spans=spans,
        )
    return plans, problems


def _needed_bytes(plan: FramePlan) -> int:
    """Bytes of a camera's files."""
    return sum(plan.file_bytes().values()) + _META_BYTES


def require_room(name: str, plans: dict[str, FramePlan], folder: Path) -> None:
    """Check that the disk can hold the frames; what an interrupted build wrote is counted.

    Raises:
        StoreError: It cannot.
    """
    needed = sum(map(_needed_bytes, plans.values()))
    written = sum(
        file.stat().st_blocks * 512
        for camera in plans
        for path in (building_folder(folder, camera), folder / camera)
        for file in path.glob("*")
        if file.is_file()
    )
    free = free_bytes(folder)
    if needed - written <= free:
        return
    sizes = [
        f"{camera}: {plan.frames} frames of {plan.width} x {plan.height} x 3 bytes, "
        f"{format_bytes(_needed_bytes(plan))}"
        for camera, plan in plans.items()
    ]
    raise StoreError(
        name,
        f"its frame cache needs {format_bytes(needed - written)} more, and the disk of "
        f"{folder} has {format_bytes(free)} free; nothing was written.",
        [*sizes, "free some space, or move the store to a larger disk with GR00T_ASSETS_STORE"],
    )


def _decoder_versions(in_videos: bool, resized: bool) -> str:
    """What the bytes of a frame depend on besides its video or image."""
    import av
    import PIL

    parts = [
        f"{library} {'.'.join(map(str, av.library_versions[library]))}"
        for library in ("libavcodec", "libswscale")
        if in_videos
    ]
    pillow = [] if in_videos and not resized else [f"pillow {PIL.__version__}"]
    return ", ".join([*parts, *pillow])
