"""Videos of episodes, as animated WebP: small, and shown by every browser."""

import io
from collections.abc import Sequence

import numpy as np

MOST_BYTES = 150_000
"""Of a video, which pages carry inside themselves."""

_HEIGHT = 128
"""Pixels, at most."""

_LAST = 1000
"""Milliseconds that the last frame stands, at least."""

_TRIES = ((70, 1), (50, 1), (50, 2), (35, 3), (25, 5), (15, 10))
"""Quality, and every how many frames one is kept: the first that is small enough is taken."""


def animated_webp(frames: Sequence[np.ndarray], fps: float, most_bytes: int = MOST_BYTES) -> bytes:
    """Frames as an animated WebP of about so many bytes at most.

    Args:
        frames: (H, W, 3) uint8 each, all of one size.
        fps: Frames in a second.
        most_bytes: Quality, then frames are given up for it; the smallest try is taken anyway.
    """
    from PIL import Image

    images = [Image.fromarray(frame) for frame in frames]
    content = b""
    for quality, every in _TRIES:
        # The last frame, which shows how it ended, is always there.
        kept = images[::-1][::every][::-1]
        milliseconds = round(1000 * every / fps)
        file = io.BytesIO()
        kept[0].save(
            file,
            "WEBP",
            save_all=True,
            append_images=kept[1:],
            duration=[*[milliseconds] * (len(kept) - 1), max(milliseconds, _LAST)],
            loop=0,
            quality=quality,
            method=4,
        )
        content = file.getvalue()
        if len(content) <= most_bytes:
            break
    return content


def side_by_side(images: dict[str, np.ndarray]) -> np.ndarray:
    """The images of one step beside one another, (H, W, 3) uint8, none higher than a thumbnail."""
    from PIL import Image

    height = min(_HEIGHT, *(len(image) for image in images.values()))
    small = [
        np.asarray(Image.fromarray(image).resize((image.shape[1] * height // len(image), height)))
        for image in images.values()
    ]
    return np.concatenate(small, axis=1)
