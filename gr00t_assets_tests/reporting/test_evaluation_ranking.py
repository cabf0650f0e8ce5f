"""Whether loss and open-loop error order runs alike, and what is said where they do not."""

import itertools

import pytest

from gr00t_assets.comparison.curves import Loss
from gr00t_assets.evaluation.result import Estimate
from gr00t_assets.reporting.evaluation_ranking import agreement


def loss(mean: float, error: float = 0.001) -> Loss:
    return Loss(mean, error, samples=100)


def about(mean: float, error: float = 0.001) -> Estimate:
    return Estimate(mean=mean, standard_error=error, low=mean - 2 * error, high=mean + 2 * error)


def test_the_same_order_agrees() -> None:
    rows = [(name, loss(0.1 * i), about(0.5 * i)) for i, name in enumerate("abcde", start=1)]
    found = agreement(rows)
    assert (found.tau, found.disagreeing) == (pytest.approx(1.0), ())
    assert "name the same best run, a (Kendall's tau 1.00 over 5 runs)" in found.sentence
    assert found.sentence.endswith("Neither is success on a robot.")


def test_a_reversed_order_disagrees_in_every_pair() -> None:
    rows = [(name, loss(0.1 * i), about(-0.5 * i)) for i, name in enumerate("abcd", start=1)]
    found = agreement(rows)
    assert found.tau == pytest.approx(-1.0)
    assert found.disagreeing == tuple(itertools.combinations("abcd", 2))
    assert "a has the lower loss and b the lower error, and 5 more pairs" in found.sentence


def test_a_disagreement_within_noise_is_none() -> None:
    found = agreement([("a", loss(0.10, 0.2), about(0.4)), ("b", loss(0.11, 0.2), about(0.3))])
    assert (found.disagreeing, found.tau) == ((), None)
    assert "no pair of runs is ordered both ways beyond noise" in found.sentence


def test_one_run_has_no_order() -> None:
    assert "One run was evaluated" in agreement([("a", loss(1), about(1))]).sentence
