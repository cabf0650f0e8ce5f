"""Windows of equally many frames, and the slope at the end."""

import numpy as np
import pytest

from gr00t_assets.comparison.curves import Curve, Loss, loss_curve
from gr00t_assets.comparison.statistics.ranking import comparability_classes
from gr00t_assets.comparison.tables.runs_table import runs_table
from gr00t_assets.reporting.ranking_table import ranking_table
from gr00t_assets.runs.final_loss import final_window
from gr00t_assets.runs.metrics import Metric, MetricTable
from gr00t_assets.runs.stored_run import read_runs
from gr00t_assets_tests.comparison.run_factory import experiment, losses, write_run
from gr00t_assets_tests.comparison.synthetic_runs import synthetic_run


def metric(step: int, values: tuple[float, ...], per_step: int = 8) -> Metric:
    return Metric(
        step=step, samples_seen=step * per_step, epoch=0.0, loss=float(np.mean(values)),
        losses=values, grad_norm=1.0, learning_rate=1e-4, wall_seconds=1.0,
    )  # fmt: skip


def test_every_logged_step_has_its_place():
    curve = loss_curve(MetricTable.of([metric(3, (3.0, 2.0, 1.0)), metric(5, (0.5, 0.25))]))
    assert curve.steps.tolist() == [1, 2, 3, 4, 5]
    assert curve.samples.tolist() == [8, 16, 24, 32, 40]
    assert curve.losses.tolist() == [3.0, 2.0, 1.0, 0.5, 0.25]


def test_losses_that_are_not_finite_are_left_out():
    curve = loss_curve(MetricTable.of([metric(3, (3.0, float("nan"), float("inf")))]))
    assert curve.steps.tolist() == [1]


def test_the_line_ends_at_the_loss_that_is_ranked(store):
    item = experiment("a")
    write_run(item, store, losses(300, 0.1))
    (run,) = read_runs([item], store)
    line = loss_curve(run.metrics).smoothed()
    assert run.manifest and run.manifest.final_loss and run.manifest.first_loss
    assert line.losses[-1] == pytest.approx(run.manifest.final_loss.mean)
    assert line.losses[0] == pytest.approx(run.manifest.first_loss.mean)
    assert line.steps[0] == pytest.approx(np.arange(1, 31).mean())


def test_thinning_keeps_both_ends():
    curve = loss_curve(MetricTable.of([metric(1000, tuple(np.linspace(2, 1, 1000)))]))
    thin = curve.thinned(50)
    assert len(thin) == 50
    assert (thin.steps[0], thin.steps[-1]) == (1, 1000)


def curve(losses: np.ndarray, batch: int = 8) -> Curve:
    steps = np.arange(1.0, len(losses) + 1)
    return Curve(steps, batch * steps, losses)


@pytest.mark.parametrize(("batch", "steps"), [(1, 10_000), (8, 2_000), (32, 100)])
def test_the_loss_that_is_ranked_is_that_of_the_final_window(batch: int, steps: int) -> None:
    losses = np.linspace(1.0, 0.5, steps)
    loss, window = curve(losses, batch).final_loss(), final_window(losses, batch)
    assert loss is not None and window is not None
    assert (loss.mean, loss.standard_error) == (window.mean, window.standard_error)
    assert loss.samples == max(20, steps // 10) * batch
    assert loss.kind == "window mean"


def test_the_loss_at_equal_samples_is_a_window_that_ends_there() -> None:
    losses = np.concatenate([np.full(500, 3.0), np.full(500, 1.0)])
    run = synthetic_run("a", curve=curve(losses), max_steps=1000)
    assert run.curve
    early, late = run.curve.loss_at(4000), run.curve.loss_at(8000)
    assert early is not None and late is not None
    assert (early.mean, late.mean) == (3.0, 1.0)
    assert run.curve.loss_at(9000) is None
    assert run.curve.loss_at(8) is None


def test_the_loss_at_half_of_the_schedule() -> None:
    losses = np.concatenate([np.full(500, 3.0), np.full(500, 1.0)])
    run = synthetic_run("a", curve=curve(losses), max_steps=1000)
    assert run.halfway_loss is not None and run.halfway_loss.mean == 3.0
    assert synthetic_run("b", 0.5).halfway_loss is None
    exported = runs_table([run, synthetic_run("b", 0.5)])
    assert exported["loss_halfway"][0] == 3.0 and exported["trend"][0] == "level"
    assert exported[["loss_halfway", "trend"]].iloc[1].isna().all()
    table = ranking_table(comparability_classes([run])[0].ranking, {})
    place = [column.name for column in table.columns].index("loss_halfway")
    assert table.rows[0][1][place].order == 3.0


@pytest.mark.parametrize("losses", [np.array([1.0, np.nan] * 50), np.zeros(100), np.ones(3)])
def test_what_is_no_loss_has_none(losses: np.ndarray) -> None:
    assert curve(losses).final_loss() is None


def test_a_loss_that_falls_at_the_end_is_told(rng: np.random.Generator) -> None:
    noise = rng.lognormal(0, 0.1, 1000)
    falling = curve(np.exp(-np.arange(1000) / 300) * noise).end_trend()
    assert falling.trend == "falling"
    assert falling.slope == pytest.approx(-250 / 300, abs=4 * (falling.standard_error or 0))
    assert falling.words.startswith("still falling: 5")
    rising = curve(np.exp(np.arange(1000) / 300) * noise).end_trend()
    assert rising.trend == "rising"


def test_level_ends_are_called_level(rng: np.random.Generator) -> None:
    trends = [curve(rng.lognormal(0, 0.3, 1000)).end_trend().trend for _ in range(200)]
    assert trends.count("level") >= 180


@pytest.mark.parametrize("run", [synthetic_run("a", 0.5), synthetic_run("b", Loss(1, 1, 1))])
def test_without_a_curve_the_trend_is_unknown(run) -> None:
    assert run.end_trend.trend == "unknown"
    assert "no curve" in run.end_trend.words
