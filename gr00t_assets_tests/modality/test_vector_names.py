"""Names that robots' numbers have in public datasets, and the parts that they are taken for.

The names are those of LeRobot's robot classes and of its port of DROID, of Unitree's converter, and
of datasets on the Hub.
"""

from typing import Any

import pytest

from gr00t_assets.modality.vector_names import (
    SO_ARM,
    named_parts,
    number_names,
    part_of_column,
    usual_parts,
)

ALOHA = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate", "gripper")
SIDES = ("left", "right")
G1_ARM = ("ShoulderPitch", "ShoulderRoll", "ShoulderYaw", "Elbow")
G1_ARM += ("WristRoll", "WristPitch", "WristYaw")
G1_LEG = ("HipPitch", "HipRoll", "HipYaw", "Knee", "AnklePitch", "AnkleRoll")
DEX3 = ("Thumb0", "Thumb1", "Thumb2", "Middle0", "Middle1", "Index0", "Index1")
G1_ARMS = [f"k{side}{joint}" for side in ("Left", "Right") for joint in G1_ARM]
G1_LEGS = [f"k{side}{joint}" for side in ("Left", "Right") for joint in G1_LEG]
G1_HANDS = [f"k{side}Hand{joint}" for side in ("Left", "Right") for joint in DEX3]
POSE = ("x", "y", "z", "roll", "pitch", "yaw")

ROBOTS: dict[str, tuple[list[str], list[tuple[str, int]]]] = {
    "so100 of lerobot 0.1": (
        [f"main_{joint}" for joint in SO_ARM],
        [("single_arm", 5), ("gripper", 1)],
    ),
    "so101": ([f"{joint}.pos" for joint in SO_ARM], [("single_arm", 5), ("gripper", 1)]),
    "koch": (list(SO_ARM), [("single_arm", 5), ("gripper", 1)]),
    "bi_so101": (
        [f"{side}_{joint}.pos" for side in SIDES for joint in SO_ARM],
        [("left_arm", 5), ("left_gripper", 1), ("right_arm", 5), ("right_gripper", 1)],
    ),
    "aloha": (
        [f"{side}_{joint}" for side in SIDES for joint in ALOHA],
        [("left_arm", 6), ("left_gripper", 1), ("right_arm", 6), ("right_gripper", 1)],
    ),
    "aloha of openpi, right arm first": (
        [f"{side}_{joint}" for side in SIDES[::-1] for joint in ALOHA],
        [("right_arm", 6), ("right_gripper", 1), ("left_arm", 6), ("left_gripper", 1)],
    ),
    "one arm of aloha": (list(ALOHA), [("single_arm", 6), ("gripper", 1)]),
    "trossen": (
        [f"follower_left_joint_{i}" for i in range(6)] + ["follower_left_left_carriage_joint"],
        [("left_arm", 6), ("left_gripper", 1)],
    ),
    "xarm7": (
        [f"joint{i}.pos" for i in range(1, 8)] + ["gripper.pos"],
        [("single_arm", 7), ("gripper", 1)],
    ),
    "franka of ros": (
        [f"panda_joint{i}.pos" for i in range(1, 8)]
        + ["panda_finger_joint1.pos", "panda_finger_joint2.pos"],
        [("single_arm", 7), ("gripper", 2)],
    ),
    "droid": ([f"joint_{i}" for i in range(7)] + ["gripper"], [("single_arm", 7), ("gripper", 1)]),
    "droid cartesian": (list(POSE), [("eef_position", 3), ("eef_rotation", 3)]),
    "libero": (
        [*POSE, "gripper", "gripper"],
        [("eef_position", 3), ("eef_rotation", 3), ("gripper", 2)],
    ),
    "open x-embodiment": (
        [*POSE, "pad", "gripper"],
        [("eef_position", 3), ("eef_rotation", 3), ("pad", 1), ("gripper", 1)],
    ),
    "gym of lerobot": (
        ["delta_x", "delta_y", "delta_z", "gripper"],
        [("eef_position_delta", 3), ("gripper", 1)],
    ),
    "quaternion": (
        ["ee.x", "ee.y", "ee.z", "ee.qx", "ee.qy", "ee.qz", "ee.qw"],
        [("eef_position", 3), ("eef_quaternion", 4)],
    ),
    "g1 dex3": (
        G1_ARMS + G1_HANDS,
        [("left_arm", 7), ("right_arm", 7), ("left_hand", 7), ("right_hand", 7)],
    ),
    "g1 gripper": (
        [*G1_ARMS, "kLeftGripper", "kRightGripper"],
        [("left_arm", 7), ("right_arm", 7), ("left_gripper", 1), ("right_gripper", 1)],
    ),
    "g1 of lerobot": (
        [f"{name}.q" for name in (*G1_LEGS, "kWaistYaw", "kWaistRoll", "kWaistPitch", *G1_ARMS)],
        [("left_leg", 6), ("right_leg", 6), ("waist", 3), ("left_arm", 7), ("right_arm", 7)],
    ),
    "g1 of isaac lab": (
        ["left_shoulder_pitch_joint", "left_elbow_joint", "left_hand_thumb_0_joint"],
        [("left_arm", 2), ("left_hand", 1)],
    ),
    "g1 whole body": (
        [*G1_ARMS, "loco_v_x", "loco_v_y", "loco_v_yaw", "loco_height"],
        [("left_arm", 7), ("right_arm", 7), ("other", 4)],
    ),
    "lekiwi": (
        [f"arm_{joint}.pos" for joint in SO_ARM] + ["x.vel", "y.vel", "theta.vel"],
        [("single_arm", 5), ("gripper", 1), ("base_velocity", 3)],
    ),
    "reachy2": (
        [
            "neck_yaw.pos",
            "r_shoulder_pitch.pos",
            "r_gripper.pos",
            "l_elbow_yaw.pos",
            "l_gripper.pos",
        ],
        [("neck", 1), ("right_arm", 1), ("right_gripper", 1), ("left_arm", 1), ("left_gripper", 1)],
    ),
    "openarm": (
        [f"left_joint_{i}.pos" for i in range(1, 8)] + ["left_gripper.pos"],
        [("left_arm", 7), ("left_gripper", 1)],
    ),
    "openarm with velocities that take turns": (
        [f"joint_{i}.{what}" for i in (1, 2) for what in ("pos", "vel", "torque")]
        + ["gripper.pos"],
        [("single_arm", 6), ("gripper", 1)],
    ),
    "hope_jr hand": (["thumb_cmc.pos", "index_pip_dip.pos", "pinky_pip_dip.pos"], [("hand", 3)]),
    "linkerhand": (
        ["L_index_mcp_pitch", "L_thumb_cmc_yaw", "R_thumb_cmc_yaw"],
        [("left_hand", 2), ("right_hand", 1)],
    ),
    "an unknown part": (["tentacle_0", "tentacle_1", "gripper"], [("tentacle", 2), ("gripper", 1)]),
    "a part that comes again": (
        ["arm_0", "gripper", "arm_1"],
        [("single_arm", 1), ("gripper", 1), ("single_arm_2", 1)],
    ),
}


