"""A data config of one's own with everything that N1.5 can do, and a sample of made-up numbers."""

import numpy as np

from gr00t_assets.modality.config import ModalityConfig, Statistics, VectorKey, VideoKey
from gr00t_assets.modality.key_config import CameraTransforms

_ROTATION = {"rotation_type": "quaternion", "target_rotation": "rotation_6d"}
_STATE = {
    "arm": (4, {"normalization": "q99"}),
    "joints": (3, {"sin_cos": True}),
    "hand": (4, {**_ROTATION, "normalization": "min_max"}),
    "plain": (2, {}),
}
_ACTION = {
    "arm": (4, {"normalization": "mean_std"}),
    "turn": (
        3,
        {
            "rotation_type": "euler_angles_rpy",
            "target_rotation": "axis_angle",
            "normalization": "min_max",
        },
    ),
    "grip": (1, {"normalization": "binary"}),
    "still": (2, {"normalization": "min_max"}),
}
STEPS = (0, 1, 2, 4)


def own_config() -> ModalityConfig:
    """Two cameras with crops of their own; every normalisation; rotations; a short chunk."""
    generator = np.random.default_rng(3)

    def keys(parts: dict, column: str) -> tuple[VectorKey, ...]:
        made, start = [], 0
        for name, (size, fields) in parts.items():
            low = generator.normal(size=size) - 1
            high = low if name == "still" else low + 3
            statistics = Statistics(
                min=tuple(low),
                max=tuple(high),
                mean=tuple((low + high) / 2),
                std=tuple((high - low) / 4),
                q01=tuple(low + 0.5),
                q99=tuple(high - 0.4),
            )
            made.append(
                VectorKey(
                    key=name,
                    original_key=column,
                    start=start,
                    end=start + size,
                    statistics=statistics,
                    **fields,
                )
            )
            start += size
        return tuple(made)

    cameras = {"front": CameraTransforms(), "wrist": CameraTransforms(crop_scale=0.8)}
    return ModalityConfig(
        dataset="made",
        dataset_version="0",
        data_config="my-arm.v2",
        embodiment_tag="new_embodiment",
        embodiment_id=30,
        video=tuple(
            VideoKey(key=key, original_key=key, height=120, width=160, fps=30, transforms=own)
            for key, own in cameras.items()
        ),
        state=keys(_STATE, "observation.state"),
        action=keys(_ACTION, "action"),
        language="task_index",
        language_key="annotation.human.task_description",
        observation_indices=(0,),
        action_indices=STEPS,
        state_dim=18,
        action_dim=10,
        max_state_dim=64,
        max_action_dim=32,
    )


def columns(config: ModalityConfig) -> dict[str, np.ndarray]:
    """Rows of state and action, ``(8, numbers)``."""
    generator = np.random.default_rng(4)
    return {
        "observation.state": generator.normal(size=(8, config.state[-1].end)),
        "action": generator.normal(size=(8, config.action[-1].end)),
    }


def frames() -> np.ndarray:
    """One sample's frames, ``(1, 2, 120, 160, 3)`` uint8, smooth, so that resizing shows."""
    rows, places = np.mgrid[:120, :160] / 160
    front = np.stack([rows, places, rows * places], axis=-1)
    wrist = np.stack([1 - rows, np.sin(9 * places) ** 2, places], axis=-1)
    return (np.stack([front, wrist])[None] * 255).astype(np.uint8)
