import colorsys

import numpy as np
import pytest
import torch

from gr00t_assets.modality.data_config import ColorJitter
from gr00t_assets.modality.images import Augmentation, crop_size, draw_augmentation, prepare_images
from gr00t_assets_tests.modality.image_reference import (
    adjust_brightness,
    adjust_colors,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
)

NO_JITTER = ColorJitter(brightness=0, contrast=0, saturation=0, hue=0)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _frames(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)


def prepare_image(frame: np.ndarray, size: int = 224) -> np.ndarray:
    """One frame, or frames of any leading shape, as a batch of one sample."""
    batch = torch.from_numpy(frame.reshape(1, -1, *frame.shape[-3:]))
    return prepare_images(batch, size, 0.95).numpy().reshape(*frame.shape[:-3], size, size, 3)


def augment_image(
    frame: np.ndarray, size: int, scale: float, jitter: ColorJitter, generator: torch.Generator
) -> np.ndarray:
    """One sample of one camera or several, as a batch of one."""
    batch = torch.from_numpy(frame.reshape(1, -1, *frame.shape[-3:]))
    height, width = frame.shape[-3:-1]
    drawn = [draw_augmentation(height, width, scale, jitter, generator)]
    images = prepare_images(batch, size, scale, drawn).numpy()
    return images.reshape(*frame.shape[:-3], size, size, 3)


def test_crop_size() -> None:
    assert crop_size(256, 256, 0.95) == (243, 243)
    assert crop_size(480, 640, 0.95) == (456, 608)


def test_the_centre_crop_of_256_goes_from_6_to_249() -> None:
    frame = np.zeros((256, 256, 3), np.uint8)
    frame[6:249, 6:249] = 255
    inside = prepare_image(frame)
    assert (inside >= 254).all(), "the border of the frame is in the crop"
    frame[6, :] = 0
    assert (prepare_image(frame)[0] < 200).all(), "row 6 is not in the crop"


def test_any_leading_shape_gives_the_same_images() -> None:
    frames = _frames(2, 3, 60, 80)
    together = prepare_image(frames, size=32)
    assert together.shape == (2, 3, 32, 32, 3)
    assert together.dtype == np.uint8
    np.testing.assert_array_equal(together[1, 2], prepare_image(frames[1, 2], size=32))


def test_other_than_uint8_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="uint8"):
        prepare_images(torch.zeros(1, 1, 8, 8, 3), 8, 0.95)
    with pytest.raises(ValueError, match="height, width, 3"):
        prepare_images(torch.zeros(8, 8, 3, dtype=torch.uint8), 8, 0.95, [])


def test_augmentation_comes_from_the_generator_alone() -> None:
    frame = _frames(64, 64)
    torch.manual_seed(1)
    one = augment_image(frame, 32, 0.95, ColorJitter(), _generator(7))
    torch.manual_seed(2)
    again = augment_image(frame, 32, 0.95, ColorJitter(), _generator(7))
    other = augment_image(frame, 32, 0.95, ColorJitter(), _generator(8))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    assert one.shape == (32, 32, 3)


def test_cameras_of_one_sample_share_crop_and_colours() -> None:
    frame = _frames(64, 64)
    cameras = augment_image(np.stack([frame, frame]), 32, 0.9, ColorJitter(), _generator())
    np.testing.assert_array_equal(cameras[0], cameras[1])


def test_random_crops_reach_every_place() -> None:
    """Without colours and without resizing a crop is a window of the frame."""
    frame = np.zeros((10, 10, 3), np.uint8)
    frame[..., 0] = np.arange(10)[:, None] * 20
    frame[..., 1] = np.arange(10) * 20
    generator = _generator()
    corners = set()
    for _ in range(200):
        made = augment_image(frame, 8, 0.8, NO_JITTER, generator)
        top, left = (np.rint(made[0, 0, :2].astype(float) / 20)).astype(int)
        expected = frame[top : top + 8, left : left + 8].astype(int)
        assert np.abs(expected - made).max() <= 1
        corners.add((int(top), int(left)))
    assert corners == {(top, left) for top in range(3) for left in range(3)}


