"""The image pipeline one sample and one step at a time, to hold the batched one against."""

import numpy as np
import torch
from torch.nn.functional import interpolate

from gr00t_assets.modality.data_config import ColorJitter
from gr00t_assets.modality.images import Augmentation, crop_size, draw_augmentation

LUMA = (0.2989, 0.587, 0.114)


def prepare_image(frame: np.ndarray, size: int = 224, crop_scale: float = 0.95) -> np.ndarray:
    """Centre crop and resize, as in evaluation.

    Args:
        frame: (..., height, width, 3) uint8: one frame, or any number of one resolution.
        size: Pixels of the square wanted.
        crop_scale: Share of height and width that is kept.

    Returns:
        (..., size, size, 3) uint8; equal to the last level to Isaac-GR00T's.
    """
    frames, leading = _stacked(frame)
    height, width = crop_size(frames.shape[1], frames.shape[2], crop_scale)
    top = round((frames.shape[1] - height) / 2)
    left = round((frames.shape[2] - width) / 2)
    pixels = resize(frames[:, top : top + height, left : left + width], size)
    return to_uint8(pixels).reshape(*leading, size, size, 3)


def augment_image(
    frame: np.ndarray, size: int, crop_scale: float, jitter: ColorJitter, generator: torch.Generator
) -> np.ndarray:
    """Random crop, resize and random colours of one sample, as in training.

    Args:
        frame: (height, width, 3) uint8, or (cameras, height, width, 3): cameras of one sample,
            which share the crop and the colour change.
        size: Pixels of the square wanted.
        crop_scale: Share of height and width that is kept.
        jitter: Half-widths of the colour factors.
        generator: A CPU generator; the only source of randomness.

    Returns:
        (size, size, 3) or (cameras, size, size, 3) uint8.
    """
    frames, leading = _stacked(frame)
    height, width = crop_size(frames.shape[1], frames.shape[2], crop_scale)
    drawn = draw_augmentation(frames.shape[1], frames.shape[2], crop_scale, jitter, generator)
    top, left = drawn.top, drawn.left
    pixels = resize(frames[:, top : top + height, left : left + width], size)
    pixels = adjust_colors(pixels, drawn)
    return to_uint8(pixels).reshape(*leading, size, size, 3)


def adjust_colors(pixels: torch.Tensor, drawn: Augmentation) -> torch.Tensor:
    """Change brightness, contrast, saturation and hue in the order that was drawn.

    Args:
        pixels: (images, 3, height, width) in [0, 1]; all get the same change.
        drawn: The order and the factors.

    Returns:
        Of the same shape, in [0, 1].
    """
    steps = (adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue)
    for step in drawn.order:
        pixels = steps[step](pixels, drawn.factors[step])
    return pixels


def adjust_brightness(pixels: torch.Tensor, factor: float) -> torch.Tensor:
    """Blend (..., 3, height, width) in [0, 1] with black: 0 is black, 1 changes nothing."""
    return pixels.mul(factor).clamp_(0, 1)


def adjust_contrast(pixels: torch.Tensor, factor: float) -> torch.Tensor:
    """Blend with the image's mean grey, one per image."""
    mean = _grey(pixels).mean(dim=(-3, -2, -1), keepdim=True)
    return pixels.mul(factor).add_(mean, alpha=1 - factor).clamp_(0, 1)


def adjust_saturation(pixels: torch.Tensor, factor: float) -> torch.Tensor:
    """Blend with the grey image."""
    return pixels.mul(factor).add_(_grey(pixels), alpha=1 - factor).clamp_(0, 1)


def adjust_hue(pixels: torch.Tensor, shift: float) -> torch.Tensor:
    """Turn the hue by ``shift`` of the colour circle; value and saturation in HSV stay.

    A channel of hue offset n (red 5, green 3, blue 1) is v - (v - min) * clamp(min(k, 4 - k), 0, 1)
    with k = (n + 6 hue) mod 6, which is the closed form of the table of six sectors.
    """
    red, green, blue = pixels.unbind(-3)
    value, least = pixels.amax(-3), pixels.amin(-3)
    span = value - least
    safe = torch.where(span == 0, torch.ones_like(span), span)
    sextant = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    ).add_(6 * shift)
    offsets = torch.tensor([5.0, 3.0, 1.0], dtype=pixels.dtype, device=pixels.device)
    k = sextant.unsqueeze(-3).add(offsets[:, None, None]).remainder_(6)
    weight = torch.minimum(k, 4 - k).clamp_(0, 1)
    return torch.addcmul(value.unsqueeze(-3), span.unsqueeze(-3), weight, value=-1).clamp_(0, 1)


def _grey(pixels: torch.Tensor) -> torch.Tensor:
    red, green, blue = pixels.unbind(-3)
    grey = red.mul(LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])
    return grey.unsqueeze(-3)


def _stacked(frame: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    if frame.dtype != np.uint8 or frame.ndim < 3 or frame.shape[-1] != 3:
        raise ValueError(
            f"frames are uint8 (..., height, width, 3), not {frame.dtype} {frame.shape}"
        )
    return frame.reshape(-1, *frame.shape[-3:]), frame.shape[:-3]


def resize(frames: np.ndarray, size: int) -> torch.Tensor:
    """(N, height, width, 3) uint8 to (N, 3, size, size) float32 in [0, 1]."""
    pixels = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
    return interpolate(
        pixels.to(torch.float32) / 255.0,
        size=(size, size),
        mode="bilinear",
        antialias=True,
        align_corners=False,
    )


def to_uint8(pixels: torch.Tensor) -> np.ndarray:
    return (pixels.permute(0, 2, 3, 1) * 255).to(torch.uint8).numpy()
