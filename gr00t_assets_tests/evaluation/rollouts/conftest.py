"""A point that a policy trained on drawn demonstrations is rolled out with."""

from typing import Any

import pytest

from gr00t_assets.environments.environment_file import Environment
from gr00t_assets.modality.config import ModalityConfig
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets_tests.environments.point_env import POINT
from gr00t_assets_tests.environments.processes import no_fork_server_left

__all__ = ["no_fork_server_left"]


def point(**fields: Any) -> Environment:
    """The point as it is declared, with other fields."""
    return Environment.model_validate({**POINT, "name": "point", **fields})


def fitting_point(config: ModalityConfig, **fields: Any) -> Environment:
    """A point with the camera, joints and rate of a modality config."""
    start, observation = 0, {f"video.{camera.key}": "pixels" for camera in config.video}
    for key in config.state:
        end = start + key.end - key.start
        observation[f"state.{key.key}"] = f"state[{start}:{end}]"
        start = end
    kwargs = {"numbers": start, **fields.pop("kwargs", {})}
    action = [key.key for key in config.action]
    declared = {"observation": observation, "action": action, "kwargs": kwargs}
    return point(**{**declared, "fps": config.video[0].fps, **fields})


@pytest.fixture(scope="session")
def environment(trained: TrainingSpec) -> Environment:
    """One that fits the run ``trained``."""
    return fitting_point(trained.datasets[0].config)
