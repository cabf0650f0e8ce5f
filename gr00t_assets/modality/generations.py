"""What the generations of GR00T take of a dataset, where they differ.

N1.5 as in NVIDIA/Isaac-GR00T at a86e915, N1.7 at 65cc4a1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

GenerationName = Literal["n1.5", "n1.7"]


@dataclass(frozen=True)
class Generation:
    """A generation of GR00T.

    Attributes:
        max_state_dim: Numbers of state that its models take; of action that they give likewise.
        horizon: Actions that they predict at once, unless asked for others.
        image_size: Pixels of an image: of a square, or of the shorter edge.
        embodiment_ids: Embodiment tag to the row of the per-embodiment weights.
        clips: Whether what is normalised by least and greatest is clipped to them.
        stored_statistics: Whether ``meta/stats.json`` of a dataset is believed. N1.7 is scaled by
            percentiles, and LeRobot's are estimates.
    """

    max_state_dim: int
    max_action_dim: int
    horizon: int
    image_size: int
    embodiment_ids: Mapping[str, int]
    clips: bool = False
    stored_statistics: bool = True

    def defaults(self) -> dict[str, Any]:
        """What a data config of it has where it says nothing."""
        return {
            "max_state_dim": self.max_state_dim,
            "max_action_dim": self.max_action_dim,
            "action_indices": list(range(self.horizon)),
            "image_size": self.image_size,
        }


GENERATIONS: Mapping[str, Generation] = {
    "n1.5": Generation(
        max_state_dim=64,
        max_action_dim=32,
        horizon=16,
        image_size=224,
        embodiment_ids={"gr1": 24, "oxe_droid": 17, "agibot_genie1": 26, "new_embodiment": 31},
    ),
    "n1.7": Generation(
        max_state_dim=132,
        max_action_dim=132,
        horizon=40,
        image_size=256,
        embodiment_ids={
            "simpler_env_google": 0,
            "simpler_env_widowx": 1,
            "libero_sim": 2,
            "new_embodiment": 10,
            "robocasa_panda_omron": 10,
            "robocasa_gr1_tabletop": 10,
            "unitree_g1_sonic": 11,
            "oxe_droid_relative_eef_relative_joint": 24,
            "real_g1_relative_eef_relative_joints": 25,
            "unitree_g1_full_body_with_waist_height_nav_cmd": 25,
            "real_r1_pro_sharpa_relative_eef": 26,
            "real_r1_pro_sharpa_relative_eef_human": 26,
            "real_r1_pro_sharpa_relative_eef_maxinsights": 26,
            "real_r1_pro_sharpa_relative_eef_mecka": 26,
            "xdof_relative_eef_relative_joint": 27,
            "xdof_relative_eef_relative_joint_subtask": 27,
        },
        clips=True,
        stored_statistics=False,
    ),
}

EMBODIMENT_TAGS = tuple(
    dict.fromkeys(tag for item in GENERATIONS.values() for tag in item.embodiment_ids)
)
"""Those of any generation."""
