"""Images of all cameras of a dataset, each camera cut and resized as its data config says.

A camera with settings of its own takes the same colours of a sample's random draw as the others,
and the crop at the same place of the room that it has.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.modality.config import ModalityConfig, VideoKey
from gr00t_assets.modality.images import (
    Augmentation,
    change_colours,
    crop_room,
    crop_size,
    prepare_images,
    same_order,
)

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ImageRecipe:
    """What a generation of GR00T makes of frames.

    ``size`` is of the square in pixels, or of the shorter edge where the aspect is kept, as in
    N1.7; see ``edge_images``.
    """

    size: int
    keeps_aspect: bool = False

    @property
    def content(self) -> list[object]:
        """What tells its images from those of another recipe, as JSON."""
        return [self.size, "shortest_edge"] if self.keeps_aspect else [self.size]

    def crop_frame(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that a random crop is drawn for."""
        return edge_size(height, width, self.size) if self.keeps_aspect else (height, width)


def camera_images(
    frames: "torch.Tensor",
    recipe: ImageRecipe,
    config: ModalityConfig,
    drawn: Sequence[Augmentation] | None = None,
) -> "torch.Tensor":
    """Frames of some samples as the model of a recipe sees them.

    Args:
        frames: (samples, cameras, height, width, 3) uint8, on any device; cameras as in ``config``,
            which says how each is cut and resized.
        drawn: A random crop and colours for each sample, drawn for the recipe's ``crop_frame`` and
            the common crop; without it crops are in the centre.

    Returns:
        (samples, cameras, height, width, 3) uint8 on the same device.

    Raises:
        DatasetError: The aspect is kept, and the cameras' differ.
    """
    make = edge_images if recipe.keeps_aspect else prepare_images
    if all(camera.transforms.is_default for camera in config.video):
        return make(frames, recipe.size, config.crop_scale, drawn)
    views = []
    for at, camera in enumerate(config.video):
        view, scale, crops = frames[:, [at]], config.crop_scale, drawn
        if not camera.transforms.is_default:
            view, scale = camera_view(view, camera), camera.transforms.crop_scale or scale
            if drawn is not None:
                room = crop_room(*recipe.crop_frame(*frames.shape[2:4]), config.crop_scale)
                own = crop_room(*recipe.crop_frame(*view.shape[2:4]), scale)
                crops = [_moved(draw, room, own) for draw in drawn]
        views.append(make(view, recipe.size, scale, crops)[:, 0])
    if len({view.shape for view in views}) > 1:
        sizes = [
            f"{camera.key}: {view.shape[1]} x {view.shape[2]} pixels"
            for camera, view in zip(config.video, views, strict=True)
        ]
        remedy = "give each camera resize: letterbox in the data config, or regions of one shape"
        problem = "the images of its cameras are of different sizes."
        raise DatasetError(config.dataset, problem, [*sizes, remedy])
    import torch

    return torch.stack(views, dim=1)


@lru_cache(maxsize=64)
def image_shape(recipe: ImageRecipe, config: ModalityConfig) -> tuple[int, int]:
    """Height and width of the images that ``camera_images`` makes of a dataset's frames."""
    import torch

    camera = config.video[0]
    width, height = config.frame_size or (camera.width, camera.height)
    width, height = width or config.image_size, height or config.image_size
    frames = torch.zeros((1, len(config.video), height, width, 3), dtype=torch.uint8)
    _, _, height, width, _ = camera_images(frames, recipe, config).shape
    return height, width


def camera_view(frames: "torch.Tensor", camera: VideoKey) -> "torch.Tensor":
    """The region of a camera's frames, (samples, 1, height, width, 3), with borders where asked."""
    height, width = frames.shape[2:4]
    if camera.transforms.region is not None:
        left, top, right, bottom = camera.transforms.region
        columns = slice(round(left * width), max(round(left * width) + 1, round(right * width)))
        rows = slice(round(top * height), max(round(top * height) + 1, round(bottom * height)))
        frames = frames[:, :, rows, columns]
    if camera.transforms.resize == "letterbox":
        height, width = frames.shape[2:4]
        side = max(height, width)
        top, left = (side - height) // 2, (side - width) // 2
        square = frames.new_zeros((*frames.shape[:2], side, side, 3))
        square[:, :, top : top + height, left : left + width] = frames
        frames = square
    return frames


def _moved(draw: Augmentation, room: Sequence[int], own: Sequence[int]) -> Augmentation:
    """The same draw for a view of another size: its corner at the same share of the room."""
    top, left = (
        round((place / whole if whole else 0.5) * space)
        for place, whole, space in zip((draw.top, draw.left), room, own, strict=True)
    )
    return replace(draw, top=top, left=left)


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
    """Frames of some samples as N1.7 sees them: shorter edge, crop, shorter edge; the aspect kept.

    The recipe is the one that the released checkpoint is written with, as Isaac-GR00T at 65cc4a1
    applies it by albumentations and OpenCV. Resizing is OpenCV's ``INTER_AREA``, level by level:
    means over areas where both edges shrink, else its fixed-point interpolation of two neighbours.

    ``edge`` is that of the shorter edge in pixels, draws are for frames of ``edge_size``; all else
    is as in ``prepare_images``.
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
    """Of each target pixel the two of the source beside it, and OpenCV's weights in 1/2048."""
    places = np.arange(target)
    near = np.floor(places * (source / target)).astype(np.int64)
    share = (places + 1) - (near + 1) * (target / source)
    share = np.where(share <= 0, 0.0, share - np.floor(share)).astype(np.float32)
    share[near >= source - 1] = 0
    near = near.clip(max=source - 1)
    weights = (np.rint((1 - share) * 2048), np.rint(share * 2048))
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