def test_colour_steps_worked_by_hand() -> None:
    pixels = torch.tensor([[0.2, 0.8], [0.4, 0.4], [0.6, 0.0]], dtype=torch.float64)[:, None]
    grey = 0.2989 * pixels[0] + 0.587 * pixels[1] + 0.114 * pixels[2]
    torch.testing.assert_close(adjust_brightness(pixels, 1.5), (1.5 * pixels).clamp(0, 1))
    torch.testing.assert_close(adjust_saturation(pixels, 0.5), 0.5 * pixels + 0.5 * grey)
    torch.testing.assert_close(adjust_saturation(pixels, 0.0), grey.expand(3, 1, 2))
    torch.testing.assert_close(adjust_contrast(pixels, 0.6), 0.6 * pixels + 0.4 * grey.mean())


def test_contrast_takes_each_images_own_mean() -> None:
    pixels = torch.stack([torch.zeros(3, 4, 4), torch.full((3, 4, 4), 0.5)])
    torch.testing.assert_close(adjust_contrast(pixels, 0.5)[0], torch.zeros(3, 4, 4))


@pytest.mark.parametrize("shift", [-0.08, 0.05, 0.3, -0.5])
def test_hue_is_that_of_colorsys(shift: float) -> None:
    colors = np.random.default_rng(0).uniform(0, 1, (50, 3))
    colors[:3] = [[0.5, 0.5, 0.5], [0, 0, 0], [1, 0, 1]]
    expected = []
    for color in colors:
        hue, saturation, value = colorsys.rgb_to_hsv(*color)
        expected.append(colorsys.hsv_to_rgb((hue + shift) % 1, saturation, value))
    found = adjust_hue(torch.from_numpy(colors.T[:, None].copy()), shift)[:, 0].T
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def _drawn(jitter: ColorJitter, generator: torch.Generator) -> Augmentation:
    return draw_augmentation(64, 64, 0.95, jitter, generator)


@pytest.mark.parametrize("step", range(3))
def test_factors_span_their_range(step: int) -> None:
    generator = _generator()
    jitter = ColorJitter(brightness=0.3, contrast=0.4, saturation=5)
    factors = [_drawn(jitter, generator).factors[step] for _ in range(800)]
    low, high = [(0.7, 1.3), (0.6, 1.4), (0, 6)][step]
    near = (high - low) / 50
    assert low <= min(factors) < low + near
    assert high - near < max(factors) <= high
    assert abs(np.mean(factors) - (low + high) / 2) < 3 * near


def test_the_hues_shift_spans_its_range() -> None:
    generator = _generator()
    shifts = [_drawn(ColorJitter(), generator).factors[3] for _ in range(400)]
    assert -0.08 <= min(shifts) < -0.075
    assert 0.075 < max(shifts) <= 0.08


def test_every_order_of_the_four_steps_is_drawn() -> None:
    generator = _generator()
    assert len({_drawn(ColorJitter(), generator).order for _ in range(300)}) == 24


def test_steps_are_taken_in_the_order_that_was_drawn() -> None:
    color = torch.tensor([0.9, 0.5, 0.2])[:, None, None].expand(1, 3, 2, 2)
    factors = (1.3, 0.6, 1.5, 0.08)
    expected = adjust_hue(
        adjust_contrast(adjust_brightness(adjust_saturation(color, 1.5), 1.3), 0.6), 0.08
    )
    found = adjust_colors(color, Augmentation(0, 0, (2, 0, 1, 3), factors))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    other = adjust_colors(color, Augmentation(0, 0, (0, 1, 2, 3), factors))
    assert (other - found).abs().max() > 0.01


def test_no_jitter_changes_nothing() -> None:
    pixels = torch.rand(2, 3, 8, 8, generator=_generator())
    drawn = _drawn(NO_JITTER, _generator())
    torch.testing.assert_close(adjust_colors(pixels, drawn), pixels)
