import numpy as np
import pytest

from gr00t_assets.modality.rotations import ROTATION_DIMS, convert_rotation, rotation_bounds

HALF = np.sqrt(0.5)
QUARTER_TURN_ABOUT_Z = {
    "axis_angle": [0, 0, np.pi / 2],
    "quaternion": [HALF, 0, 0, HALF],
    "matrix": [0, -1, 0, 1, 0, 0, 0, 0, 1],
    "rotation_6d": [0, -1, 0, 1, 0, 0],
    "euler_angles_rpy": [0, 0, np.pi / 2],
    "euler_angles_ypr": [np.pi / 2, 0, 0],
    "euler_angles_yrp": [np.pi / 2, 0, 0],
}


@pytest.mark.parametrize("source", QUARTER_TURN_ABOUT_Z)
@pytest.mark.parametrize("target", QUARTER_TURN_ABOUT_Z)
def test_a_quarter_turn_worked_by_hand(source: str, target: str) -> None:
    found = convert_rotation(np.array(QUARTER_TURN_ABOUT_Z[source], float), source, target)
    np.testing.assert_allclose(found, QUARTER_TURN_ABOUT_Z[target], atol=1e-12)


def _about(axis: str, angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array(
        {
            "r": [[1, 0, 0], [0, c, -s], [0, s, c]],
            "p": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
            "y": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
        }[axis]
    )


@pytest.mark.parametrize("order", ["rpy", "ryp", "pry", "pyr", "yrp", "ypr"])
def test_euler_angles_multiply_in_the_order_of_their_letters(order: str) -> None:
    angles = np.array([0.3, -0.5, 0.7])
    first, second, third = (_about(axis, a) for axis, a in zip(order, angles, strict=True))
    found = convert_rotation(angles, f"euler_angles_{order}", "matrix")
    np.testing.assert_allclose(found.reshape(3, 3), first @ second @ third, atol=1e-12)


@pytest.mark.parametrize("source", ROTATION_DIMS)
@pytest.mark.parametrize("target", ROTATION_DIMS)
def test_round_trips(source: str, target: str) -> None:
    turns = np.random.default_rng(0).uniform(-1, 1, (5, 16, 3))
    values = convert_rotation(turns, "axis_angle", source)
    assert values.shape == (5, 16, ROTATION_DIMS[source])
    there = convert_rotation(values, source, target)
    low, high = rotation_bounds(target)
    assert (there >= low - 1e-9).all()
    assert (there <= high + 1e-9).all()
    np.testing.assert_allclose(convert_rotation(there, target, source), values, atol=1e-9)


def test_a_quaternion_need_not_be_of_length_one_and_comes_back_with_positive_w() -> None:
    quaternion = np.array([-2.0, 0.0, 0.0, -2.0])
    there = convert_rotation(quaternion, "quaternion", "rotation_6d")
    back = convert_rotation(there, "rotation_6d", "quaternion")
    np.testing.assert_allclose(back, [HALF, 0, 0, HALF], atol=1e-12)


def test_rotation_6d_is_made_orthonormal() -> None:
    found = convert_rotation(np.array([2.0, 0, 0, 5, 3, 0]), "rotation_6d", "matrix")
    np.testing.assert_allclose(found, np.eye(3).reshape(-1), atol=1e-12)


@pytest.mark.parametrize(
    ("source", "values", "words"),
    [
        ("quaternion", np.zeros((2, 4)), "zero norm"),
        ("rotation_6d", np.zeros((2, 6)), "first row of length 0"),
        ("rotation_6d", np.array([[1.0, 0, 0, 2, 0, 0]]), "parallel"),
    ],
)
def test_what_is_no_rotation_is_refused(source: str, values: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        convert_rotation(values, source, "axis_angle")


def test_no_rows_are_no_error() -> None:
    assert convert_rotation(np.zeros((0, 4)), "quaternion", "rotation_6d").shape == (0, 6)
