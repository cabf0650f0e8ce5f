"""The two robots of the synthetic demonstrations: serial arms, their looks, their cameras.

Both robots have the same attributes and methods; lengths are in metres, angles in radians.
"""

from typing import NamedTuple

import numpy as np

from gr00t_assets.environments.synthetic.scene import Capsule, Color, PinholeCamera

WHITE: Color = (226, 229, 234)
DARK: Color = (66, 72, 84)
YELLOW: Color = (238, 178, 48)

Offset = tuple[float, float, float]  # x, y and z, metres


class Joint(NamedTuple):
    """A hinge about x, y or z (0, 1, 2) of the frame before it, from ``low`` to ``high`` radians.

    The offset is from the joint before it, in the frame before it.
    """

    axis: int
    offset: Offset
    low: float
    high: float


class Pose(NamedTuple):
    """An arm in the world: its joints in order and then the tool, ``(joints + 1, 3)``, metres.

    With the directions of the hinges, ``(joints, 3)``, and the frame of the tool, ``(3, 3)``.
    """

    points: np.ndarray
    axes: np.ndarray
    rotation: np.ndarray

    def at(self, *offset: float) -> np.ndarray:
        """A point that is fixed to the last link, given from its joint, ``(3,)``."""
        return self.points[-2] + self.rotation @ np.asarray(offset)


class Chain(NamedTuple):
    """A serial arm of hinges, from the base on.

    The tool is the point that grasps, from the last joint; ``pointing`` is the direction of the
    hand in the last frame, of unit length.
    """

    joints: tuple[Joint, ...]
    tool: Offset
    pointing: Offset

    def forward(self, angles: np.ndarray) -> Pose:
        """Where the arm is at some angles in radians, shape ``(joints,)``."""
        position, rotation = np.zeros(3), np.eye(3)
        points, axes = [], []
        for joint, angle in zip(self.joints, angles, strict=True):
            position = position + rotation @ np.asarray(joint.offset)
            points.append(position)
            axes.append(rotation[:, joint.axis])
            rotation = rotation @ _rotation(joint.axis, float(angle))
        points.append(position + rotation @ np.asarray(self.tool))
        return Pose(np.array(points), np.array(axes), rotation)

    def inverse(self, target: np.ndarray, direction: np.ndarray, near: np.ndarray) -> np.ndarray:
        """Angles inside the limits, ``(joints,)``, that bring the tool to a point, ``(3,)``.

        The hand points near a direction, ``(3,)`` of unit length, and the arm is near angles that
        are started from: damped least squares on position, direction (weight 0.03) and posture
        (weight 0.004).
        """
        low = np.array([joint.low for joint in self.joints])
        high = np.array([joint.high for joint in self.joints])
        angles = near.copy()
        posture = 0.004 * np.eye(len(angles))
        for _ in range(100):
            pose = self.forward(angles)
            pointing = pose.rotation @ np.asarray(self.pointing)
            to_tool = np.cross(pose.axes, pose.points[-1] - pose.points[:-1]).T
            turning = 0.03 * np.cross(pose.axes, pointing).T
            jacobian = np.concatenate([to_tool, turning, posture])
            aside, askew = target - pose.points[-1], 0.03 * (direction - pointing)
            error = np.concatenate([aside, askew, 0.004 * (near - angles)])
            wanted = jacobian.T @ error
            stuck = ((angles <= low) & (wanted < 0)) | ((angles >= high) & (wanted > 0))
            free = jacobian[:, ~stuck]
            damped = free.T @ free + 1e-5 * np.eye(free.shape[1])
            step = np.zeros(len(angles))
            step[~stuck] = np.linalg.solve(damped, free.T @ error)
            angles = np.clip(angles + np.clip(step, -0.3, 0.3), low, high)
        return angles


def _rotation(axis: int, angle: float) -> np.ndarray:
    """Rotation matrix about x, y or z, radians."""
    first, second = [index for index in range(3) if index != axis]
    sign = -1.0 if axis == 1 else 1.0
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[second, first] = sign * np.sin(angle)
    matrix[first, second] = -sign * np.sin(angle)
    return matrix


_X, _Y, _Z = range(3)


def _gr1_chain(side: float) -> Chain:
    """GR1's seven arm joints, ``side`` 1 for left; at zero the arm hangs down, elbows stay out."""
    roll = (-1.3, 0.1) if side < 0 else (-0.1, 1.3)
    joints = (
        Joint(_Y, (0.0, side * 0.21, 0.30), -2.6, 1.0),
        Joint(_X, (0.0, 0.0, 0.0), *roll),
        Joint(_Z, (0.0, 0.0, 0.0), -1.6, 1.6),
        Joint(_Y, (0.0, 0.0, -0.27), -2.4, 0.0),
        Joint(_Z, (0.0, 0.0, -0.12), -1.5, 1.5),
        Joint(_X, (0.0, 0.0, -0.13), -1.2, 1.2),
        Joint(_Y, (0.0, 0.0, 0.0), -1.5, 1.5),
    )
    return Chain(joints, (0.0, 0.0, -0.135), (0.0, 0.0, -1.0))


