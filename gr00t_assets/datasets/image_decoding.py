"""Images in the rows of a dataset, PNG or JPEG, as frames."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from gr00t_assets.datasets.video_decoding import MOST_PIXELS, VideoError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

FORMATS = ("PNG", "JPEG")
DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
"""Pillow's names of grey in more than 8 bits: distances, and no picture."""

_PNG = b"\x89PNG\r\n\x1a\n"
_RGB = bytes((8, 2))
"""Bits a colour and kind of colours, at their place in a PNG's header."""


class ImageDecoder:
    """Decodes one image after the other, in one thread.

    FFmpeg decodes a PNG of RGB in three quarters of the time that Pillow takes. Pillow decodes all
    others, since FFmpeg's colours of a JPEG are not those that LeRobot reads.
    """

    def __init__(self) -> None:
        from av import CodecContext

        self._png = CodecContext.create("png", "r")
        self._png.thread_count = 1
        self._png.options = {"err_detect": "crccheck+explode", "max_pixels": str(MOST_PIXELS)}

    def decode(self, content: bytes) -> np.ndarray:
        """The pixels of an image, ``(height, width, 3)`` uint8 RGB.

        Grey is repeated for each colour, a palette is looked up, and what is transparent is shown.

        Raises:
            VideoError: It is no whole PNG or JPEG, or has more than 8 bits of grey.
        """
        if content.startswith(_PNG) and content[24:26] == _RGB:
            frame = self._decode_rgb(content)
            if frame is not None:
                return frame
        return _decode_any(content)

    def _decode_rgb(self, content: bytes) -> np.ndarray | None:
        """None where FFmpeg has no RGB for it, as with a transparent colour."""
        from av import Packet
        from av.error import FFmpegError

        packet = Packet(content)
        packet.is_keyframe = True  # else FFmpeg adds the image before
        try:
            frames = self._png.decode(packet)  # pyright: ignore[reportAttributeAccessIssue]
        except FFmpegError as error:
            raise VideoError("is no whole PNG") from error
        if len(frames) != 1 or frames[0].format.name != "rgb24":
            return None
        return np.ascontiguousarray(frames[0].to_ndarray())


def image_size(content: bytes) -> tuple[int, int]:
    """Width and height of an image in pixels, from its header.

    Raises:
        VideoError: It is no PNG or JPEG.
    """
    with opened_image(content, "is no PNG or JPEG") as image:
        return image.size


def _decode_any(content: bytes) -> np.ndarray:
    with opened_image(content, "is no whole PNG or JPEG") as image:
        if image.mode in DEEP_MODES:
            raise VideoError("has more than 8 bits of grey, as images of depth have")
        return np.array(image.convert("RGB"))


@contextmanager
def opened_image(content: bytes, problem: str) -> Iterator["ImageFile"]:
    """An image whose header was read; what Pillow cannot read is a VideoError of ``problem``."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError("too many pixels")
            yield image
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise VideoError(problem) from error
