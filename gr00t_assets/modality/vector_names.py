"""Parts of a robot, recognised by the names of the numbers in a state or action vector."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Any

SO_ARM = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
"""The joints of the SO-100, SO-101 and Koch arms, in LeRobot's order."""

_FINGERS = ("gripper", "claw", "jaw", "carriage")
_HAND = ("hand", "thumb", "index", "middle", "ring", "pinky", "little")
_ARM = ("shoulder", "elbow", "forearm", "wrist", "arm")
_OTHERS = ("waist", "torso", "neck", "head", "leg", "hip", "knee", "ankle", "base", "pad")
_SYNONYMS = {"hip": "leg", "knee": "leg", "ankle": "leg", "torso": "waist", "head": "neck"}
_POSE = {
    **dict.fromkeys(("x", "y", "z"), "eef_position"),
    **dict.fromkeys(("roll", "pitch", "yaw", "rx", "ry", "rz", "rw"), "eef_rotation"),
    **dict.fromkeys(("qx", "qy", "qz", "qw"), "eef_quaternion"),
}
_POSE_WORDS = {"ee", "eef", "tcp", "end", "effector", "pos", "rot", "ori", "delta"}
_ROBOT_WORDS = {"main", "robot", "follower", "panda", "franka", "fr3", "xarm", "ur5", "ur5e"}
_JOINTS = {"", "joint", "motor", "dof", "j", "axis"}
_SIDES = {"left": "left", "right": "right", "l": "left", "r": "right"}
_QUANTITIES = {"vel": "velocity", "velocity": "velocity", "torque": "torque", "effort": "torque"}
_NUMBERED = re.compile(r"^(?P<part>.*?)_?\d+$")
_JOINT, _OTHER = "joint", "other"
"""Of a number that is called after its place alone, an arm's where another name says so; and of
numbers among known parts whose names say nothing."""

_PREFIXES = ("left_", "right_")
_TWO_ARMS = (("left_arm", 7), ("right_arm", 7))
_GR1_PARTS = (
    *(("left_arm", 7), ("left_hand", 6), ("left_leg", 6), ("neck", 3)),
    *(("right_arm", 7), ("right_hand", 6), ("right_leg", 6), ("waist", 3)),
)


def _sides(*parts: tuple[str, int]) -> tuple[tuple[str, int], ...]:
    """Parts of the left side, then those of the right one."""
    return tuple((f"{side}_{part}", size) for side in ("left", "right") for part, size in parts)


_USUAL = (
    (r"so-?10[01]|koch", (("single_arm", 5), ("gripper", 1))),
    (r"so-?10[01]|koch", _sides(("arm", 5), ("gripper", 1))),
    (r"aloha|trossen", _sides(("arm", 6), ("gripper", 1))),
    (r"panda|franka|fr3|droid|xarm_?7", (("single_arm", 7), ("gripper", 1))),
    (r"panda|franka|fr3", (("single_arm", 7), ("gripper", 2))),
    (r"xarm_?6|widowx|vx300", (("single_arm", 6), ("gripper", 1))),
    (r"g1", _TWO_ARMS),
    (r"g1", (*_TWO_ARMS, ("left_gripper", 1), ("right_gripper", 1))),
    (r"g1", (*_TWO_ARMS, ("left_hand", 7), ("right_hand", 7))),
    (r"gr1", _GR1_PARTS),
)
"""Parts of robots whose numbers often have no names, by a pattern of the robot's type."""


def number_names(names: Any, size: int) -> list[str] | None:
    """A name of each of a vector's numbers, in any form that ``info.json`` gives them, or None.

    LeRobot writes a list, a list in a list, ``{"motors": [...]}`` or positions by name.

    Examples:
        >>> number_names({"motors": ["main_shoulder_pan", "main_gripper"]}, 2)
        ['main_shoulder_pan', 'main_gripper']
        >>> number_names({"b": 1, "a": 0}, 2)
        ['a', 'b']
    """
    if isinstance(names, dict) and names and all(isinstance(at, int) for at in names.values()):
        names = sorted(names, key=names.__getitem__)
    elif isinstance(names, dict) and len(names) == 1:
        names = next(iter(names.values()))
    if isinstance(names, list) and len(names) == 1 and isinstance(names[0], list):
        names = names[0]
    if not isinstance(names, list) or len(names) != size:
        return None
    return names if all(isinstance(name, str) and name for name in names) else None


def is_so_arm(names: Sequence[str]) -> bool:
    """Whether the numbers are the six joints of one SO-100 or SO-101 arm.

    Examples:
        >>> is_so_arm([f"main_{joint}" for joint in SO_ARM])
        True
    """
    return tuple(map(plain_name, names)) == SO_ARM


