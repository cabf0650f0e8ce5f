"""Videos and images held against their declaration and the dataset's rate, without decoding one."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gr00t_assets.core.finding import Collector
from gr00t_assets.datasets.lerobot.columns import image_bytes, report_unreadable, stored_images
from gr00t_assets.datasets.lerobot.features import INFO, Feature
from gr00t_assets.datasets.lerobot.folder import Folder
from gr00t_assets.datasets.lerobot.info import Info
from gr00t_assets.datasets.lerobot.rows import batch_rows
from gr00t_assets.datasets.lerobot.video_packets import Cut, VideoPackets
from gr00t_assets.datasets.recorded_frames import DEEP_MODES, opened_image
from gr00t_assets.datasets.videos import VideoError

BACKENDS = ("frame-cache", "decord", "torchvision_av", "torchcodec")
"""What turns videos into frames: the native trainer's frame cache, and Isaac-GR00T's choices."""

CANNOT_READ = {"decord": {"av1"}}  # codecs that a backend fails on; measured with the June release

_CODECS = {
    **dict.fromkeys(("avc1", "avc", "libx264"), "h264"),
    **dict.fromkeys(("h265", "hvc1", "libx265"), "hevc"),
    **dict.fromkeys(("libsvtav1", "libaom-av1"), "av1"),
    "libvpx-vp9": "vp9",
}

_ENDS = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}
"""How a whole file ends, by format; a few bytes may follow."""

_MOST_BEHIND = 64
_PNG_START = 26  # bytes up to depth and colours, which follow width and height


def check_video(
    collector: Collector,
    file: str,
    video: VideoPackets,
    fps: float | None,
    episodes: Sequence[Cut] = (),
) -> None:
    """Hold a video of one episode, or in v3.0 of ``episodes``, against the dataset's rate."""
    if fps is None or video.frames < 2:
        return
    if video.fps is not None and abs(video.fps - fps) > 0.01 * fps:
        collector.report("video-fps", file, f"{video.fps:.4g} frames a second", fps=fps)
        return
    times = video.times
    for cut in episodes or [Cut(0, 0, video.frames, None)]:
        shown = times[cut.start : cut.start + cut.length]
        off = np.abs(shown - shown[0] - np.arange(cut.length) / fps)
        if off.max() > 0.5 / fps:
            frame = int((off > 0.5 / fps).argmax())
            found = f"frame {frame} is shown {off[frame] * fps:.2f} frames from its place"
            place = f"episode {cut.episode}: " if episodes else ""
            collector.report("video-frame-times", file, place + found, fps=fps)
        elif not episodes and abs(times[0]) > 0.5 / fps:
            collector.report("video-start", file, f"the first frame is shown at {times[0]:.4g} s")


def check_camera_rates(collector: Collector, info: Info) -> None:
    """Report cameras that are declared with another rate than the dataset."""
    for camera in info.video_cameras:
        rate = camera.video_fps
        if rate is not None and info.fps is not None and abs(rate - info.fps) > 0.01 * info.fps:
            found = f"{camera.name} is declared with {rate:g} frames a second"
            collector.report("camera-fps", INFO, found, fps=info.fps)


