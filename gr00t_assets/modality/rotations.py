"""Representations of rotation, by NVIDIA's names and in PyTorch3D's conventions.

- ``quaternion``: w, x, y, z; made with w >= 0.
- ``axis_angle``: the axis times the angle in radians, at most pi.
- ``euler_angles_rpy`` and the other orders: intrinsic rotations about x (roll), y (pitch) and z
  (yaw) in the order of the letters, radians; the numbers come in that order too. The matrix of
  rpy is Rx Ry Rz.
- ``rotation_6d``: the first two rows of the matrix, after Zhou et al., On the Continuity of
  Rotation Representations in Neural Networks, 2019.
- ``matrix``: nine numbers, row by row.
"""

from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import AfterValidator

from gr00t_assets.core.text import did_you_mean

if TYPE_CHECKING:
    from scipy.spatial.transform import Rotation

_EULER_AXES = {
    f"euler_angles_{order}": order.translate(str.maketrans("rpy", "XYZ"))
    for order in ("rpy", "ryp", "pry", "pyr", "yrp", "ypr")
}
"""SciPy's axes of each order."""

ROTATION_DIMS = {
    **{"axis_angle": 3, "quaternion": 4, "rotation_6d": 6, "matrix": 9},
    **dict.fromkeys(_EULER_AXES, 3),
}
"""How many numbers each representation takes."""


def _known(name: str | None) -> str | None:
    if name is not None and name not in ROTATION_DIMS:
        raise ValueError(f"'{name}' is no representation; {did_you_mean(name, ROTATION_DIMS)}")
    return name


RotationName = Annotated[str | None, AfterValidator(_known)]
"""A field with the name of a representation, or none."""


def rotation_bounds(representation: str) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest value of each number of a representation, each (ROTATION_DIMS,).

    The dataset's statistics are of the old one, when a rotation is in a new representation.
    """
    is_angle = representation in ("axis_angle", *_EULER_AXES)
    bound = np.full(ROTATION_DIMS[representation], np.pi if is_angle else 1.0)
    return -bound, bound


def convert_rotation(values: np.ndarray, source: str, target: str) -> np.ndarray:
    """Turn rotations (..., ROTATION_DIMS[source]) into another representation, (..., [target]).

    Raises:
        ValueError: A row is no rotation, such as a quaternion of length 0.

    Examples:
        A quarter turn about z.

        >>> convert_rotation(np.array([0.0, 0.0, np.pi / 2]), "axis_angle", "matrix").round(6) + 0.0
        array([ 0., -1.,  0.,  1.,  0.,  0.,  0.,  0.,  1.])
    """
    if source == target:
        return values
    flat = np.asarray(values, dtype=np.float64).reshape(-1, ROTATION_DIMS[source])
    if len(flat) == 0:
        return np.zeros((*values.shape[:-1], ROTATION_DIMS[target]))
    converted = _from_rotation(_to_rotation(flat, source), target)
    return converted.reshape(*values.shape[:-1], ROTATION_DIMS[target])


def _to_rotation(values: np.ndarray, source: str) -> "Rotation":
    from scipy.spatial.transform import Rotation

    if source == "axis_angle":
        return Rotation.from_rotvec(values)
    if source == "quaternion":
        return Rotation.from_quat(values, scalar_first=True)
    if source == "matrix":
        return Rotation.from_matrix(values.reshape(-1, 3, 3))
    if source == "rotation_6d":
        # Gram-Schmidt: the matrices whose first rows are nearest to those given.
        first, second = values[:, :3], values[:, 3:]
        x = _unit(first, "a rotation_6d has a first row of length 0")
        along = (x * second).sum(-1, keepdims=True) * x
        y = _unit(second - along, "the two rows of a rotation_6d are parallel")
        return Rotation.from_matrix(np.stack([x, y, np.cross(x, y)], axis=-2))
    return Rotation.from_euler(_EULER_AXES[source], values)


def _from_rotation(rotation: "Rotation", target: str) -> np.ndarray:
    if target == "axis_angle":
        return rotation.as_rotvec()
    if target == "quaternion":
        return rotation.as_quat(canonical=True, scalar_first=True)
    if target == "matrix":
        return rotation.as_matrix().reshape(-1, 9)
    if target == "rotation_6d":
        return rotation.as_matrix()[:, :2, :].reshape(-1, 6)
    return rotation.as_euler(_EULER_AXES[target])


def _unit(vectors: np.ndarray, problem: str) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if not length.all():
        raise ValueError(problem)
    return vectors / length
