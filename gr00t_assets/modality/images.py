"""Camera frames to what the model sees: crop, resize, and in training random crop and colours.

The chain is that of Isaac-GR00T's video transforms (``gr00t/data/transform/video.py`` at
a86e915): to floats in [0, 1], crop of 95 % of height and width, bilinear resize with antialiasing,
colour jitter in training, truncation to 8 bits. All cameras of one sample get the same crop and the
same colour change, which is torchvision's ``ColorJitter`` in formula and in the distribution of its
factors. All randomness is drawn from the generator that is passed in, on the CPU.

Samples whose colour steps come in the same order, of which there are 24, are worked on together.
On a CPU those groups are small enough to stay in its cache; on a GPU they keep the kernels few.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gr00t_assets.modality.data_config import ColorJitter

if TYPE_CHECKING:
    import torch

_LUMA = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue in grey, as torchvision has them."""

_SMALLEST_SPAN = 1e-9
"""Divides in place of the difference of a grey pixel's channels, which is zero."""

_CPU_BATCH = 8
"""Frames that are prepared at once on a CPU: more would leave its cache."""


@dataclass(frozen=True)
class Augmentation:
    """What one sample's images go through, drawn at random.

    The first row and column of the crop, the four colour steps in the order of their use, 0 is
    brightness, 1 contrast, 2 saturation, 3 hue, and their factors by these numbers; the hue's is a
    shift in turns.
    """

    top: int
    left: int
    order: tuple[int, ...]
    factors: tuple[float, ...]


def crop_size(height: int, width: int, scale: float) -> tuple[int, int]:
    """Height and width of the crop in pixels: 243, 243 for 256, 256 and 0.95."""
    return int(height * scale), int(width * scale)


def crop_room(height: int, width: int, scale: float) -> tuple[int, int]:
    """Rows and columns that the crop leaves out: 13, 13 for 256, 256 and 0.95."""
    rows, columns = crop_size(height, width, scale)
    return height - rows, width - columns


def prepare_images(
    frames: "torch.Tensor",
    size: int,
    crop_scale: float,
    drawn: Sequence[Augmentation] | None = None,
) -> "torch.Tensor":
    """Crop and resize of any number of frames, and colours where they were drawn.

    Args:
        frames: (samples, cameras, height, width, 3) uint8, on any device. Cameras of one sample
            share its crop and its colours.
        size: Pixels of the square wanted.
        crop_scale: Share of height and width that is kept.
        drawn: A crop and colours for each sample; without it crops are in the centre and colours
            as they are, as in evaluation.

    Returns:
        (samples, cameras, size, size, 3) uint8 on the same device; without ``drawn`` equal to the
        last level to Isaac-GR00T's.

    Raises:
        ValueError: The frames are of another type or shape.
    """
    import torch
    from torch.nn.functional import interpolate

    if frames.dtype != torch.uint8 or frames.ndim != 5 or frames.shape[-1] != 3:
        found = f"{frames.dtype} {tuple(frames.shape)}"
        raise ValueError(f"frames are uint8 (samples, cameras, height, width, 3), not {found}")
    images = frames.new_empty((*frames.shape[:2], 3, size, size))
    height, width = crop_size(frames.shape[2], frames.shape[3], crop_scale)
    centre = round((frames.shape[2] - height) / 2), round((frames.shape[3] - width) / 2)
    step = _CPU_BATCH if frames.device.type == "cpu" else max(1, len(frames))
    batches = [range(len(frames))[first : first + step] for first in range(0, len(frames), step)]
    for samples in batches if drawn is None else same_order(drawn):
        draws = [drawn[at] for at in samples] if drawn else []
        corners = [(draw.top, draw.left) for draw in draws] or [centre] * len(samples)
        shape = (len(samples), frames.shape[1], 3, height, width)
        windows = torch.empty(shape, device=frames.device)
        for window, at, (top, left) in zip(windows, samples, corners, strict=True):
            cut = frames[at, :, top : top + height, left : left + width]
            window.copy_(cut.permute(0, 3, 1, 2))
        pixels = windows.flatten(0, 1).div_(255)
        pixels = interpolate(
            pixels, size=(size, size), mode="bilinear", antialias=True, align_corners=False
        )
        pixels = change_colours(pixels, draws) if draws else pixels
        levels = pixels.mul_(255).unflatten(0, shape[:2]).to(torch.uint8)
        for at, sample_images in zip(samples, levels, strict=True):
            images[at] = sample_images
    return images.permute(0, 1, 3, 4, 2)


