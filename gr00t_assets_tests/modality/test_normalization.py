import numpy as np
import pytest

from gr00t_assets.modality.config import Statistics, VectorKey
from gr00t_assets.modality.key_transform import KeyTransform

STATISTICS = Statistics(
    min=(-2.0, 5.0),
    max=(6.0, 5.0),
    mean=(1.0, 5.0),
    std=(2.0, 0.0),
    q01=(-1.0, 5.0),
    q99=(3.0, 5.0),
)


def transform(mode: str) -> KeyTransform:
    place = {"key": "arm", "original_key": "action", "start": 0, "end": 2}
    key = {**place, "normalization": mode, "statistics": STATISTICS}
    return KeyTransform(VectorKey.model_validate(key))


@pytest.mark.parametrize(
    ("mode", "values", "expected"),
    [
        ("min_max", [4.0, 5.0], [0.5, 0.0]),
        ("min_max", [8.0, 9.0], [1.5, 0.0]),
        ("q99", [2.0, 0.25], [0.5, 0.25]),
        ("q99", [9.0, 5.0], [1.0, 1.0]),
        ("mean_std", [4.0, 5.0], [1.5, 5.0]),
        ("binary", [0.5, 0.51], [0.0, 1.0]),
    ],
)
def test_values_worked_by_hand(mode: str, values: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(transform(mode).forward(np.array(values)), expected, atol=1e-15)


@pytest.mark.parametrize("mode", ["min_max", "q99", "mean_std"])
def test_inverse_gives_the_units_back(mode: str) -> None:
    values = np.stack([np.linspace(-1, 3, 7), np.full(7, 5.0)], axis=-1)
    found = transform(mode).inverse(transform(mode).forward(values))
    np.testing.assert_allclose(found[:, 0], values[:, 0], atol=1e-12)


def test_inverse_of_a_constant_is_the_constant_and_binary_is_a_decision() -> None:
    constant = transform("min_max").inverse(np.array([0.0, 0.7]))
    np.testing.assert_allclose(constant, [2.0, 5.0])
    decided = transform("binary").inverse(np.array([0.4, 0.9]))
    np.testing.assert_allclose(decided, [0.0, 1.0])
