import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.modality.data_configs import (
    DATA_CONFIGS,
    EMBODIMENT_IDS,
    NORMALIZATIONS,
    VectorKeyConfig,
    find_data_config,
)
from gr00t_assets.modality.rotations import ROTATION_DIMS


def test_the_twelve_of_n1_5() -> None:
    assert list(DATA_CONFIGS) == [
        "fourier_gr1_arms_waist",
        "fourier_gr1_arms_only",
        "fourier_gr1_full_upper_body",
        "bimanual_panda_gripper",
        "bimanual_panda_hand",
        "single_panda_gripper",
        "so100",
        "so100_dualcam",
        "unitree_g1",
        "unitree_g1_full_body",
        "oxe_droid",
        "agibot_genie1",
    ]
    assert EMBODIMENT_IDS == {
        "gr1": 24,
        "oxe_droid": 17,
        "agibot_genie1": 26,
        "new_embodiment": 31,
    }


@pytest.mark.parametrize("config", DATA_CONFIGS.values(), ids=lambda config: config.name)
def test_every_config_is_whole(config) -> None:
    for keys in (config.state, config.action):
        assert len({key.key for key in keys}) == len(keys)
        for key in keys:
            assert key.normalization in (None, *NORMALIZATIONS)
            assert key.target_rotation in (None, *ROTATION_DIMS)
    assert config.language.startswith("annotation.")
    assert len(config.action_indices) == 16
    assert (config.max_state_dim, config.max_action_dim) == (64, 32)


def test_facts_that_differ_between_configs() -> None:
    arms = DATA_CONFIGS["fourier_gr1_arms_only"]
    assert [key.key for key in arms.state] == ["left_arm", "right_arm", "left_hand", "right_hand"]
    assert all(key.sin_cos and key.normalization is None for key in arms.state)
    assert all(key.normalization == "min_max" for key in arms.action)
    droid = {key.key: key for key in DATA_CONFIGS["oxe_droid"].action}
    assert droid["eef_position_delta"].normalization is None
    assert droid["eef_rotation_delta"].target_rotation == "axis_angle"
    assert droid["gripper_position"].normalization == "binary"
    panda = {key.key: key for key in DATA_CONFIGS["single_panda_gripper"].state}
    assert panda["base_rotation"].target_rotation == "rotation_6d"
    assert panda["base_rotation"].normalization == "min_max"
    assert len(DATA_CONFIGS["unitree_g1_full_body"].state) == 7


def test_a_misspelt_name_is_answered_with_the_closest() -> None:
    with pytest.raises(DatasetError, match="did you mean 'so100_dualcam'") as caught:
        find_data_config("so100_dual_cam")
    assert "agibot_genie1" in str(caught.value)


def test_an_unknown_transform_in_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown transform 'minmax'"):
        VectorKeyConfig.parse("gripper:minmax")