def check_declaration(
    collector: Collector, camera: Feature, videos: Mapping[str, tuple[str, str]], backend: str
) -> None:
    """Hold a camera's videos, height x width and FFmpeg's codec by file, against its declaration.

    Where all videos are alike it is the declaration that is wrong, else the videos that differ.
    """
    sizes = {file: size for file, (size, _) in videos.items()}
    codecs = {file: codec for file, (_, codec) in videos.items()}
    size, codec = camera.size, (camera.video_codec or "").lower()
    for of_all, of_one, declared, values in (
        ("camera-size", "video-size", f"{size[0]} x {size[1]}" if size else "", sizes),
        ("camera-codec", "video-codec", _CODECS.get(codec, codec), codecs),
    ):
        wrong = {file: value for file, value in values.items() if declared not in ("", value)}
        if wrong and len(set(values.values())) == 1:
            found = f"{camera.name} is declared as {declared}"
            collector.report(of_all, INFO, found, value=next(iter(wrong.values())))
            continue
        for file, value in wrong.items():
            collector.report(of_one, file, value, declared=declared, name=camera.name)
    for used in dict.fromkeys(codecs.values()):
        file, *others = (file for file, value in codecs.items() if value == used)
        found = f"{used}, and {len(others)} more videos of {camera.name}" if others else used
        if used in CANNOT_READ.get(backend, ()):
            collector.report("codec-unsupported", file, found, backend=backend)
        elif backend == "frame-cache" and any(used in bad for bad in CANNOT_READ.values()):
            names = ", ".join(name for name, bad in CANNOT_READ.items() if used in bad)
            collector.report("codec-support", file, found, names=names)


def check_images(folder: Folder, file: str, camera: Feature) -> str | None:
    """Hold the images of a camera in a file's rows against its declaration, up to the first fault.

    Returns:
        The format of the images, png or jpeg; none where there is none.
    """
    collector, kind, row = folder.collector, None, 0
    path = folder.opened(file) if folder.exists(file) else None
    if path is None:
        return None
    good: set[bytes] = set()
    with report_unreadable(collector, file), pq.ParquetFile(path, pre_buffer=False) as parquet:
        if camera.name not in parquet.schema_arrow.names:
            return None
        for batch in parquet.iter_batches(batch_rows(parquet), columns=[camera.name]):
            images = image_bytes(batch.column(0))
            if images is None:
                stored = parquet.schema_arrow.field(camera.name).type
                collector.report("image-column", file, f"{camera.name} is {stored}")
                return None
            for at, start in _unlike(images, good):
                image = stored_images(batch.column(0).slice(at, 1), folder.directory) or iter(())
                kind, fault, found = _look_at(next(image, None), camera.size)
                if fault:
                    height, width = camera.size or (0, 0)
                    remedy = "write the episode again from the recording"
                    if row + at == 0:
                        remedy = "correct the shape in meta/info.json"
                    texts = {"name": camera.name, "height": height, "width": width}
                    found = f"{camera.name} at row {row + at} {found}"
                    collector.report(fault, file, found, remedy=remedy, **texts)
                    return kind
                if kind == "png":
                    good.add(start)
            row += batch.num_rows
    return kind


def _unlike(images: pa.Array, good: Collection[bytes]) -> Iterator[tuple[int, bytes]]:
    """Positions and starts, with their size, of images that are no whole PNG of a good start."""
    cut = pc.binary_slice  # pyright: ignore[reportAttributeAccessIssue]
    starts = cut(images, 0, _PNG_START).to_pylist()
    ends = cut(images, -len(_ENDS["PNG"]), None).to_pylist()
    for at, (start, end) in enumerate(zip(starts, ends, strict=True)):
        if start not in good or end != _ENDS["PNG"]:
            yield at, start


def _look_at(content: bytes | None, size: tuple[int, int] | None) -> tuple[str | None, str, str]:
    """The format of an image, and a fault with what was found; empty where it is as declared."""
    if not content:
        return None, "image-missing", "has no image"
    try:
        with opened_image(content, "is no image") as image:
            width, height, kind = *image.size, str(image.format)
            is_deep = image.mode in DEEP_MODES
    except VideoError as error:
        return None, "image-unreadable", str(error)
    if _ENDS[kind] not in content[-_MOST_BEHIND:]:
        return kind.lower(), "image-unreadable", f"is a {kind} that ends too early"
    if is_deep:
        return kind.lower(), "image-depth", "has more than 8 bits of grey"
    if size is not None and size != (height, width):
        return kind.lower(), "image-size", f"is {height} x {width} (height x width)"
    return kind.lower(), "", ""
