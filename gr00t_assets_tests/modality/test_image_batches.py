"""Batches of images against the reference, which takes one sample at a time."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from gr00t_assets.modality.data_config import ColorJitter
from gr00t_assets.modality.images import Augmentation, draw_augmentation, prepare_images
from gr00t_assets_tests.modality import image_reference
from gr00t_assets_tests.modality.image_reference import augment_image, prepare_image

WIDE = ColorJitter(brightness=1, contrast=1, saturation=2, hue=0.5)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _frames(seed: int, *shape: int) -> torch.Tensor:
    """Noise, with edges between black, white, grey and pure colours in a corner."""
    frames = torch.randint(0, 256, (*shape, 3), dtype=torch.uint8, generator=_generator(seed))
    palette = torch.tensor(
        [[0, 0, 0], [255, 255, 255], [128, 128, 128], [255, 0, 0], [0, 255, 255], [0, 255, 0]],
        dtype=torch.uint8,
    )
    for place, color in enumerate(palette):
        frames[..., :16, 4 * place : 4 * place + 4, :] = color
    return frames


def _levels_apart(made: torch.Tensor, expected: Sequence[np.ndarray]) -> tuple[int, float]:
    apart = np.abs(made.numpy().astype(int) - np.stack(expected).astype(int))
    return int(apart.max()), float((apart != 0).mean())


@pytest.mark.parametrize("jitter", [ColorJitter(), WIDE])
@pytest.mark.parametrize(
    ("samples", "cameras", "height", "width", "size", "scale"),
    [
        (64, 1, 64, 64, 56, 0.95),
        (24, 2, 60, 80, 32, 0.9),
        (5, 3, 48, 64, 70, 0.5),
        (2, 1, 256, 256, 224, 0.95),
        (1, 1, 33, 47, 47, 1.0),
    ],
)
def test_a_batch_is_its_samples_one_by_one(
    jitter: ColorJitter,
    samples: int,
    cameras: int,
    height: int,
    width: int,
    size: int,
    scale: float,
) -> None:
    frames = _frames(samples, samples, cameras, height, width)
    before = frames.clone()
    draws = _generator(3)
    drawn = [draw_augmentation(height, width, scale, jitter, draws) for _ in range(samples)]
    made = prepare_images(frames, size, scale, drawn)
    assert made.shape == (samples, cameras, size, size, 3)
    assert made.dtype == torch.uint8
    generator = _generator(3)
    expected = [augment_image(one.numpy(), size, scale, jitter, generator) for one in frames]
    largest, share = _levels_apart(made, expected)
    assert largest <= 1
    assert share < 1e-3, "more than rounding differs"
    assert torch.equal(frames, before), "the frames are read only"


def test_each_step_alone_and_each_order() -> None:
    """Every order with strong factors, so that no step and no place of it goes unseen."""
    generator = _generator()
    orders = {tuple(torch.randperm(4, generator=generator).tolist()) for _ in range(400)}
    assert len(orders) == 24
    frames = _frames(0, 48, 1, 40, 40)
    strong, mild = (0.4, 1.8, 0.2, 0.31), (1.6, 0.3, 2.5, -0.44)
    drawn = [
        Augmentation(place % 3, place % 2, order, factors)  # type: ignore[arg-type]
        for place, order in enumerate(sorted(orders))
        for factors in (strong, mild)
    ]
    made = prepare_images(frames, 32, 0.95, drawn)
    expected = []
    for one, frame in zip(drawn, frames, strict=True):
        window = frame[:, one.top : one.top + 38, one.left : one.left + 38].numpy()
        pixels = image_reference.adjust_colors(image_reference.resize(window, 32), one)
        expected.append(image_reference.to_uint8(pixels))
    assert _levels_apart(made, expected)[0] <= 1


def test_a_sample_is_the_same_in_any_batch() -> None:
    frames = _frames(1, 12, 2, 64, 64)
    generator = _generator()
    drawn = [draw_augmentation(64, 64, 0.95, ColorJitter(), generator) for _ in range(12)]
    whole = prepare_images(frames, 56, 0.95, drawn)
    for sample in range(12):
        alone = prepare_images(frames[sample : sample + 1], 56, 0.95, drawn[sample : sample + 1])
        assert torch.equal(alone[0], whole[sample])


def test_draws_come_from_the_generator_alone() -> None:
    def draws(seed: int) -> list[Augmentation]:
        generator = _generator(seed)
        return [draw_augmentation(64, 80, 0.95, ColorJitter(), generator) for _ in range(9)]

    torch.manual_seed(1)
    one = draws(7)
    torch.manual_seed(2)
    assert one == draws(7)
    assert one != draws(8)
    assert len(set(one)) == 9


@pytest.mark.parametrize(("samples", "cameras", "size"), [(19, 1, 56), (3, 2, 32), (0, 1, 32)])
def test_prepared_images_are_the_definitions(samples: int, cameras: int, size: int) -> None:
    frames = _frames(2, samples, cameras, 60, 80)
    made = prepare_images(frames, size, 0.95)
    assert made.shape == (samples, cameras, size, size, 3)
    np.testing.assert_array_equal(made.numpy(), prepare_image(frames.numpy(), size, 0.95))
