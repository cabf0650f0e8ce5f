"""Parameters of the synthetic demonstrations."""

import hashlib
import json
from typing import Literal, Self

from pydantic import Field, model_validator

from gr00t_assets.core.files import FrozenModel
from gr00t_assets.core.yaml_files import explained_error

GENERATOR_VERSION = 1
"""Raised when the same parameters begin to give other demonstrations."""

CAMERAS = {"gr1_arms": ("ego_view",), "so101": ("front", "wrist")}
"""Cameras that each robot has."""

_SIZE = {"gr1_arms": (256, 256, 20.0), "so101": (640, 480, 30.0)}


class SyntheticSpec(FrozenModel):
    """What the generator draws: an arm that carries an object to a plate.

    Examples:
        >>> spec = SyntheticSpec(robot="so101", episodes=1)
        >>> spec.shown_cameras, spec.size, spec.rate
        (('front', 'wrist'), (640, 480), 30.0)
    """

    robot: Literal["gr1_arms", "so101"] = Field(
        default="gr1_arms", description="44 joint numbers in radians, or 6 in degrees"
    )
    episodes: int = Field(default=5, ge=1, le=10_000)
    min_frames: int = Field(default=130, ge=40, description="Rows of the shortest episode")
    max_frames: int = Field(default=190, le=10_000, description="Rows of the longest episode")
    width: int | None = Field(default=None, ge=64, le=1920, multiple_of=2, description="Pixels")
    height: int | None = Field(default=None, ge=64, le=1920, multiple_of=2, description="Pixels")
    fps: float | None = Field(default=None, ge=5, le=120, description="Rows per second")
    cameras: tuple[str, ...] | None = Field(default=None, min_length=1)
    seed: int = Field(default=0, ge=0, description="Of the scenes")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min_frames > self.max_frames:
            raise explained_error(
                f"min_frames {self.min_frames} is above max_frames {self.max_frames}"
            )
        available = CAMERAS[self.robot]
        unknown = [camera for camera in self.cameras or () if camera not in available]
        if unknown:
            raise explained_error(
                f"robot {self.robot} has no camera {', '.join(unknown)}; "
                f"it has: {', '.join(available)}"
            )
        return self

    @property
    def shown_cameras(self) -> tuple[str, ...]:
        """The cameras that are drawn."""
        return self.cameras or CAMERAS[self.robot]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        width, height, _ = _SIZE[self.robot]
        return self.width or width, self.height or height

    @property
    def rate(self) -> float:
        """Rows per second."""
        return self.fps or _SIZE[self.robot][2]

    def digest(self) -> str:
        """16 hex digits over all that decides what is drawn."""
        content = {
            "generator": GENERATOR_VERSION,
            "robot": self.robot,
            "episodes": self.episodes,
            "frames": [self.min_frames, self.max_frames],
            "size": self.size,
            "fps": self.rate,
            "cameras": self.shown_cameras,
            "seed": self.seed,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
