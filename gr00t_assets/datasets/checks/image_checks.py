"""Images in the rows held against their declaration, without decoding one."""

from collections.abc import Collection, Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gr00t_assets.datasets.image_decoding import DEEP_MODES, opened_image
from gr00t_assets.datasets.lerobot.columns import image_bytes, stored_images
from gr00t_assets.datasets.lerobot.features import Feature
from gr00t_assets.datasets.lerobot.folder import Folder
from gr00t_assets.datasets.lerobot.rows import batch_rows, report_unreadable
from gr00t_assets.datasets.video_decoding import VideoError

_ENDS = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}
"""How a whole file ends, by format; a few bytes may follow."""

_MOST_BEHIND = 64

_PNG_START = 26
"""Bytes up to depth and colours, which follow width and height."""


def check_images(folder: Folder, file: str, camera: Feature) -> str | None:
    """Hold the images of a camera in a file's rows against its declaration.

    The first image that is wrong is reported; every image is looked at until then.

    Returns:
        The format of the first image, png or jpeg; none where there is none.
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
                    size = camera.size or (0, 0)
                    remedy = "write the episode again from the recording"
                    if row + at == 0:
                        remedy = "correct the shape in meta/info.json"
                    texts = {"height": size[0], "width": size[1], "remedy": remedy}
                    where = f"{camera.name} at row {row + at}"
                    collector.report(fault, file, f"{where} {found}", name=camera.name, **texts)
                    return kind
                if kind == "png":
                    good.add(start)
            row += batch.num_rows
    return kind


def _unlike(images: pa.Array, good: Collection[bytes]) -> Iterator[tuple[int, bytes]]:
    """Positions and starts of the images that are not whole PNG files of a good start.

    The start has the size of a PNG, and the end is the same in all of them.
    """
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
