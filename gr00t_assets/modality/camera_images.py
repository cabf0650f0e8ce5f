"""Images of all cameras of a dataset, each camera cut and resized as its data config says.

Cameras without settings of their own go through ``images`` as one stack, as in Isaac-GR00T. One
with settings goes through it by itself; of a sample's random draw it takes the same colours, and
the crop at the same place of the room that it has.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gr00t_assets.modality.config import ModalityConfig, VideoKey
from gr00t_assets.modality.images import Augmentation, augment_images, crop_room, prepare_images

if TYPE_CHECKING:
    import torch


def camera_images(
    frames: "torch.Tensor",
    size: int,
    config: ModalityConfig,
    drawn: Sequence[Augmentation] | None = None,
) -> "torch.Tensor":
    """Frames of some samples as the model sees them.

    Args:
        frames: (samples, cameras, height, width, 3) uint8, on any device; cameras as in ``config``.
        size: Pixels of the square wanted.
        config: Says how each camera is cut and resized.
        drawn: A random crop and colours for each sample, drawn for the frames' own size and the
            common crop; without it crops are in the centre.

    Returns:
        (samples, cameras, size, size, 3) uint8 on the same device.
    """
    if all(camera.transforms.is_default for camera in config.video):
        return _images(frames, size, config.crop_scale, drawn)
    images = frames.new_empty((*frames.shape[:2], size, size, 3))
    common = [at for at, key in enumerate(config.video) if key.transforms.is_default]
    if common:
        images[:, common] = _images(frames[:, common], size, config.crop_scale, drawn)
    for at, camera in enumerate(config.video):
        if at not in common:
            view = camera_view(frames[:, [at]], camera)
            scale = camera.transforms.crop_scale or config.crop_scale
            crops = None
            if drawn is not None:
                room = crop_room(frames.shape[2], frames.shape[3], config.crop_scale)
                own = crop_room(view.shape[2], view.shape[3], scale)
                crops = [_moved(draw, room, own) for draw in drawn]
            images[:, [at]] = _images(view, size, scale, crops)
    return images


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


def _images(
    frames: "torch.Tensor", size: int, scale: float, drawn: Sequence[Augmentation] | None
) -> "torch.Tensor":
    if drawn is None:
        return prepare_images(frames, size, scale)
    return augment_images(frames, size, scale, drawn)


def _moved(draw: Augmentation, room: Sequence[int], own: Sequence[int]) -> Augmentation:
    """The same draw for a view of another size: its corner at the same share of the room."""
    top, left = (
        round((place / whole if whole else 0.5) * space)
        for place, whole, space in zip((draw.top, draw.left), room, own, strict=True)
    )
    return replace(draw, top=top, left=left)
