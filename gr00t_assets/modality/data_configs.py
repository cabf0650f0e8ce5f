"""The twelve data configs of GR00T N1.5 and its embodiment tags, as tables.

The facts are those of ``gr00t/experiment/data_config.py`` and ``gr00t/data/embodiment_tags.py`` in
NVIDIA/Isaac-GR00T at a86e915, where each config is a class.

In the tables below ``key`` stands for a key whose numbers pass as they are, ``key:min_max`` for
one that is normalised so, ``key:sin_cos`` for one replaced by its sines and cosines, and
``key>rotation_6d:min_max`` for one turned into another representation of rotation first.
"""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.names import did_you_mean

ACTION_HORIZON = 16
"""Rows of action that the model predicts at once; the same in all twelve."""

NORMALIZATIONS = ("min_max", "q99", "mean_std", "binary")

EMBODIMENT_IDS: Mapping[str, int] = {
    "gr1": 24,
    "oxe_droid": 17,
    "agibot_genie1": 26,
    "new_embodiment": 31,
}
"""Embodiment tag to the row of the action head's per-embodiment weights."""


class VectorKeyConfig(BaseModel):
    """What a data config does to one state or action key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(description="Name in modality.json, without its modality: left_arm")
    target_rotation: str | None = Field(default=None, description="Representation for the model")
    normalization: str | None = Field(default=None, description="One of NORMALIZATIONS, or none")
    sin_cos: bool = Field(default=False, description="Replaced by its sines and cosines")

    @classmethod
    def parse(cls, text: str) -> "VectorKeyConfig":
        """Read the shorthand of the tables.

        Example:
            >>> found = VectorKeyConfig.parse("base_rotation>rotation_6d:min_max")
            >>> found.key, found.target_rotation, found.normalization
            ('base_rotation', 'rotation_6d', 'min_max')
        """
        name, _, change = text.partition(":")
        key, _, rotation = name.partition(">")
        sin_cos = change == "sin_cos"
        if change and not sin_cos and change not in NORMALIZATIONS:
            raise ValueError(f"'{text}': unknown transform '{change}'")
        return cls(
            key=key,
            target_rotation=rotation or None,
            normalization=None if sin_cos else change or None,
            sin_cos=sin_cos,
        )


class ColorJitter(BaseModel):
    """Half-widths of the random colour factors in training, in torchvision's meaning."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    brightness: float = 0.3
    contrast: float = 0.4
    saturation: float = 0.5
    hue: float = Field(default=0.08, description="Share of the whole colour circle")


