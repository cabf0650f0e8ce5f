"""Images of all cameras of a dataset, each camera cut and resized as its data config says.

A camera with settings of its own takes the same colours of a sample's random draw as the others,
and the crop at the same place of the room that it has.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.modality.config import ModalityConfig, VideoKey
from gr00t_assets.modality.images import Augmentation, crop_room, prepare_images
from gr00t_assets.modality.shortest_edge import edge_images, edge_size

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ImageRecipe:
    """What a generation of GR00T makes of frames.

    Attributes:
        size: Pixels of the square; of the shorter edge where the aspect is kept.
        keeps_aspect: As in N1.7, see ``edge_images``.
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

    def room(self, height: int, width: int, scale: float) -> tuple[int, int]:
        """Rows and columns that a crop of a share of the frame leaves out."""
        return crop_room(*self.crop_frame(height, width), scale)

    def images(
        self, frames: "torch.Tensor", scale: float, drawn: Sequence[Augmentation] | None
    ) -> "torch.Tensor":
        """Frames of cameras that are cropped alike."""
        make = edge_images if self.keeps_aspect else prepare_images
        return make(frames, self.size, scale, drawn)


def camera_images(
    frames: "torch.Tensor",
    recipe: ImageRecipe,
    config: ModalityConfig,
    drawn: Sequence[Augmentation] | None = None,
) -> "torch.Tensor":
    """Frames of some samples as the model sees them.

    Args:
        frames: (samples, cameras, height, width, 3) uint8, on any device; cameras as in ``config``.
        recipe: Of the model.
        config: Says how each camera is cut and resized.
        drawn: A random crop and colours for each sample, drawn for the recipe's ``crop_frame`` and
            the common crop; without it crops are in the centre.

    Returns:
        (samples, cameras, height, width, 3) uint8 on the same device.

    Raises:
        DatasetError: The aspect is kept, and the cameras' differ.
    """
    if all(camera.transforms.is_default for camera in config.video):
        return recipe.images(frames, config.crop_scale, drawn)
    views = []
    for at, camera in enumerate(config.video):
        view, scale, crops = frames[:, [at]], config.crop_scale, drawn
        if not camera.transforms.is_default:
            view, scale = camera_view(view, camera), camera.transforms.crop_scale or scale
            if drawn is not None:
                room = recipe.room(frames.shape[2], frames.shape[3], config.crop_scale)
                own = recipe.room(view.shape[2], view.shape[3], scale)
                crops = [_moved(draw, room, own) for draw in drawn]
        views.append(recipe.images(view, scale, crops)[:, 0])
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


def image_shape(recipe: ImageRecipe, config: ModalityConfig) -> tuple[int, int]:
    """Height and width of the images that ``camera_images`` makes of a dataset's frames."""
    return _image_shape(recipe, config)  # pyright: ignore[reportArgumentType]  # frozen: hashable


@lru_cache(maxsize=64)
def _image_shape(recipe: ImageRecipe, config: ModalityConfig) -> tuple[int, int]:
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