_FINGERS = np.array([1.5, 1.5, 1.45, 1.4, 0.7, 0.3])
_OPEN = np.array([0.1, 0.1, 0.1, 0.1, 0.05, 1.3])


class Gr1Arms:
    """Fourier GR1 with two arms and hands; the right one works. 44 numbers, radians."""

    chain = _gr1_chain(-1.0)
    names = tuple(f"motor_{number}" for number in range(44))
    rest = np.array([0.15, -0.2, 0.1, -1.75, 0.1, 0.0, 0.1])  # before and after the work
    turn = np.zeros(7)  # how far each joint may be from its rest at the start of the work
    direction = np.array([0.72, 0.12, -0.68])  # in which the hand points when it grasps
    thing_area = (0.35, 0.47), (-0.31, -0.14)  # x and y between which things stand
    plate = 0.42, 0.03
    plate_radius = 0.085
    lift = 0.15  # above the table, of what is carried
    scale = 1.2  # of the things
    table = (0.18, 1.1), (-0.9, 0.9)
    robot_type = "GR1ArmsOnly"

    _other = _gr1_chain(1.0)
    _other_rest = np.array([0.2, 0.35, 0.0, -1.85, 0.0, 0.0, 0.0])

    def vector(self, angles: np.ndarray, closure: float) -> np.ndarray:
        """State or action; the left arm and hand follow the right ones a little."""
        moved = angles - self.rest
        swing = np.array([-0.08, 0.05, 0.04, 0.06, 0.03, 0.02, 0.02])
        vector = np.zeros(44)
        vector[0:7] = self._other_rest + swing * moved
        vector[7:13] = _OPEN + 0.05 * closure * _FINGERS
        vector[22:29] = angles
        vector[29:35] = _OPEN + closure * _FINGERS
        return vector

    def pose(self, vector: np.ndarray) -> Pose:
        """The right arm of a state."""
        return self.chain.forward(vector[22:29])

    def closure(self, vector: np.ndarray) -> float:
        """How far the right hand of a state is closed, from 0 to 1."""
        return float(np.mean((vector[29:35] - _OPEN) / _FINGERS))

    def solids(self, vector: np.ndarray) -> list[Capsule]:
        """Both arms of a state."""
        left = float(np.mean((vector[7:13] - _OPEN) / _FINGERS))
        right_arm = _gr1_arm(self.pose(vector), self.closure(vector), -1.0)
        return right_arm + _gr1_arm(self._other.forward(vector[0:7]), left, 1.0)

    def camera(self, name: str, vector: np.ndarray, size: tuple[int, int]) -> PinholeCamera:
        """The camera between the eyes, which stands still."""
        return PinholeCamera.looking((0.0, 0.0, 0.64), (0.40, -0.06, -0.60), (0, 0, 1), 0.95, size)


def _gr1_arm(pose: Pose, closure: float, side: float) -> list[Capsule]:
    shoulder, elbow, wrist = pose.points[0], pose.points[3], pose.points[6]
    palm = pose.at(0.0, 0.0, -0.055)
    spread = 0.052 - 0.034 * closure
    fingers = [
        Capsule(
            pose.at(0.0, sign * 0.028, -0.07),
            pose.at(0.012, sign * spread, -0.145),
            0.0105 if sign == side else 0.013,
            DARK,
        )
        for sign in (-1.0, 1.0)
    ]
    return [
        Capsule(shoulder, elbow, 0.04, WHITE),
        Capsule(elbow, elbow, 0.036, DARK),
        Capsule(elbow, wrist, 0.027, WHITE),
        Capsule(wrist, palm, 0.028, DARK),
        *fingers,
    ]


