"""What a data config does to one state key, one action key or one camera.

Names and meaning are those of Isaac-GR00T: of ``StateActionTransform`` in
``gr00t/data/transform/state_action.py`` at a86e915, and of N1.7's ``ActionConfig`` in
``gr00t/data/types.py`` at 65cc4a1, whose names are written in upper case there and in either here.
"""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from gr00t_assets.core.files import FrozenModel
from gr00t_assets.core.yaml_files import explained_error
from gr00t_assets.modality.rotations import ROTATION_DIMS, RotationName

Normalization = Literal["min_max", "q99", "percentiles", "mean_std", "binary", "none"]

POSE_ROTATIONS = {"xyz_rot6d": "rotation_6d", "xyz_rotvec": "axis_angle"}
"""How the rotation of a pose is written, behind its three coordinates, by N1.7's format."""


class KeyTransforms(FrozenModel):
    """What a data config does to one state or action key; nothing by default."""

    rotation_type: RotationName = Field(
        default=None, description="Representation in the data, where modality.json does not say"
    )
    target_rotation: RotationName = Field(default=None, description="Representation for the model")
    normalization: Normalization | None = Field(
        default=None, description="Of the numbers; nothing is done by default"
    )
    sin_cos: bool = Field(default=False, description="Replaced by its sines and cosines")

    @field_validator("normalization", mode="before")
    @classmethod
    def _none_is_nothing(cls, value: Any) -> Any:
        return None if value == "none" else value

    @model_validator(mode="after")
    def _one_kind_of_transform(self) -> "KeyTransforms":
        if self.sin_cos and (self.normalization or self.target_rotation):
            raise explained_error("sin_cos stands alone, without normalization and target_rotation")
        return self

    def dim(self, size: int, rotation: str | None) -> int:
        """Numbers for the model of ``size`` numbers in the data, which are ``rotation`` there.

        Examples:
            >>> KeyTransforms(sin_cos=True).dim(7, None)
            14
            >>> KeyTransforms(target_rotation="rotation_6d").dim(4, "quaternion")
            6
        """
        if self.sin_cos:
            return 2 * size
        target = self.target_rotation
        return size if target in (None, rotation) else ROTATION_DIMS[target]


class ActionTransforms(KeyTransforms):
    """What a data config does to one action key, with the fields of N1.7's action configs."""

    rep: Literal["absolute", "relative"] = Field(
        default="absolute", description="As it is, or against the state of the chunk's first row"
    )
    type: Literal["non_eef", "eef"] = Field(
        default="non_eef", description="Numbers, or the pose of an end effector"
    )
    format: Literal["default", "xyz_rot6d", "xyz_rotvec"] = Field(
        default="default", description="How a pose is written: position, then rotation"
    )
    state_key: str | None = Field(
        default=None, description="State key that it is relative to; the same name by default"
    )

    @field_validator("rep", "type", "format", mode="before")
    @classmethod
    def _any_case(cls, value: Any) -> Any:
        name = value.lower() if isinstance(value, str) else value
        if name == "delta":
            raise explained_error("'delta' is not supported; write relative or absolute")
        return name

    @model_validator(mode="after")
    def _fits_together(self) -> "ActionTransforms":
        if (self.type == "eef") != (self.format != "default"):
            raise explained_error(
                "type eef and format go together: give both, with format xyz_rot6d or xyz_rotvec"
            )
        if self.type == "eef" and (self.target_rotation or self.rotation_type):
            raise explained_error(
                "a pose has the rotation of its format; leave rotation_type and target_rotation out"
            )
        if self.rep == "relative" and (self.sin_cos or self.normalization == "binary"):
            raise explained_error(
                "a relative action takes no sin_cos and no binary; leave rep out, or them"
            )
        if self.state_key is not None and self.rep == "absolute":
            raise explained_error("state_key is of relative actions; add rep: relative")
        return self


class CameraTransforms(FrozenModel):
    """How the images of one camera are cut and resized; as the data config says by default."""

    region: tuple[float, float, float, float] | None = Field(
        default=None,
        description="Cut out first: left, top, right, bottom as shares of width and height",
    )
    crop_scale: float | None = Field(
        default=None, gt=0, le=1, description="Share of height and width, in place of the common"
    )
    resize: Literal["stretch", "letterbox"] = Field(
        default="stretch", description="To the square: stretched, or with black borders"
    )

    @field_validator("region")
    @classmethod
    def _inside(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        left, top, right, bottom = value or (0, 0, 1, 1)
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise ValueError("left < right and top < bottom, all of them from 0 to 1")
        return value

    @property
    def is_default(self) -> bool:
        """Whether nothing of its own is done to the camera."""
        return self == CameraTransforms()

    def text(self) -> str:
        """What is done to the camera, for people; empty where it is what the data config says."""
        parts = (
            "region " + " ".join(f"{side:g}" for side in self.region) if self.region else "",
            f"crop {self.crop_scale:g}" if self.crop_scale else "",
            self.resize if self.resize != "stretch" else "",
        )
        return ", ".join(filter(None, parts))
