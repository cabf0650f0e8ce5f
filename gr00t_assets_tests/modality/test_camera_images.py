"""Cameras that are cut and resized in their own way."""

import numpy as np
import torch

from gr00t_assets.modality.camera_images import ImageRecipe, camera_images, camera_view
from gr00t_assets.modality.config import VideoKey
from gr00t_assets.modality.data_config import ColorJitter
from gr00t_assets.modality.images import draw_augmentation, prepare_images
from gr00t_assets.modality.key_config import CameraTransforms
from gr00t_assets_tests.trainers.isaac_gr00t.own_data_config import frames, own_config

_FRAMES = torch.from_numpy(frames())


def _key(**settings: object) -> VideoKey:
    own = CameraTransforms.model_validate(settings)
    return VideoKey(key="c", original_key="c", height=120, width=160, fps=30, transforms=own)


def test_a_camera_without_settings_is_as_if_none_had_any() -> None:
    config = own_config()
    images = camera_images(_FRAMES, ImageRecipe(56), config)
    np.testing.assert_array_equal(images[:, 0], prepare_images(_FRAMES[:, :1], 56, 0.95)[:, 0])
    np.testing.assert_array_equal(images[:, 1], prepare_images(_FRAMES[:, 1:], 56, 0.8)[:, 0])
    plain = tuple(key.model_copy(update={"transforms": CameraTransforms()}) for key in config.video)
    both = camera_images(_FRAMES, ImageRecipe(56), config.model_copy(update={"video": plain}))
    np.testing.assert_array_equal(both, prepare_images(_FRAMES, 56, 0.95))


def test_a_region_and_borders() -> None:
    view = camera_view(_FRAMES[:, :1], _key(region=[0.25, 0, 0.75, 0.5], resize="letterbox"))
    assert view.shape == (1, 1, 80, 80, 3)
    np.testing.assert_array_equal(view[:, :, 10:70], _FRAMES[:, :1, :60, 40:120])
    assert not view[:, :, :10].any() and not view[:, :, 70:].any()


def test_in_training_a_camera_takes_the_colours_of_its_sample() -> None:
    config, generator = own_config(), torch.Generator().manual_seed(0)
    drawn = [draw_augmentation(120, 160, config.crop_scale, ColorJitter(), generator)]
    images = camera_images(_FRAMES, ImageRecipe(56), config, drawn)
    common = prepare_images(_FRAMES[:, :1], 56, config.crop_scale, drawn)
    np.testing.assert_array_equal(images[:, :1], common)
    assert images[:, 1].float().std() > 1 and images.shape == (1, 2, 56, 56, 3)
