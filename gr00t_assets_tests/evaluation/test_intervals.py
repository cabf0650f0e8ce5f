"""Intervals: as wide as clusters make them, and right as often as they say."""

import numpy as np

from gr00t_assets.evaluation.result import Estimate
from gr00t_assets.evaluation.windows import ClusterBootstrap, Windows, answered


def windows_of(clusters: np.ndarray, horizon: int = 4, inside: np.ndarray | None = None) -> Windows:
    whole = np.ones((len(clusters), horizon), bool) if inside is None else inside
    rows = np.arange(len(clusters))
    return Windows(clusters, rows, whole, clusters, "episodes", 1)


def test_windows_of_one_cluster_do_not_narrow_the_interval() -> None:
    random = np.random.default_rng(0)
    by_cluster = random.normal(size=12)
    once = windows_of(np.arange(12))
    tenfold = windows_of(np.repeat(np.arange(12), 10))
    few = ClusterBootstrap(once, 1000, 0).means([np.tile(by_cluster[:, None], 4)])[0]
    repeated = np.tile(np.repeat(by_cluster, 10)[:, None], 4)
    many = ClusterBootstrap(tenfold, 1000, 0).means([repeated])[0]
    assert many == few
    alone = windows_of(np.arange(120))
    assert ClusterBootstrap(alone, 1000, 0).means([repeated])[0].standard_error < (
        0.5 * few.standard_error
    )


def test_the_truth_is_covered_as_often_as_it_should_be() -> None:
    random, covered = np.random.default_rng(1), 0
    clusters = np.repeat(np.arange(25), 8)
    for draw in range(200):
        shared = random.normal(size=25)[clusters][:, None]
        values = 1.0 + shared + random.normal(size=(200, 4))
        found = ClusterBootstrap(windows_of(clusters), 300, draw).means([values])[0]
        covered += found.low < 1.0 < found.high
    assert 0.88 * 200 < covered <= 200


def test_steps_past_the_end_are_not_counted() -> None:
    inside = np.ones((6, 4), bool)
    inside[::2, 2:] = False
    values = np.where(inside, 1.0, 1e6)
    bootstrap = ClusterBootstrap(windows_of(np.arange(6), inside=inside), 200, 0)
    assert bootstrap.means([values])[0].mean == 1.0
    assert [each.mean for each in bootstrap.by_step(values)] == [1.0] * 4
    assert bootstrap.plain(values) == (1.0,) * 4


def test_values_that_never_differ_have_an_interval_of_no_width() -> None:
    found = ClusterBootstrap(windows_of(np.arange(6)), 200, 0).means([np.full((6, 4), 0.25)])[0]
    assert found == Estimate(mean=0.25, standard_error=0, low=0.25, high=0.25)


def test_an_answer_needs_the_whole_interval() -> None:
    def between(low: float, high: float) -> Estimate:
        return Estimate(mean=(low + high) / 2, standard_error=0.1, low=low, high=high)

    told = [answered(between(*ends)) for ends in ((-2, -1), (1, 2), (-1, 1), (-1, 0))]
    assert told == ["yes", "no", "cannot be told", "cannot be told"]