@pytest.mark.parametrize("robot", ROBOTS)
def test_numbers_are_grouped_by_arm_and_hand(robot: str) -> None:
    names, expected = ROBOTS[robot]
    parts = named_parts(names)
    assert parts is not None
    assert [(name, end - start) for name, start, end in parts] == expected
    assert [start for _, start, _ in parts][1:] == [end for _, _, end in parts][:-1]
    assert parts[-1][2] == len(names)


@pytest.mark.parametrize(
    "names", [["motor_0", "motor_1"], ["joint_1", "joint_2"], ["speed", "arm_0"]]
)
def test_names_that_do_not_tell_give_no_parts(names: list[str]) -> None:
    assert named_parts(names) is None


@pytest.mark.parametrize(
    ("robot", "size", "expected"),
    [
        ("so100", 6, ["single_arm", "gripper"]),
        ("koch", 6, ["single_arm", "gripper"]),
        ("bi_so100_follower", 12, ["left_arm", "left_gripper", "right_arm", "right_gripper"]),
        ("aloha", 14, ["left_arm", "left_gripper", "right_arm", "right_gripper"]),
        ("Franka", 8, ["single_arm", "gripper"]),
        ("xarm6", 7, ["single_arm", "gripper"]),
        ("Unitree_G1_Dex3", 28, ["left_arm", "right_arm", "left_hand", "right_hand"]),
        ("GR1ArmsOnly", 44, ["left_arm", "left_hand", "left_leg", "neck", "right_arm"]),
        ("so100", 7, None),
        ("unknown", 6, None),
    ],
)
def test_vectors_without_names_by_robot(robot: str, size: int, expected: list[str] | None) -> None:
    parts = usual_parts(robot, size)
    names = None if parts is None else [name for name, _, _ in parts]
    assert names is expected if expected is None else names and names[: len(expected)] == expected
    assert parts is None or parts[-1][2] == size


def test_columns_by_name() -> None:
    columns = ["action.gripper", "observation.state.joint_position", "action.left_hand", "task"]
    assert [part_of_column(name) for name in columns] == [
        "gripper",
        "single_arm",
        "left_hand",
        None,
    ]


@pytest.mark.parametrize("names", [{"a": [1, 2]}, ["a", ""], ["state"], None, 5])
def test_names_that_are_not_one_for_each_number(names: Any) -> None:
    assert number_names(names, 2) is None