class So101:
    """SO-101, five joints in degrees and a gripper from 0 (closed) to 100 (open)."""

    chain = Chain(
        (
            Joint(_Z, (0.0, 0.0, 0.055), -1.9, 1.9),
            Joint(_Y, (0.03, 0.0, 0.06), -1.7, 1.7),
            Joint(_Y, (0.028, 0.0, 0.113), -1.7, 1.7),
            Joint(_Y, (0.135, 0.0, 0.0), -1.6, 1.75),
            Joint(_X, (0.06, 0.0, 0.0), -2.7, 2.7),
        ),
        (0.085, 0.0, 0.0),
        (1.0, 0.0, 0.0),
    )
    names = (
        *("shoulder_pan.pos", "shoulder_lift.pos", "elbow_flex.pos"),
        *("wrist_flex.pos", "wrist_roll.pos", "gripper.pos"),
    )
    rest = np.array([0.0, -0.9, 0.75, 0.7, 0.0])
    turn = np.array([0.0, 0.0, 0.0, 0.0, 0.6])
    direction = np.array([0.15, 0.0, -0.99])
    thing_area = (0.19, 0.26), (-0.14, -0.03)
    plate = 0.21, 0.11
    plate_radius = 0.062
    lift = 0.11
    scale = 0.72
    table = (-0.3, 0.75), (-0.7, 0.7)
    robot_type = "so101_follower"

    def vector(self, angles: np.ndarray, closure: float) -> np.ndarray:
        """State or action: degrees, and the gripper in percent."""
        return np.append(np.rad2deg(angles), 60.0 * (1.0 - closure) + 2.0)

    def pose(self, vector: np.ndarray) -> Pose:
        """The arm of a state."""
        return self.chain.forward(np.deg2rad(vector[:5]))

    def reach(self, point: np.ndarray, tilt: float = 0.15) -> np.ndarray:
        """Angles, ``(5,)``, the roll at zero, that bring the tool to a point, ``(3,)``.

        The hand points down, tilted outwards. The arm bends in one upright plane: after the pan two
        links and the hand, solved by the law of cosines. A point out of reach is approached as far
        as the links go.
        """
        pan, lift, elbow, wrist, roll = (np.array(joint.offset) for joint in self.chain.joints)
        hand = np.array([np.sin(tilt), -np.cos(tilt)])
        ahead = np.array([np.hypot(point[0], point[1]), point[2]])
        target = ahead - (roll[0] + self.chain.tool[0]) * hand - (pan + lift)[[0, 2]]
        upper, fore = np.hypot(elbow[0], elbow[2]), wrist[0]
        far = np.clip(np.hypot(*target), fore - upper + 1e-3, fore + upper - 1e-6)
        inner = np.arccos((upper**2 + far**2 - fore**2) / (2 * upper * far))
        first = np.arctan2(*target) - inner  # from straight up, as the second
        second = np.arctan2(*(target - upper * np.array([np.sin(first), np.cos(first)])))
        at_lift = first - np.arctan2(elbow[0], elbow[2])
        at_elbow = second - np.pi / 2 - at_lift
        at_wrist = np.pi / 2 - tilt - at_lift - at_elbow
        return np.array([np.arctan2(point[1], point[0]), at_lift, at_elbow, at_wrist, 0.0])

    def closure(self, vector: np.ndarray) -> float:
        """How far the gripper of a state is closed, from 0 to 1."""
        return 1.0 - (float(vector[5]) - 2.0) / 60.0

    def solids(self, vector: np.ndarray) -> list[Capsule]:
        """The arm of a state."""
        pose, closure = self.pose(vector), self.closure(vector)
        pan, lift, elbow, wrist, roll = pose.points[:5]
        gap = 0.033 - 0.023 * closure
        jaws = [
            (pose.at(0.012, sign * 0.016, 0.0), pose.at(0.092, sign * gap, 0.0))
            for sign in (-1.0, 1.0)
        ]
        return [
            Capsule(np.array([0.0, 0.0, 0.02]), pan, 0.036, DARK),
            Capsule(pan, lift, 0.026, YELLOW),
            Capsule(lift, lift, 0.023, DARK),
            Capsule(lift, elbow, 0.017, YELLOW),
            Capsule(elbow, elbow, 0.021, DARK),
            Capsule(elbow, wrist, 0.016, YELLOW),
            Capsule(wrist, wrist, 0.019, DARK),
            Capsule(wrist, roll, 0.016, YELLOW),
            *[Capsule(start, end, 0.0075, WHITE) for start, end in jaws],
        ]

    def camera(self, name: str, vector: np.ndarray, size: tuple[int, int]) -> PinholeCamera:
        """The camera in front of the arm, or the one that rides on its wrist."""
        if name == "front":
            place, towards = np.array([0.58, 0.0, 0.36]), np.array([0.13, 0.0, 0.085])
            return PinholeCamera.looking(place, towards - place, (0, 0, 1), 0.9, size)
        pose = self.pose(vector)
        ahead, above = pose.rotation[:, 0], pose.rotation[:, 2]
        place = pose.at(-0.035, 0.0, 0.065)
        return PinholeCamera.looking(place, ahead - 0.42 * above, above, 0.6, size)


Robot = Gr1Arms | So101

ROBOTS: dict[str, type[Robot]] = {"gr1_arms": Gr1Arms, "so101": So101}
"""By the name that a synthetic source gives."""