class DataConfig(BaseModel):
    """GR00T's named choice of camera, state, action and language keys and their transforms."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    video: tuple[str, ...] = Field(description="Camera keys, in the order that the model sees")
    state: tuple[VectorKeyConfig, ...] = Field(description="In the order of concatenation")
    action: tuple[VectorKeyConfig, ...] = Field(description="In the order of concatenation")
    language: str = Field(description="Key with its prefix: annotation.human.task_description")
    observation_indices: tuple[int, ...] = (0,)
    action_indices: tuple[int, ...] = tuple(range(ACTION_HORIZON))
    max_state_dim: int = 64
    max_action_dim: int = 32
    image_size: int = Field(default=224, description="Pixels of the square that the model sees")
    crop_scale: float = Field(default=0.95, description="Share of height and width that is kept")
    color_jitter: ColorJitter = ColorJitter()


def _config(name: str, video: str, state: str, action: str, language: str) -> DataConfig:
    return DataConfig(
        name=name,
        video=tuple(video.split()),
        state=tuple(VectorKeyConfig.parse(text) for text in state.split()),
        action=tuple(VectorKeyConfig.parse(text) for text in action.split()),
        language=f"annotation.{language}",
    )


_ARMS_AND_HANDS = "left_arm:min_max right_arm:min_max left_hand:min_max right_hand:min_max"
_SO100 = "single_arm:min_max gripper:min_max"
_WAIST_AND_NECK = "waist:min_max neck:min_max"
_AGIBOT = (
    "left_arm_joint_position:min_max right_arm_joint_position:min_max"
    " left_effector_position:min_max right_effector_position:min_max"
    " head_position:min_max waist_position:min_max"
)

DATA_CONFIGS: Mapping[str, DataConfig] = {
    config.name: config
    for config in (
        _config(
            name="fourier_gr1_arms_waist",
            video="ego_view",
            state="left_arm:sin_cos right_arm:sin_cos left_hand:sin_cos right_hand:sin_cos"
            " waist:sin_cos",
            action=f"{_ARMS_AND_HANDS} waist:min_max",
            language="human.coarse_action",
        ),
        _config(
            name="fourier_gr1_arms_only",
            video="ego_view",
            state="left_arm:sin_cos right_arm:sin_cos left_hand:sin_cos right_hand:sin_cos",
            action=_ARMS_AND_HANDS,
            language="human.action.task_description",
        ),
        _config(
            name="fourier_gr1_full_upper_body",
            video="front_view",
            state=f"{_ARMS_AND_HANDS} {_WAIST_AND_NECK}",
            action=f"{_ARMS_AND_HANDS} {_WAIST_AND_NECK}",
            language="human.action.task_description",
        ),
        _config(
            name="bimanual_panda_gripper",
            video="right_wrist_view left_wrist_view front_view",
            state="right_arm_eef_pos:min_max right_arm_eef_quat>rotation_6d"
            " right_gripper_qpos:min_max"
            " left_arm_eef_pos:min_max left_arm_eef_quat>rotation_6d"
            " left_gripper_qpos:min_max",
            action="right_arm_eef_pos right_arm_eef_rot right_gripper_close:binary"
            " left_arm_eef_pos left_arm_eef_rot left_gripper_close:binary",
            language="human.action.task_description",
        ),
        _config(
            name="bimanual_panda_hand",
            video="right_wrist_view left_wrist_view ego_view",
            state="right_arm_eef_pos:min_max right_arm_eef_quat>rotation_6d right_hand:min_max"
            " left_arm_eef_pos:min_max left_arm_eef_quat>rotation_6d left_hand:min_max",
            action="right_arm_eef_pos right_arm_eef_rot right_hand:min_max"
            " left_arm_eef_pos left_arm_eef_rot left_hand:min_max",
            language="human.action.task_description",
        ),
        _config(
            name="single_panda_gripper",
            video="left_view right_view wrist_view",
            state="end_effector_position_relative:min_max"
            " end_effector_rotation_relative>rotation_6d:min_max gripper_qpos:min_max"
            " base_position:min_max base_rotation>rotation_6d:min_max",
            action="end_effector_position:min_max end_effector_rotation:min_max"
            " gripper_close:binary base_motion:min_max control_mode:binary",
            language="human.action.task_description",
        ),
        _config(
            name="so100",
            video="webcam",
            state=_SO100,
            action=_SO100,
            language="human.task_description",
        ),
        _config(
            name="so100_dualcam",
            video="front wrist",
            state=_SO100,
            action=_SO100,
            language="human.task_description",
        ),
        _config(
            name="unitree_g1",
            video="rs_view",
            state=_ARMS_AND_HANDS,
            action=_ARMS_AND_HANDS,
            language="human.task_description",
        ),
        _config(
            name="unitree_g1_full_body",
            video="rs_view",
            state=f"left_leg:min_max right_leg:min_max waist:min_max {_ARMS_AND_HANDS}",
            action=_ARMS_AND_HANDS,
            language="human.task_description",
        ),
        _config(
            name="oxe_droid",
            video="exterior_image_1 exterior_image_2 wrist_image",
            state="eef_position:min_max eef_rotation>rotation_6d gripper_position:min_max",
            action="eef_position_delta eef_rotation_delta>axis_angle gripper_position:binary",
            language="language.language_instruction",
        ),
        _config(
            name="agibot_genie1",
            video="top_head hand_left hand_right",
            state=_AGIBOT,
            action=f"{_AGIBOT} robot_velocity:min_max",
            language="language.action_text",
        ),
    )
}
"""The data configs of N1.5 by name, in NVIDIA's order."""


def find_data_config(name: str) -> DataConfig:
    """The data config of that name.

    Raises:
        DatasetError: There is none; the message names the closest.

    Example:
        >>> find_data_config("so100_dualcam").video
        ('front', 'wrist')
    """
    if name not in DATA_CONFIGS:
        raise DatasetError(
            name,
            "there is no data config of this name.",
            [did_you_mean(name, DATA_CONFIGS), f"data configs: {', '.join(DATA_CONFIGS)}"],
        )
    return DATA_CONFIGS[name]