def named_parts(names: Sequence[str]) -> list[tuple[str, int, int]] | None:
    """Parts that follow each other in a vector: name, first number, one past the last.

    None where half of the numbers or more belong to no known part of a robot.

    Examples:
        >>> named_parts(["left_waist", "left_elbow", "left_gripper", "right_waist"])
        [('left_arm', 0, 2), ('left_gripper', 2, 3), ('right_arm', 3, 4)]
        >>> named_parts(["x", "y", "z", "roll", "pitch", "yaw", "gripper"])
        [('eef_position', 0, 3), ('eef_rotation', 3, 6), ('gripper', 6, 7)]
        >>> named_parts(["joint_0", "joint_1", "gripper"])
        [('single_arm', 0, 2), ('gripper', 2, 3)]
        >>> named_parts(["motor_0", "motor_1"]) is None
        True
    """
    parts = [_part(name) for name in names]
    known = [part for part in parts if part]
    if 2 * len(known) <= len(parts) or set(known) <= {_JOINT}:
        return None
    if not any(part.startswith(_PREFIXES) and not part.endswith("gripper") for part in known):
        # One arm: its fingers may have sides, and its waist is a joint of it.
        known = [re.sub("^(left|right)_", "", part) for part in known]
        known = ["arm" if part == "waist" else part for part in known]
    parts = [known.pop(0) if part else _OTHER for part in parts]
    if len(_stretches(parts)) > len(set(parts)):
        # Positions and velocities that take turns are no parts of their own.
        plain = [re.sub(r"_(velocity|torque)$", "", part) for part in parts]
        parts = plain if len(_stretches(plain)) < len(_stretches(parts)) else parts
    return _stretches(parts)


def usual_parts(robot: str, size: int) -> list[tuple[str, int, int]] | None:
    """The parts of a vector without names, by the robot's type and how many numbers it has.

    Examples:
        >>> usual_parts("so101_follower", 6)
        [('single_arm', 0, 5), ('gripper', 5, 6)]
        >>> usual_parts("so101_follower", 7) is None
        True
    """
    for pattern, parts in _USUAL:
        if re.search(pattern, robot.lower()) and sum(count for _, count in parts) == size:
            return _stretches([name for name, count in parts for _ in range(count)])
    return None


def part_of_column(name: str) -> str | None:
    """The part of the robot that a whole column is of, by its name.

    Examples:
        >>> part_of_column("action.gripper_position"), part_of_column("observation.contact")
        ('gripper', None)
    """
    part = _part(name.rsplit(".", 1)[-1])
    return part and re.sub(r"^(joint|arm)(?=_|$)", "single_arm", part)


def _stretches(parts: Sequence[str]) -> list[tuple[str, int, int]]:
    """Runs of the same part; one that comes again is numbered."""
    two_sided = any(part.startswith(_PREFIXES) for part in parts)
    stretches: list[tuple[str, int, int]] = []
    counts: Counter[str] = Counter()
    start = 0
    for part, numbers in groupby("arm" if part == _JOINT else part for part in parts):
        end = start + len(list(numbers))
        name = "single_arm" if part == "arm" and not two_sided else part
        counts[name] += 1
        number = f"_{counts[name]}" if counts[name] > 1 else ""
        stretches.append((name + number, start, end))
        start = end
    return stretches


def _part(name: str) -> str | None:
    """The part of the robot that a number belongs to, or None."""
    words = [word for word in plain_name(name).split("_") if word not in _ROBOT_WORDS]
    quantity = _QUANTITIES.get(words[-1]) if words else None
    suffix = f"_{quantity}" if quantity else ""
    words = words[: len(words) - bool(quantity)]
    side = next((_SIDES[word] for word in words if word in _SIDES), None)
    words = [word for word in words if word not in _SIDES]
    prefix = f"{side}_" if side else ""
    if not words:
        return None
    if words[-1] in _POSE and set(words[:-1]) <= _POSE_WORDS:
        is_base = quantity is not None and len(words) == 1
        pose = "base" if is_base else _POSE[words[-1]]
        return prefix + pose + ("_delta" if "delta" in words else "") + suffix
    if words == ["theta"]:
        return f"{prefix}base{suffix}"
    bare = [re.sub(r"\d+$", "", word) for word in words]
    if "finger" in bare and not set(bare) & set(_HAND):
        return f"{prefix}gripper{suffix}"
    for vocabulary, part in ((_FINGERS, "gripper"), (_HAND, "hand"), (_ARM, "arm")):
        if any(word in vocabulary for word in bare):
            return prefix + part + suffix
    other = next((word for word in bare if word in _OTHERS), None)
    if other:
        part = "arm" if other == "waist" and side else _SYNONYMS.get(other, other)
        return prefix + part + suffix
    match = _NUMBERED.match("_".join(words))
    part = re.sub(r"_?(joint|motor|dof|pos)$", "", match["part"]) if match else None
    if part in _JOINTS or bare[0] in _JOINTS - {""}:
        return f"{prefix}arm{suffix}" if side else _JOINT + suffix
    return f"{prefix}{part}{suffix}" if part else None


def plain_name(name: str) -> str:
    """``kLeftShoulderPitch.q`` and ``left-shoulder.pos`` in one spelling.

    Examples:
        >>> [plain_name(name) for name in ("kLeftShoulder.q", "main_gripper.pos", "neck_joint")]
        ['left_shoulder', 'gripper', 'neck']
    """
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    words = re.sub(r"[^a-z0-9]+", "_", snake).strip("_").removeprefix("k_").split("_")
    while len(words) > 1 and words[-1] in ("pos", "position", "q", "qpos", "joint"):
        words.pop()
    return "_".join(words).removeprefix("main_")
