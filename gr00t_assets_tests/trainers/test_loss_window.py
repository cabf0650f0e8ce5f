import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gr00t_assets.runs.loss_window import (
    final_window,
    first_window,
    loss_window,
    standard_error,
    window_steps,
)


def ar1(generator: np.random.Generator, runs: int, steps: int, rho: float) -> np.ndarray:
    """Stationary AR(1) noise of unit innovations around zero; shape ``(runs, steps)``."""
    noise = generator.normal(size=(runs, steps))
    noise[:, 0] /= np.sqrt(1 - rho**2)
    for step in range(1, steps):
        noise[:, step] += rho * noise[:, step - 1]
    return noise


@settings(max_examples=15, deadline=None)
@given(
    rho=st.floats(0.0, 0.6),
    steps=st.integers(100, 600),
    scale=st.floats(1e-3, 10.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_two_standard_errors_cover_the_mean_of_correlated_losses(rho, steps, scale, seed):
    runs = scale * ar1(np.random.default_rng(seed), 300, steps, rho)
    errors = np.array([standard_error(run) for run in runs])
    covered = np.mean(np.abs(runs.mean(axis=1)) < 2 * errors)
    assert covered > 0.83
    assert 0.75 < errors.mean() / runs.mean(axis=1).std() < 1.25


def test_the_error_of_independent_losses_would_not_cover():
    """What the batch means are for: without them the error is half of what it should be."""
    runs = ar1(np.random.default_rng(0), 500, 400, 0.6)
    naive = runs.std(axis=1, ddof=1) / np.sqrt(400)
    batched = np.array([standard_error(run) for run in runs])
    assert np.mean(np.abs(runs.mean(axis=1)) < 2 * naive) < 0.8
    assert np.mean(np.abs(runs.mean(axis=1)) < 2 * batched) > 0.88


@given(values=st.lists(st.floats(0, 1e3), min_size=2, max_size=80))
def test_a_window_has_the_mean_of_its_steps_and_an_error_no_smaller_than_independent_ones(values):
    window = loss_window(values, samples_per_step=4)
    assert window is not None
    assert window.mean == pytest.approx(np.mean(values))
    assert window.steps == len(values)
    assert window.samples == 4 * len(values)
    assert window.standard_error >= np.std(values, ddof=1) / np.sqrt(len(values)) * (1 - 1e-9)


@given(shift=st.floats(-5, 5), scale=st.floats(0.01, 100), seed=st.integers(0, 1000))
def test_the_error_scales_with_the_losses_and_does_not_move_with_them(shift, scale, seed):
    values = np.random.default_rng(seed).normal(size=50)
    assert standard_error(scale * values + shift) == pytest.approx(scale * standard_error(values))


@pytest.mark.parametrize(
    ("steps", "expected"), [(1, 2), (3, 2), (10, 5), (40, 20), (100, 20), (300, 30), (10_000, 1000)]
)
def test_window_is_the_larger_of_20_steps_and_a_tenth_and_at_most_half(steps, expected):
    assert window_steps(steps) == expected


def test_first_and_final_window_are_the_two_ends_of_the_run():
    values = np.concatenate([np.full(100, 9.0), np.full(100, 1.0)])
    first, final = first_window(values, 8), final_window(values, 8)
    assert first is not None and final is not None
    assert (first.mean, final.mean) == (9.0, 1.0)
    assert (first.steps, final.steps) == (20, 20)
    assert first.samples == 160


@pytest.mark.parametrize("values", [[], [0.3], [0.3, float("nan")], [0.3, float("inf"), 0.2]])
def test_there_is_no_window_of_too_few_or_infinite_losses(values):
    assert final_window(values, 8) is None


def test_a_loss_that_is_not_finite_outside_the_window_does_not_matter():
    assert final_window([float("nan")] + [0.5] * 99, 1) is not None
