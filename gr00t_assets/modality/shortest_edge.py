"""Camera frames to what N1.7 sees: shorter edge, crop, shorter edge again, the aspect kept.

The recipe is the one that the released checkpoint is written with, as Isaac-GR00T at 65cc4a1
applies it by albumentations and OpenCV: the shorter edge to so many pixels, a crop of a share of
height and width, and the shorter edge again. Resizing is OpenCV's ``INTER_AREA``, level by level:
means over areas where both edges shrink, else its fixed-point interpolation of two neighbours.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from gr00t_assets.modality.images import Augmentation, change_colours, crop_size, same_order

if TYPE_CHECKING:
    import torch

_WEIGHT_BITS = 11
"""Of OpenCV's fixed-point weights of two neighbours."""


def edge_size(height: int, width: int, edge: int) -> tuple[int, int]:
    """Height and width once the shorter one is ``edge`` pixels.

    Examples:
        >>> edge_size(480, 640, 256)
        (256, 341)
    """
    scale = edge / min(height, width)
    return round(height * scale), round(width * scale)


def edge_images(
    frames: "torch.Tensor",
    edge: int,
    crop_scale: float,
    drawn: Sequence[Augmentation] | None = None,
) -> "torch.Tensor":
    """Frames of some samples with the shorter edge ``edge`` pixels.

    Args:
        frames: (samples, cameras, height, width, 3) uint8, on any device.
        edge: Pixels of the shorter edge.
        crop_scale: Share of height and width that is kept.
        drawn: A crop and colours for each sample, drawn for frames of ``edge_size``; without it
            crops are in the centre and colours as they are.

    Returns:
        (samples, cameras, height, width, 3) uint8 on the same device.
    """
    samples, cameras = frames.shape[:2]
    pixels = _to_edge(frames.permute(0, 1, 4, 2, 3).flatten(0, 1), edge)
    outer = pixels.shape[2:]
    height, width = crop_size(outer[0], outer[1], crop_scale)
    corners = [((outer[0] - height) // 2, (outer[1] - width) // 2)] * len(pixels)
    if drawn is not None:
        corners = [(draw.top, draw.left) for draw in drawn for _ in range(cameras)]
    windows = pixels.new_empty((len(pixels), 3, height, width))
    for window, image, (top, left) in zip(windows, pixels, corners, strict=True):
        window.copy_(image[:, top : top + height, left : left + width])
    pixels = _to_edge(windows, edge).unflatten(0, (samples, cameras))
    for group in same_order(drawn or ()):
        floats = pixels[group].flatten(0, 1).float().div_(255)
        changed = change_colours(floats, [drawn[at] for at in group] if drawn else ())
        pixels[group] = changed.mul_(255).round_().to(pixels.dtype).unflatten(0, (-1, cameras))
    return pixels.permute(0, 1, 3, 4, 2)


def _to_edge(pixels: "torch.Tensor", edge: int) -> "torch.Tensor":
    """(images, 3, height, width) uint8 to the same with the shorter edge ``edge``."""
    height, width = pixels.shape[2:]
    size = edge_size(height, width, edge)
    if size == (height, width):
        return pixels
    if size[0] <= height and size[1] <= width:
        rows, columns = (
            _tensor(_areas(a, b), pixels) for a, b in zip((height, width), size, strict=True)
        )
        return (rows @ pixels.float() @ columns.T).round_().clamp_(0, 255).to(pixels.dtype)
    values = pixels.int()
    near, far, first, second = (_tensor(item, pixels) for item in _neighbours(width, size[1]))
    values = values[..., near] * first + values[..., far] * second
    values >>= 4
    near, far, first, second = (_tensor(item, pixels) for item in _neighbours(height, size[0]))
    above = values[..., near, :] * first[:, None] >> 16
    below = values[..., far, :] * second[:, None] >> 16
    return ((above + below + 2) >> 2).to(pixels.dtype)


@lru_cache(maxsize=32)
def _areas(source: int, target: int) -> np.ndarray:
    """Shares of the source's pixels in each of the target's, (target, source) float32."""
    edges, pixels = np.arange(target + 1) * (source / target), np.arange(source)
    ends = np.minimum(edges[1:, None], pixels + 1)
    shares = (ends - np.maximum(edges[:-1, None], pixels)).clip(min=0)
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)


@lru_cache(maxsize=32)
def _neighbours(source: int, target: int) -> tuple[np.ndarray, ...]:
    """Of each target pixel the two of the source beside it, and their weights in 1/2048."""
    places = np.arange(target)
    near = np.floor(places * (source / target)).astype(np.int64)
    share = (places + 1) - (near + 1) * (target / source)
    share = np.where(share <= 0, 0.0, share - np.floor(share)).astype(np.float32)
    share[near >= source - 1] = 0
    near = near.clip(max=source - 1)
    whole = 1 << _WEIGHT_BITS
    weights = (np.rint((1 - share) * whole), np.rint(share * whole))
    return near, (near + 1).clip(max=source - 1), *(item.astype(np.int32) for item in weights)


def _tensor(values: np.ndarray, like: "torch.Tensor") -> "torch.Tensor":
    import torch

    return torch.from_numpy(values).to(like.device)


def patch_size(height: int, width: int, multiple: int, least: int) -> tuple[int, int]:
    """Height and width as Qwen's image processor has them: multiples, with at least some pixels.

    Examples:
        >>> patch_size(256, 341, 32, 65_536)
        (256, 352)
    """
    sizes = [max(multiple, round(side / multiple) * multiple) for side in (height, width)]
    if sizes[0] * sizes[1] < least:
        scale = math.sqrt(least / (height * width))
        sizes = [math.ceil(side * scale / multiple) * multiple for side in (height, width)]
    return sizes[0], sizes[1]
