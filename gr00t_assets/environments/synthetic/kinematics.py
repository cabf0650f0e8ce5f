"""A serial arm: where its joints are, and which joint angles bring its tool to a point."""

from typing import NamedTuple

import numpy as np

Offset = tuple[float, float, float]
"""x, y and z, metres."""


class Joint(NamedTuple):
    """A hinge."""

    axis: int
    """0, 1 or 2: x, y or z of the frame before it."""
    offset: Offset
    """From the joint before it, in the frame before it."""
    low: float
    """Least angle, radians."""
    high: float


class Pose(NamedTuple):
    """An arm in the world."""

    points: np.ndarray
    """Joints in order and then the tool, shape ``(joints + 1, 3)``, metres."""
    axes: np.ndarray
    """Directions of the hinges, shape ``(joints, 3)``."""
    rotation: np.ndarray
    """Frame of the tool, shape ``(3, 3)``."""

    def at(self, *offset: float) -> np.ndarray:
        """A point that is fixed to the last link, given from its joint, shape ``(3,)``."""
        return self.points[-2] + self.rotation @ np.asarray(offset)


class Chain(NamedTuple):
    """A serial arm of hinges."""

    joints: tuple[Joint, ...]
    """From the base on."""
    tool: Offset
    """The point that grasps, from the last joint."""
    pointing: Offset
    """Direction of the hand in the last frame, unit length."""

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
