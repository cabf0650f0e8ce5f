"""Loss curves as images: which runs share axes, and how each is drawn."""

import io

import numpy as np
import pytest
from PIL import Image

from gr00t_assets.comparison.all_runs import from_store
from gr00t_assets.reporting.curve_images import curve_panels, curves_png, run_curve_png
from gr00t_assets.reporting.plots import MOST_DRAWN, run_styles
from gr00t_assets.runs.metrics import Metric, MetricTable
from gr00t_assets.runs.stored_run import read_runs
from gr00t_assets_tests.comparison.run_factory import experiment, losses, write_run


def read(items, store):
    return from_store(read_runs(items, store))


def metric(step: int, values: tuple[float, ...]) -> Metric:
    return Metric(
        step=step, samples_seen=step * 8, epoch=0.0, loss=float(np.mean(values)),
        losses=values, grad_norm=1.0, learning_rate=1e-4, wall_seconds=1.0,
    )  # fmt: skip


def picture(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_two_classes_do_not_share_axes(store):
    items = [experiment("a"), experiment("b")]
    write_run(items[0], store, losses(300, 0.1))
    write_run(items[1], store, losses(300, 0.1), frames_verified=False)
    panels = curve_panels(read(items, store))
    assert [[run.name for run in members] for _, members in panels] == [["a"], ["b"]]
    assert all(title.startswith("class ") for title, _ in panels)


def test_more_experiments_than_colours_are_still_told_apart(store):
    items = [experiment(f"e{index}") for index in range(20)]
    for item in items:
        write_run(item, store, losses(20, 0.1))
    styles = run_styles(read(items, store))
    assert len(set(styles.values())) == 20


def test_of_many_runs_the_best_are_drawn_and_the_rest_is_counted(store):
    items = [
        experiment(f"e{index}", learning_rate=(index + 1) * 1e-5) for index in range(MOST_DRAWN + 3)
    ]
    for index, item in enumerate(items):
        write_run(item, store, losses(300, 0.5 - 0.005 * index, noise=0.001))
    ((title, members),) = curve_panels(read(items, store))
    assert title == f"the first {MOST_DRAWN} of {MOST_DRAWN + 3} runs, by rank"
    assert [run.name for run in members[:2]] == [items[-1].name, items[-2].name]
    assert len(members) == MOST_DRAWN


def test_runs_that_are_not_ranked_are_drawn_and_stale_ones_are_not(store):
    items = [experiment("done"), experiment("running"), experiment("older", learning_rate=2e-4)]
    write_run(items[0], store, losses(300, 0.1))
    write_run(items[1], store, losses(120, 0.3), None)
    write_run(experiment("older", learning_rate=1e-4), store, losses(300, 0.01))
    drawn = [run.name for _, members in curve_panels(read(items, store)) for run in members]
    assert drawn == ["done", "running"]


def test_images_are_png_with_the_colours_of_the_runs(store):
    items = [experiment("a"), experiment("b")]
    for seed, item in enumerate(items):
        write_run(item, store, losses(300, 0.1 + 0.2 * seed, seed=seed))
    runs = read(items, store)
    image = picture(curves_png(runs))
    for style in run_styles(runs).values():
        color = [int(style.color[index : index + 2], 16) for index in (1, 3, 5)]
        assert (np.abs(image.astype(int) - color).max(axis=-1) < 12).sum() > 100
    assert runs[0].stored is not None
    alone = picture(run_curve_png(runs[0].stored.metrics))
    assert alone.shape[1] > 600


@pytest.mark.parametrize("values", [(), (0.5,), (0.0, 0.0, 0.0), (float("nan"),)])
def test_few_or_odd_losses_still_make_an_image(store, values):
    lines = [metric(len(values), values)] if values else []
    assert picture(run_curve_png(MetricTable.of(lines))).size
    assert picture(curves_png([])).size
