from typing import Any

import numpy as np
import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.modality.config import ModalityConfig, Statistics, VectorKey
from gr00t_assets.modality.transforms import StateActionTransform


def _key(key: str, start: int, end: int, low: float, high: float, **extra) -> VectorKey:
    size = end - start
    values = {
        "min": low,
        "max": high,
        "q01": low,
        "q99": high,
        "mean": (low + high) / 2,
        "std": 1.0,
    }
    statistics = Statistics(**{name: (value,) * size for name, value in values.items()})
    column = extra.pop("original_key", "action")
    return VectorKey(
        key=key, original_key=column, start=start, end=end, statistics=statistics, **extra
    )


def _config(state: list[VectorKey], action: list[VectorKey], dims: tuple[int, int], **extra):
    return ModalityConfig(
        dataset="demo",
        dataset_version="0",
        data_config="made_up",
        embodiment_tag="gr1",
        embodiment_id=24,
        video=(),
        state=tuple(state),
        action=tuple(action),
        language=None,
        observation_indices=(0,),
        action_indices=extra.pop("action_indices", (0, 1, 2)),
        state_dim=dims[0],
        action_dim=dims[1],
        max_state_dim=12,
        max_action_dim=10,
    )


def _transform() -> StateActionTransform:
    return StateActionTransform(
        _config(
            state=[
                _key("hand", 2, 4, 0.0, 1.0, original_key="observation.state", sin_cos=True),
                _key("base", 0, 4, 0, 1, original_key="pose", rotation_type="quaternion",
                     target_rotation="rotation_6d"),
            ],
            action=[
                _key("lift", 2, 3, -1.0, 3.0, normalization="min_max"),
                _key("drive", 0, 2, -2.0, 6.0, normalization="min_max", absolute=False),
            ],
            dims=(10, 3),
        )
    )  # fmt: skip


ACTIONS = np.array([[6.0, -2.0, 3.0], [2.0, 2.0, 1.0], [0.0, 4.0, -1.0]])


def _chunks(transform: StateActionTransform, columns: Any) -> np.ndarray:
    """Every row's action chunk."""
    actions = transform.actions(columns)
    return transform.chunks(actions, np.arange(len(actions)))


def test_state_is_concatenated_in_the_configs_order_from_its_own_columns() -> None:
    rows = {
        "observation.state": np.array([[9.0, 9.0, 0.0, np.pi / 2]]),
        "pose": np.array([[1.0, 0.0, 0.0, 0.0]]),
    }
    transform = _transform()
    state = transform.states(rows)
    expected = [[0, 1, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0]]
    np.testing.assert_allclose(state, expected, atol=1e-15)


def test_actions_are_normalised_and_padded() -> None:
    transform = _transform()
    action = transform.actions(ACTIONS)
    expected = [[1, 1, -1], [0, 0, 0], [-1, -0.5, 0.5]]
    np.testing.assert_allclose(action[:, :3], expected, atol=1e-15)
    assert not action[:, 3:].any()
    assert transform.action_mask.tolist() == [[True] * 3 + [False] * 7] * transform.horizon


def test_past_the_end_an_absolute_key_repeats_and_a_relative_one_is_a_zero_in_units() -> None:
    chunks = _chunks(_transform(), {"action": ACTIONS})
    assert chunks.shape == (3, 3, 10)
    zero = 2 * (0 - -2.0) / 8.0 - 1
    np.testing.assert_allclose(
        chunks[1][:, :3], [[0, 0, 0], [-1, -0.5, 0.5], [-1, zero, zero]], atol=1e-15
    )
    np.testing.assert_allclose(
        chunks[2][:, :3], [[-1, -0.5, 0.5], [-1, zero, zero], [-1, zero, zero]], atol=1e-15
    )
    assert not chunks[:, :, 3:].any()


def test_rows_before_the_start_repeat_the_first() -> None:
    config = _config([], [_key("lift", 0, 1, -1, 1)], (0, 1), action_indices=(-2, 0))
    transform = StateActionTransform(config)
    chunks = transform.chunks(transform.actions(np.array([[5.0], [6.0], [7.0]])), [0, 2])
    assert chunks[:, :, 0].tolist() == [[5.0, 5.0], [5.0, 7.0]]


def test_chunks_keep_the_type_of_the_actions() -> None:
    transform = _transform()
    actions = transform.actions(ACTIONS).astype(np.float32)
    assert transform.chunks(actions, np.array([2])).dtype == np.float32


def test_inverse_gives_units_by_key() -> None:
    transform = _transform()
    found = transform.invert_action(_chunks(transform, ACTIONS))
    assert set(found) == {"lift", "drive"}
    np.testing.assert_allclose(found["lift"][0, :, 0], ACTIONS[:, 2], atol=1e-15)
    np.testing.assert_allclose(found["drive"][0], ACTIONS[:, :2], atol=1e-15)
    np.testing.assert_allclose(found["drive"][2, 1:], 0, atol=1e-15)


def test_rotated_actions_come_back() -> None:
    turn = _key("turn", 0, 3, 0, 1, rotation_type="axis_angle", target_rotation="rotation_6d",
                normalization="min_max")  # fmt: skip
    transform = StateActionTransform(_config([], [turn], (0, 6)))
    rows = np.random.default_rng(0).uniform(-1, 1, (4, 3))
    actions = transform.actions(rows)
    assert np.abs(actions[:, :6]).max() <= 1 + 1e-12
    np.testing.assert_allclose(actions[0, 6:], 0)
    chunks = transform.chunks(actions, [0])
    np.testing.assert_allclose(transform.invert_action(chunks)["turn"][0], rows[:3], atol=1e-12)


def test_a_relative_rotation_is_padded_with_no_rotation() -> None:
    turn = _key("turn", 0, 4, 0, 1, rotation_type="quaternion", target_rotation="axis_angle",
                absolute=False)  # fmt: skip
    transform = StateActionTransform(_config([], [turn], (0, 3)))
    chunk = _chunks(transform, np.array([[0.5, 0.5, 0.5, 0.5]]))[0]
    assert np.abs(chunk[0, :3]).min() > 1
    np.testing.assert_allclose(chunk[1:], 0, atol=1e-15)


def test_a_quaternion_of_zeros_is_an_error_that_names_the_key() -> None:
    rows = {"observation.state": np.zeros((2, 4)), "pose": np.zeros((2, 4))}
    with pytest.raises(DatasetError, match="demo: key 'base' of pose holds no quaternion"):
        _transform().states(rows)
