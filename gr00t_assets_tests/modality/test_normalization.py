import numpy as np
import pytest

from gr00t_assets.modality.config import Statistics
from gr00t_assets.modality.normalizer import Normalizer

STATISTICS = Statistics(
    min=(-2.0, 5.0),
    max=(6.0, 5.0),
    mean=(1.0, 5.0),
    std=(2.0, 0.0),
    q01=(-1.0, 5.0),
    q99=(3.0, 5.0),
)


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
    normalizer = Normalizer.of(mode, STATISTICS)
    np.testing.assert_allclose(normalizer.forward(np.array(values)), expected, atol=1e-15)


@pytest.mark.parametrize("mode", ["min_max", "q99", "mean_std"])
def test_inverse_gives_the_units_back(mode: str) -> None:
    normalizer = Normalizer.of(mode, STATISTICS)
    values = np.stack([np.linspace(-1, 3, 7), np.full(7, 5.0)], axis=-1)
    found = normalizer.inverse(normalizer.forward(values))
    np.testing.assert_allclose(found[:, 0], values[:, 0], atol=1e-12)


def test_inverse_of_a_constant_is_the_constant_and_binary_is_a_decision() -> None:
    constant = Normalizer.of("min_max", STATISTICS).inverse(np.array([0.0, 0.7]))
    np.testing.assert_allclose(constant, [2.0, 5.0])
    decided = Normalizer.of("binary", STATISTICS).inverse(np.array([0.4, 0.9]))
    np.testing.assert_allclose(decided, [0.0, 1.0])
