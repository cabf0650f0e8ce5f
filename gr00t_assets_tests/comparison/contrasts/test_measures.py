"""Windows of equally many frames, and the slope at the end."""

import numpy as np
import pytest

from gr00t_assets.comparison.contrasts.measures import (
    WINDOW_FRAMES,
    end_loss,
    loss_at_fraction,
    loss_at_samples,
    plateau_or_falling,
    window_length,
)
from gr00t_assets.comparison.contrasts.observation import Loss, RunCurve
from gr00t_assets.comparison.contrasts.ranking import classes, ranking
from gr00t_assets.comparison.tables.runs_table import runs_table
from gr00t_assets.reporting.report.ranked import ranked_table
from gr00t_assets_tests.comparison.contrasts.making import drawn_curve, observed


def curve(losses: np.ndarray, batch: int = 8) -> RunCurve:
    return RunCurve(batch * np.arange(1.0, len(losses) + 1), losses)


@pytest.mark.parametrize(("batch", "steps"), [(1, 10_000), (8, 2_000), (32, 1_000)])
def test_runs_of_any_batch_size_are_measured_over_as_many_frames(batch: int, steps: int) -> None:
    loss = end_loss(curve(np.full(steps, 0.5), batch))
    assert loss is not None
    assert loss.samples == WINDOW_FRAMES
    assert loss.kind == "window mean"


def test_a_window_has_enough_steps_and_not_too_much_of_the_run() -> None:
    assert window_length(10_000, 512) == 20
    assert window_length(300, 1) == 60
    assert window_length(30, 8) == 15


def test_the_error_respects_what_neighbours_have_in_common(rng: np.random.Generator) -> None:
    means, errors = [], []
    for _ in range(200):
        loss = end_loss(drawn_curve(rng, 0.2, steps=2000, memory=0.8))
        assert loss is not None
        means.append(loss.mean)
        errors.append(loss.standard_error)
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.25)
    independent = 0.8 / np.sqrt(WINDOW_FRAMES) * 0.2
    assert np.mean(errors) > 1.8 * independent


def test_the_loss_at_equal_samples_is_a_window_that_ends_there() -> None:
    losses = np.concatenate([np.full(500, 3.0), np.full(500, 1.0)])
    run = observed("a", curve=curve(losses), max_steps=1000)
    early, late = loss_at_samples(run, 4000), loss_at_samples(run, 8000)
    assert early is not None and late is not None
    assert (early.mean, late.mean) == (3.0, 1.0)
    assert loss_at_samples(run, 9000) is None
    assert loss_at_samples(run, 8) is None
    assert loss_at_samples(observed("b", 0.5), 100) is None


def test_the_loss_at_a_share_of_the_schedule() -> None:
    losses = np.concatenate([np.full(500, 3.0), np.full(500, 1.0)])
    run = observed("a", curve=curve(losses), max_steps=1000)
    half, end = loss_at_fraction(run, 0.5), loss_at_fraction(run, 1.0)
    assert half is not None and end is not None
    assert (half.mean, end.mean) == (3.0, 1.0)
    assert loss_at_fraction(observed("b", 0.5), 0.5) is None
    exported = runs_table([run, observed("b", 0.5)])
    assert exported["loss_halfway"][0] == 3.0 and exported["trend"][0] == "level"
    assert exported[["loss_halfway", "trend"]].iloc[1].isna().all()
    table = ranked_table(ranking(classes([run])[0]), {}, {})
    place = [head.text for head in table.heads].index("halfway")
    assert table.rows[0].cells[place].order == 3.0


@pytest.mark.parametrize("losses", [np.array([1.0, np.nan] * 50), np.zeros(100), np.ones(3)])
def test_what_is_no_loss_has_none(losses: np.ndarray) -> None:
    assert end_loss(curve(losses)) is None


def test_a_loss_that_falls_at_the_end_is_told(rng: np.random.Generator) -> None:
    noise = rng.lognormal(0, 0.1, 1000)
    falling = plateau_or_falling(observed("a", curve=curve(np.exp(-np.arange(1000) / 300) * noise)))
    assert falling.trend == "falling"
    assert falling.slope == pytest.approx(-250 / 300, abs=4 * (falling.standard_error or 0))
    assert falling.words.startswith("still falling: 5")
    rising = plateau_or_falling(observed("a", curve=curve(np.exp(np.arange(1000) / 300) * noise)))
    assert rising.trend == "rising"


def test_level_ends_are_called_level(rng: np.random.Generator) -> None:
    trends = [
        plateau_or_falling(observed("a", curve=curve(rng.lognormal(0, 0.3, 1000)))).trend
        for _ in range(200)
    ]
    assert trends.count("level") >= 180


@pytest.mark.parametrize("run", [observed("a", 0.5), observed("b", Loss(1, 1, 1))])
def test_without_a_curve_the_trend_is_unknown(run) -> None:
    assert plateau_or_falling(run).trend == "unknown"
    assert "no curve" in plateau_or_falling(run).words