def draw_augmentation(
    height: int, width: int, crop_scale: float, jitter: ColorJitter, generator: "torch.Generator"
) -> Augmentation:
    """Draw where to crop and how to change the colours of one sample, by a CPU generator.

    The crop's corner is uniform over all places, the order over all 24; factors are uniform in
    [max(0, 1 - x), 1 + x], the hue's shift in [-x, x] of the colour circle, for the jitter's x.
    """
    import torch

    rooms = crop_room(height, width, crop_scale)
    top, left = (int(torch.randint(0, room + 1, (), generator=generator)) for room in rooms)
    order = tuple(torch.randperm(4, generator=generator).tolist())
    *shares, turn = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
    widths = jitter.brightness, jitter.contrast, jitter.saturation
    factors = [
        max(0.0, 1 - width) + share * (1 + width - max(0.0, 1 - width))
        for width, share in zip(widths, shares, strict=True)
    ]
    return Augmentation(top, left, order, (*factors, (2 * turn - 1) * jitter.hue))


def same_order(drawn: Sequence[Augmentation]) -> Iterable[list[int]]:
    """Places of draws whose colour steps come in the same order, each place once."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for place, augmentation in enumerate(drawn):
        groups.setdefault(augmentation.order, []).append(place)
    return groups.values()


def change_colours(pixels: "torch.Tensor", drawn: Sequence[Augmentation]) -> "torch.Tensor":
    """Colours of some samples' images, changed as was drawn in one order for each sample.

    ``pixels`` are (samples x images, 3, height, width) of 0 to 1 and are used up.
    """
    import torch

    factors = torch.tensor([draw.factors for draw in drawn], dtype=torch.float32)
    factors = factors.to(pixels.device).repeat_interleave(len(pixels) // len(drawn), dim=0)
    for step in drawn[0].order:
        pixels = _STEPS[step](pixels, factors[:, step, None, None])
    return pixels


def resized(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A frame at another size (width, height), as frame caches have it; (height, width, 3) uint8.

    Pillow's bilinear filter, whose support grows as an image shrinks: what torchvision calls
    bilinear with antialias. GR00T crops before it resizes, so a cached frame that was resized
    gives an image that is close to NVIDIA's and not equal to it.
    """
    from PIL import Image

    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))


def _brightness(pixels: "torch.Tensor", factor: "torch.Tensor") -> "torch.Tensor":
    return pixels.mul_(factor[:, None]).clamp_(0, 1)


def _contrast(pixels: "torch.Tensor", factor: "torch.Tensor") -> "torch.Tensor":
    mean = _grey(pixels).mean(dim=(-2, -1), keepdim=True)
    return pixels.mul_(factor[:, None]).add_((mean * (1 - factor))[:, None]).clamp_(0, 1)


def _saturation(pixels: "torch.Tensor", factor: "torch.Tensor") -> "torch.Tensor":
    grey = _grey(pixels).mul_(1 - factor)
    return pixels.mul_(factor[:, None]).add_(grey[:, None]).clamp_(0, 1)


def _hue(pixels: "torch.Tensor", shift: "torch.Tensor") -> "torch.Tensor":
    """Turn the hue by ``shift`` turns, (images, 1, 1), without a branch.

    With v the largest channel and s the largest less the smallest, the hue in sixths of a turn,
    counted from red, is |2 + (g + b - r - v) / s|, and negative where g < b. A channel of the
    turned colour is v - s clamp(2 - d, 0, 1), d being the distance of hue + (3, 1, -1) to the
    nearest multiple of 6. Both follow from the table of the six sectors.
    """
    import torch

    red, green, blue = pixels.unbind(1)
    value = torch.maximum(torch.maximum(red, green), blue)
    span = value - torch.minimum(torch.minimum(red, green), blue)
    hue = (green + blue).sub_(red).sub_(value).div_(span.clamp(min=_SMALLEST_SPAN)).add_(2)
    hue = hue.copysign_(green - blue).add_(shift * 6)
    turned = torch.empty_like(pixels)
    for channel, offset in enumerate((3.0, 1.0, -1.0)):
        distance = hue + offset
        distance.sub_((distance / 6).round_(), alpha=6).abs_()
        weight = distance.neg_().add_(2).clamp_(0, 1)
        torch.addcmul(value, span, weight, value=-1, out=turned[:, channel])
    return turned.clamp_(0, 1)


def _grey(pixels: "torch.Tensor") -> "torch.Tensor":
    red, green, blue = pixels.unbind(1)
    return red.mul(_LUMA[0]).add_(green, alpha=_LUMA[1]).add_(blue, alpha=_LUMA[2])


_STEPS = (_brightness, _contrast, _saturation, _hue)
"""By the numbers of ``Augmentation.order``."""
