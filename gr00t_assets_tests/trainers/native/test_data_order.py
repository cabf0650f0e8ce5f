"""The order of the samples of one dataset and of a mixture."""

import numpy as np
import pytest

from gr00t_assets.trainers.native.data_order import DataOrder, MixtureOrder

ROWS = (300, 9_000, 17)
SHARES = (0.6, 0.3999, 0.0001)


def mixture(seed: int = 0) -> MixtureOrder:
    orders = [DataOrder(rows, seed, place) for place, rows in enumerate(ROWS)]
    return MixtureOrder(orders, SHARES, seed)


def test_an_epoch_draws_every_sample_once_and_any_place_can_be_asked_for() -> None:
    order = DataOrder(samples=50, seed=3)
    epochs = order.rows(np.arange(100))
    assert sorted(epochs[:50]) == list(range(50)) == sorted(epochs[50:])
    assert list(epochs[:50]) != list(epochs[50:])
    again = DataOrder(samples=50, seed=3)
    assert list(again.rows(np.arange(37, 67))) == list(epochs[37:67])
    across = list(DataOrder(samples=7, seed=1).rows(np.arange(40)))
    assert list(DataOrder(samples=7, seed=1).rows(np.arange(5, 35))) == across[5:35]
    assert list(DataOrder(samples=50, seed=4).rows(np.arange(50))) != list(epochs[:50])


def test_the_order_of_one_dataset_is_that_of_earlier_versions() -> None:
    first, second = (np.random.default_rng([42, epoch]).permutation(50) for epoch in (0, 1))
    expected = [*first, *second]
    assert list(DataOrder(50, 42).rows(np.arange(100))) == expected
    alone = MixtureOrder([DataOrder(50, 42)], [1.0], 42).draws(0, 100)
    assert list(alone.rows) == expected
    assert not alone.datasets.any()


def test_a_million_draws_have_the_asked_shares() -> None:
    order = mixture()
    draws = order.draws(0, 1_000_000)
    counts = np.bincount(draws.datasets)
    np.testing.assert_allclose(counts / 1e6, SHARES, rtol=0.01)
    assert order.counts(1_000_000).tolist() == counts.tolist()
    for dataset, rows in enumerate(ROWS):
        drawn = draws.rows[draws.datasets == dataset]
        times = np.bincount(drawn, minlength=rows)
        assert times.max() - times.min() <= 1, "each dataset goes through its rows in turn"


@pytest.mark.parametrize("count", [2, 3, 37, 120])
def test_any_number_of_datasets_has_equal_shares(count: int) -> None:
    orders = [DataOrder(50, 0, place) for place in range(count)]
    order = MixtureOrder(orders, [1 / count] * count, 0)
    drawn = np.bincount(order.draws(0, 100_000).datasets, minlength=count)
    assert drawn.sum() == 100_000
    np.testing.assert_allclose(drawn, 100_000 / count, atol=count)


@pytest.mark.parametrize("start", [0, 1, 999, 1000, 1001, 123_456])
def test_any_place_can_be_asked_for_and_is_the_same(start: int) -> None:
    whole, part = mixture().draws(0, start + 2_500), mixture().draws(start, 2_500)
    assert (whole.datasets[start:] == part.datasets).all()
    assert (whole.rows[start:] == part.rows).all()
    counts = np.bincount(whole.datasets[:start], minlength=len(ROWS))
    assert mixture().counts(start).tolist() == counts.tolist()


def test_seeds_and_datasets_have_orders_of_their_own() -> None:
    one, other = mixture(seed=0).draws(0, 1000), mixture(seed=1).draws(0, 1000)
    assert (one.datasets != other.datasets).any()
    twins = MixtureOrder([DataOrder(400, 0), DataOrder(400, 0, 1)], [0.5, 0.5], 0).draws(0, 800)
    first, second = (twins.rows[twins.datasets == dataset] for dataset in (0, 1))
    assert list(first) != list(second)


def test_every_batch_is_mixed() -> None:
    datasets = mixture().draws(0, 32_000).datasets.reshape(-1, 32)
    shares = (datasets == 0).mean(axis=1)
    assert shares.mean() == pytest.approx(0.6, abs=0.001)
    assert 0.05 < shares.std() < 0.12, "about as binomial draws: 0.087"


def test_episodes_have_equal_chances_where_that_is_asked() -> None:
    order = DataOrder(100, 0, 0, [10, 90])
    rows = order.rows(np.arange(100_000))
    assert (rows < 10).mean() == pytest.approx(0.5, abs=0.01)
    times = np.bincount(rows, minlength=100)
    assert times[:10].std() / times[:10].mean() < 0.05
    assert times[10:].std() / times[10:].mean() < 0.1
    assert list(DataOrder(100, 0, 0, [10, 90]).rows(np.arange(777, 827))) == list(rows[777:827])
