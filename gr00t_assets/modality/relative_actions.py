"""Actions relative to a state, and back: differences, rotations and poses.

As N1.7 has them (``gr00t/data/state_action`` of NVIDIA/Isaac-GR00T at 65cc4a1): numbers are
subtracted, a pose is seen from the state's own frame. With rotation matrices S of the state and A
of the action the relative rotation is S^T A, and the relative position S^T (a - s).
"""

import numpy as np

from gr00t_assets.modality.config import VectorKey
from gr00t_assets.modality.key_config import POSE_ROTATIONS
from gr00t_assets.modality.rotations import convert_rotation


def relative_action(action: np.ndarray, state: np.ndarray, key: VectorKey) -> np.ndarray:
    """An action against a state, in the key's representation for the model.

    Args:
        action: (..., D) in the data's units and representation.
        state: The same, and broadcast against it: (R, 1, D) for chunks (R, horizon, D).
        key: Says whether these are numbers, a rotation or a pose.

    Raises:
        ValueError: A row holds no rotation where the key should.
    """
    if key.type == "eef":
        form = POSE_ROTATIONS[key.format]
        frame = _transposed(_matrices(state[..., 3:], form))
        position = (frame @ (action - state)[..., :3, None])[..., 0]
        turn = _numbers(frame @ _matrices(action[..., 3:], form), form)
        return np.concatenate([position, turn], axis=-1)
    if key.rotation_type is not None:
        source, target = key.rotation_type, key.target_rotation or key.rotation_type
        frame = _transposed(_matrices(state, source))
        return _numbers(frame @ _matrices(action, source), target)
    return action - state


def absolute_action(relative: np.ndarray, state: np.ndarray, key: VectorKey) -> np.ndarray:
    """What ``relative_action`` was made of, in the data's units and representation.

    Raises:
        ValueError: A row holds no rotation where the key should.
    """
    if key.type == "eef":
        form = POSE_ROTATIONS[key.format]
        frame = _matrices(state[..., 3:], form)
        position = (frame @ relative[..., :3, None])[..., 0] + state[..., :3]
        turn = _numbers(frame @ _matrices(relative[..., 3:], form), form)
        return np.concatenate([position, turn], axis=-1)
    if key.rotation_type is not None:
        source, target = key.rotation_type, key.target_rotation or key.rotation_type
        return _numbers(_matrices(state, source) @ _matrices(relative, target), source)
    return relative + state


def _matrices(values: np.ndarray, form: str) -> np.ndarray:
    return convert_rotation(values, form, "matrix").reshape(*values.shape[:-1], 3, 3)


def _numbers(matrices: np.ndarray, form: str) -> np.ndarray:
    return convert_rotation(matrices.reshape(*matrices.shape[:-2], 9), "matrix", form)


def _transposed(matrices: np.ndarray) -> np.ndarray:
    return np.swapaxes(matrices, -1, -2)
