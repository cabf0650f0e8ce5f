"""The images of many samples at once, on any device, as :mod:`.images` defines them.

Every sample has its own crop and colours. Samples whose colour steps come in the same order, of
which there are 24, are worked on together, with a factor for each. On a CPU those groups are small
enough to stay in its cache; on a GPU the number of kernels does not grow with the batch.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gr00t_assets.modality.data_configs import ColorJitter
from gr00t_assets.modality.images import LUMA, Augmentation, crop_size, draw_augmentation

if TYPE_CHECKING:
    import torch

_SMALLEST_SPAN = 1e-9
"""Divides in place of the difference of a grey pixel's channels, which is zero."""

_TOGETHER = 8
"""Frames that are prepared at once on a CPU: more would leave its cache."""


def prepare_batch(frames: "torch.Tensor", size: int, crop_scale: float) -> "torch.Tensor":
    """Centre crop and resize of any number of frames, as in evaluation.

    Args:
        frames: (samples, cameras, height, width, 3) uint8, on any device.
        size: Pixels of the square wanted.
        crop_scale: Share of height and width that is kept.

    Returns:
        (samples, cameras, size, size, 3) uint8 on the same device.
    """
    import torch

    height, width = frames.shape[2:4]
    inner_height, inner_width = crop_size(height, width, crop_scale)
    top, left = round((height - inner_height) / 2), round((width - inner_width) / 2)
    made = torch.empty((*frames.shape[:2], 3, size, size), dtype=torch.uint8, device=frames.device)
    step = _TOGETHER if frames.device.type == "cpu" else max(1, len(frames))
    for first in range(0, len(frames), step):
        part = frames[first : first + step]
        corners = [(top, left)] * len(part)
        pixels = _resize(_crop(part, corners, inner_height, inner_width), size)
        made[first : first + step] = pixels.mul_(255).unflatten(0, part.shape[:2])
    return made.permute(0, 1, 3, 4, 2)


def draw_augmentations(
    samples: int,
    height: int,
    width: int,
    crop_scale: float,
    jitter: ColorJitter,
    generator: "torch.Generator",
) -> list[Augmentation]:
    """:func:`draw_augmentation` for each of some samples; sample i takes the i-th draw."""
    return [draw_augmentation(height, width, crop_scale, jitter, generator) for _ in range(samples)]


def augment_batch(
    frames: "torch.Tensor", size: int, crop_scale: float, drawn: Sequence[Augmentation]
) -> "torch.Tensor":
    """Crop, resize and colours of many samples, each as it was drawn for it.

    Args:
        frames: (samples, cameras, height, width, 3) uint8, on any device. Cameras of one sample
            share its crop and its colours.
        size: Pixels of the square wanted.
        crop_scale: Share of height and width that is kept.
        drawn: One for each sample.

    Returns:
        (samples, cameras, size, size, 3) uint8 on the same device, within one grey level of
        :func:`gr00t_assets.modality.images.augment_image`.
    """
    import torch

    height, width = crop_size(frames.shape[2], frames.shape[3], crop_scale)
    made = torch.empty((*frames.shape[:2], 3, size, size), dtype=torch.uint8, device=frames.device)
    groups: dict[tuple[int, ...], list[int]] = {}
    for sample, one in enumerate(drawn):
        groups.setdefault(one.order, []).append(sample)
    for order, samples in groups.items():
        chosen = [frames[sample] for sample in samples]
        corners = [(drawn[sample].top, drawn[sample].left) for sample in samples]
        pixels = _resize(_crop(chosen, corners, height, width), size)
        factors = torch.tensor([drawn[sample].factors for sample in samples], dtype=torch.float32)
        factors = factors.to(frames.device).repeat_interleave(frames.shape[1], dim=0)
        for step in order:
            pixels = _STEPS[step](pixels, factors[:, step, None, None])
        whole = pixels.mul_(255).unflatten(0, (len(samples), frames.shape[1])).to(torch.uint8)
        for sample, image in zip(samples, whole, strict=True):
            made[sample] = image
    return made.permute(0, 1, 3, 4, 2)


def _crop(
    frames: "Sequence[torch.Tensor] | torch.Tensor",
    corners: Sequence[tuple[int, int]],
    height: int,
    width: int,
) -> "torch.Tensor":
    """Windows of (cameras, height, width, 3) frames, as (samples x cameras, 3, h, w) float32."""
    import torch

    made = torch.empty((len(frames), frames[0].shape[0], 3, height, width), device=frames[0].device)
    for out, frame, (top, left) in zip(made, frames, corners, strict=True):
        out.copy_(frame[:, top : top + height, left : left + width].permute(0, 3, 1, 2))
    return made.flatten(0, 1)


def _resize(pixels: "torch.Tensor", size: int) -> "torch.Tensor":
    """(images, 3, height, width) of 0 to 255, which is changed, to (images, 3, size, size)."""
    from torch.nn.functional import interpolate

    return interpolate(
        pixels.div_(255), size=(size, size), mode="bilinear", antialias=True, align_corners=False
    )


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
    made = torch.empty_like(pixels)
    for channel, offset in enumerate((3.0, 1.0, -1.0)):
        distance = hue + offset
        distance.sub_((distance / 6).round_(), alpha=6).abs_()
        weight = distance.neg_().add_(2).clamp_(0, 1)
        torch.addcmul(value, span, weight, value=-1, out=made[:, channel])
    return made.clamp_(0, 1)


def _grey(pixels: "torch.Tensor") -> "torch.Tensor":
    red, green, blue = pixels.unbind(1)
    return red.mul(LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])


_STEPS = (_brightness, _contrast, _saturation, _hue)
"""By the numbers of :attr:`Augmentation.order`."""
