import io
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image

from gr00t_assets.comparison.curve_groups import DRAWN, curve_groups, run_styles
from gr00t_assets.comparison.curves import loss_curve
from gr00t_assets.comparison.runs import read_runs
from gr00t_assets.reporting.plots import (
    FIGURE_POINTS,
    curves_figure,
    curves_png,
    markdown_image,
    run_curve_png,
)
from gr00t_assets.runs.metrics import Metric
from gr00t_assets_tests.comparison.run_factory import experiment, losses, write_run


def metric(step: int, values: tuple[float, ...], per_step: int = 8) -> Metric:
    return Metric(
        step=step, samples_seen=step * per_step, epoch=0.0, loss=float(np.mean(values)),
        losses=values, grad_norm=1.0, learning_rate=1e-4, wall_seconds=1.0,
    )  # fmt: skip


def picture(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_every_logged_step_has_its_place():
    curve = loss_curve([metric(3, (3.0, 2.0, 1.0)), metric(5, (0.5, 0.25))])
    assert curve.steps.tolist() == [1, 2, 3, 4, 5]
    assert curve.samples.tolist() == [8, 16, 24, 32, 40]
    assert curve.losses.tolist() == [3.0, 2.0, 1.0, 0.5, 0.25]


def test_losses_that_are_not_finite_are_left_out():
    curve = loss_curve([metric(3, (3.0, float("nan"), float("inf")))])
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
    curve = loss_curve([metric(1000, tuple(np.linspace(2, 1, 1000)))])
    thin = curve.thinned(50)
    assert len(thin) == 50
    assert (thin.steps[0], thin.steps[-1]) == (1, 1000)


def test_two_classes_do_not_share_axes(store):
    items = [experiment("a"), experiment("b")]
    write_run(items[0], store, losses(300, 0.1))
    write_run(items[1], store, losses(300, 0.1), frames_verified=False)
    groups = curve_groups(read_runs(items, store))
    assert [[run.name for run in members] for _, members in groups] == [["a"], ["b"]]


def test_more_experiments_than_colours_are_still_told_apart(store):
    items = [experiment(f"e{index}") for index in range(20)]
    styles = run_styles(read_runs(items, store))
    assert len({(style.color, style.dash) for style in styles.values()}) == 20


def test_a_figure_has_a_line_for_each_run_and_samples_for_each_point(store):
    items = [experiment("a", batch_size=1), experiment("b", batch_size=8)]
    for item in items:
        write_run(item, store, losses(300, 0.1))
    runs = read_runs(items, store)
    figure = curves_figure(runs, run_styles(runs))
    drawn: Any = go.Figure(figure).data
    assert len(drawn) == 4, "every property is one that Plotly knows"
    lines = [trace for trace in figure["data"] if trace["mode"] == "lines"]
    assert [trace["name"].split()[0] for trace in lines] == ["a", "b"]
    assert all(len(trace["x"]) == len(trace["customdata"]) for trace in lines)
    assert lines[1]["customdata"][-1] == pytest.approx(8 * lines[0]["customdata"][-1], abs=8)
    assert runs[0].final_loss
    assert lines[0]["y"][-1] == pytest.approx(runs[0].final_loss.mean, rel=1e-4)


def test_of_many_runs_the_best_are_drawn_and_the_rest_is_counted(store):
    items = [
        experiment(f"e{index}", learning_rate=(index + 1) * 1e-5) for index in range(DRAWN + 3)
    ]
    for index, item in enumerate(items):
        write_run(item, store, losses(300, 0.5 - 0.005 * index, noise=0.001))
    ((title, members),) = curve_groups(read_runs(items, store))
    assert title == f"the first {DRAWN} of {DRAWN + 3} runs, by rank"
    assert [run.name for run in members[:2]] == [items[-1].name, items[-2].name]
    assert len(members) == DRAWN
    traces = curves_figure(members, run_styles(members))["data"]
    assert sum(len(trace["x"]) for trace in traces) <= 1.5 * FIGURE_POINTS


def test_images_are_png_with_the_colours_of_the_runs(store):
    items = [experiment("a"), experiment("b")]
    for seed, item in enumerate(items):
        write_run(item, store, losses(300, 0.1 + 0.2 * seed, seed=seed))
    runs = read_runs(items, store)
    image = picture(curves_png(runs))
    for style in run_styles(runs).values():
        color = [int(style.color[index : index + 2], 16) for index in (1, 3, 5)]
        assert (np.abs(image.astype(int) - color).max(axis=-1) < 12).sum() > 100
    alone = picture(run_curve_png(runs[0].metrics))
    assert alone.shape[1] > 600
    assert markdown_image(b"x", "loss").startswith("![loss](data:image/png;base64,")


@pytest.mark.parametrize("values", [(), (0.5,), (0.0, 0.0, 0.0), (float("nan"),)])
def test_few_or_odd_losses_still_make_an_image(store, values):
    assert picture(run_curve_png([metric(len(values), values)] if values else [])).size
    assert picture(curves_png(read_runs([experiment("a")], store))).size
