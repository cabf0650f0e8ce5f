"""A serial arm: where its joints are, and which joint angles bring its tool to a point."""

from dataclasses import dataclass

import numpy as np

_AXES = {"x": 0, "y": 1, "z": 2}


@dataclass(frozen=True)
class Joint:
    """A hinge.

    Attributes:
        axis: x, y or z of the frame before it.
        offset: From the joint before it, in the frame before it, metres.
        low: Least angle, radians.
        high: Greatest angle, radians.
    """

    axis: str
    offset: tuple[float, float, float]
    low: float
    high: float


@dataclass(frozen=True)
class Pose:
    """An arm in the world.

    Attributes:
        points: Joints in order and then the tool, shape ``(joints + 1, 3)``, metres.
        axes: Directions of the hinges, shape ``(joints, 3)``.
        rotation: Frame of the tool, shape ``(3, 3)``.
    """

    points: np.ndarray
    axes: np.ndarray
    rotation: np.ndarray

    def at(self, offset: tuple[float, float, float]) -> np.ndarray:
        """A point that is fixed to the last link, given from its joint, shape ``(3,)``."""
        return self.points[-2] + self.rotation @ np.asarray(offset)


@dataclass(frozen=True)
class Chain:
    """A serial arm of hinges.

    Attributes:
        joints: From the base on.
        tool: The point that grasps, from the last joint, metres.
        pointing: Direction of the hand in the last frame, unit length.
    """

    joints: tuple[Joint, ...]
    tool: tuple[float, float, float]
    pointing: tuple[float, float, float]

    def forward(self, angles: np.ndarray) -> Pose:
        """Where the arm is at some angles in radians, shape ``(joints,)``."""
        position, rotation = np.zeros(3), np.eye(3)
        points, axes = [], []
        for joint, angle in zip(self.joints, angles, strict=True):
            position = position + rotation @ np.asarray(joint.offset)
            points.append(position)
            axes.append(rotation[:, _AXES[joint.axis]])
            rotation = rotation @ rotation_about(joint.axis, float(angle))
        points.append(position + rotation @ np.asarray(self.tool))
        return Pose(np.array(points), np.array(axes), rotation)

    def inverse(
        self, target: np.ndarray, direction: np.ndarray, near: np.ndarray, steps: int = 100
    ) -> np.ndarray:
        """Angles that bring the tool to a point, the hand near a direction, the arm near a pose.

        Damped least squares on position, direction (weight 0.03) and posture (weight 0.004).

        Args:
            target: Metres, shape ``(3,)``.
            direction: Where the hand should point, unit length, shape ``(3,)``.
            near: Angles that are preferred and started from, shape ``(joints,)``.

        Returns:
            Radians, shape ``(joints,)``, inside the limits.
        """
        low = np.array([joint.low for joint in self.joints])
        high = np.array([joint.high for joint in self.joints])
        angles = near.copy()
        posture = 0.004 * np.eye(len(angles))
        for _ in range(steps):
            pose = self.forward(angles)
            pointing = pose.rotation @ np.asarray(self.pointing)
            to_tool = np.cross(pose.axes, pose.points[-1] - pose.points[:-1]).T
            turning = 0.03 * np.cross(pose.axes, pointing).T
            jacobian = np.concatenate([to_tool, turning, posture])
            misses = (
                target - pose.points[-1],
                0.03 * (direction - pointing),
                0.004 * (near - angles),
            )
            error = np.concatenate(misses)
            wanted = jacobian.T @ error
            stuck = ((angles <= low) & (wanted < 0)) | ((angles >= high) & (wanted > 0))
            free = jacobian[:, ~stuck]
            damped = free.T @ free + 1e-5 * np.eye(free.shape[1])
            step = np.zeros(len(angles))
            step[~stuck] = np.linalg.solve(damped, free.T @ error)
            angles = np.clip(angles + np.clip(step, -0.3, 0.3), low, high)
        return angles


def rotation_about(axis: str, angle: float) -> np.ndarray:
    """Rotation matrix about x, y or z, radians, shape ``(3, 3)``."""
    first, second = [index for index in range(3) if index != _AXES[axis]]
    sign = -1.0 if axis == "y" else 1.0
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[second, first] = sign * np.sin(angle)
    matrix[first, second] = -sign * np.sin(angle)
    return matrix
