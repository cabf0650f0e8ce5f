"""Parts of a robot, recognised by the names of the numbers in a state or action vector."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Any

SO_ARM = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
"""The joints of the SO-100 and SO-101 arms, in LeRobot's order."""

SO_ROBOTS = ("so100", "so101")

_FINGERS = ("gripper", "claw", "jaw")
_HAND = ("hand", "finger", "thumb", "index", "middle", "ring", "pinky", "little")
_ARM = ("shoulder", "elbow", "forearm", "wrist", "arm")
_OTHERS = ("waist", "torso", "neck", "head", "leg", "hip", "knee", "ankle", "base")
_POSE = {
    **dict.fromkeys(("x", "y", "z"), "eef_position"),
    **dict.fromkeys(("roll", "pitch", "yaw"), "eef_rotation"),
    **dict.fromkeys(("qx", "qy", "qz", "qw"), "eef_quaternion"),
}
_SYNONYMS = {"hip": "leg", "knee": "leg", "ankle": "leg", "torso": "waist", "head": "neck"}
_NUMBERED = re.compile(r"^(?P<part>.*?)_?(?:joint|motor|dof|pos)?_?\d+$")


def number_names(names: Any, size: int) -> list[str] | None:
    """The names of a vector's numbers, in any form that ``info.json`` gives them.

    LeRobot writes a list, a list in a list, ``{"motors": [...]}`` or positions by name.

    Returns:
        One for each number; None where not every number has a name.

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
    return tuple(_plain(name).removeprefix("main_") for name in names) == SO_ARM


def named_parts(names: Sequence[str]) -> list[tuple[str, int, int]] | None:
    """Parts that follow each other in a vector: name, first number, one past the last.

    Returns:
        None where a number belongs to no known part of a robot.

    Examples:
        >>> named_parts(["left_arm_0", "left_arm_1", "left_gripper", "right_arm_0"])
        [('left_arm', 0, 2), ('left_gripper', 2, 3), ('right_arm', 3, 4)]
        >>> named_parts(["x", "y", "z", "roll", "pitch", "yaw", "gripper"])
        [('eef_position', 0, 3), ('eef_rotation', 3, 6), ('gripper', 6, 7)]
        >>> named_parts(["motor_0", "motor_1"]) is None
        True
    """
    parts = [_part(name) for name in names]
    if not all(parts):
        return None
    two_sided = any(str(part).startswith(("left_", "right_")) for part in parts)
    stretches: list[tuple[str, int, int]] = []
    counts: Counter[str] = Counter()
    start = 0
    for part, numbers in groupby(parts):
        end = start + len(list(numbers))
        name = "single_arm" if part == "arm" and not two_sided else str(part)
        counts[name] += 1
        number = f"_{counts[name]}" if counts[name] > 1 else ""
        stretches.append((name + number, start, end))
        start = end
    return stretches


def _part(name: str) -> str | None:
    """The part of the robot that a number belongs to, or None."""
    plain = _plain(name)
    side = next((side for side in ("left", "right") if side in plain.split("_")), None)
    prefix = f"{side}_" if side else ""
    unsided = plain.replace(f"{side}_", "").removesuffix(f"_{side}") if side else plain
    if unsided in _POSE:
        return prefix + _POSE[unsided]
    words = re.split(r"[_\d]+", unsided)
    for vocabulary, part in ((_FINGERS, "gripper"), (_HAND, "hand"), (_ARM, "arm")):
        if any(word in vocabulary for word in words):
            return prefix + part
    other = next((word for word in words if word in _OTHERS), None)
    if other:
        return prefix + _SYNONYMS.get(other, other)
    match = _NUMBERED.match(plain)
    part = match["part"].strip("_") if match else ""
    return part if part not in ("", "joint", "motor", "dof", "pos", "j") else None


def _plain(name: str) -> str:
    """``kLeftShoulderPitch`` and ``left-shoulder.pos`` in one spelling.

    Examples:
        >>> _plain("kLeftShoulderPitch"), _plain("gripper.pos")
        ('left_shoulder_pitch', 'gripper')
    """
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return re.sub(r"[^a-z0-9]+", "_", snake.removesuffix(".pos")).strip("_").removeprefix("k_")
