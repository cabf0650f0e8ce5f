import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gr00t_assets.runs.final_loss import (
    RULE,
    autocorrelation,
    final_window,
    first_window,
    loss_fell,
    loss_spikes,
    loss_window,
    standard_error,
    window_steps,
)


def ar1(runs: int, steps: int, rho: float, seed: int = 0, heavy: bool = True) -> np.ndarray:
    """Stationary AR(1) series around zero; shape ``(runs, steps)``.

    Heavy tails are those of innovations with a Student t distribution of 3 degrees of freedom.
    """
    generator = np.random.default_rng(seed)
    shape = (runs, steps + 200)
    series = generator.standard_t(3, size=shape) if heavy else generator.normal(size=shape)
    for step in range(1, shape[1]):
        series[:, step] += rho * series[:, step - 1]
    return series[:, 200:]


def coverage(series: np.ndarray) -> tuple[float, float]:
    """Share of the series whose mean is within 1.96 standard errors of 0, and that cannot tell.

    One that cannot tell does not count as covered.
    """
    errors = np.array([standard_error(values) or np.nan for values in series])
    covered = np.abs(series.mean(axis=1)) < 1.96 * errors
    return float(covered.mean()), float(np.isnan(errors).mean())


@pytest.mark.parametrize("heavy", [True, False])
@pytest.mark.parametrize("rho", [0.0, 0.3, 0.6, 0.9])
def test_the_interval_covers_the_mean_at_200_steps_whatever_the_autocorrelation(rho, heavy):
    covered, cannot_tell = coverage(ar1(4000, 200, rho, heavy=heavy))
    assert covered >= 0.88
    assert covered <= 0.975, "an interval that is too wide covers everything"
    assert cannot_tell <= 0.06


@pytest.mark.parametrize("rho", [0.0, 0.3])
def test_a_short_window_of_nearly_independent_losses_tells(rho):
    covered, cannot_tell = coverage(ar1(4000, 20, rho))
    assert cannot_tell <= 0.15
    assert covered >= 0.8


def test_a_short_window_of_strongly_correlated_losses_says_that_it_cannot_tell():
    series = ar1(4000, 20, 0.95)
    _, cannot_tell = coverage(series)
    assert cannot_tell > 0.85
    window = next(w for w in (loss_window(v, 8, len(v)) for v in series) if w and w.cannot_tell)
    assert window.standard_error is None
    assert "too few to tell the standard error" in (window.cannot_tell or "")
    assert "standard error not known" in window.text


def test_few_steps_say_nothing_of_their_autocorrelation():
    window = loss_window(np.array([0.5, 0.4, 0.6, 0.5]), 8, 4)
    assert window is not None
    assert (window.standard_error, window.autocorrelation) == (None, None)
    assert window.cannot_tell == "4 steps are too few to tell the standard error"


def test_the_error_of_independent_losses_would_not_cover():
    series = ar1(2000, 400, 0.6)
    naive = series.std(axis=1, ddof=1) / np.sqrt(400)
    assert np.mean(np.abs(series.mean(axis=1)) < 1.96 * naive) < 0.8
    assert coverage(series)[0] > 0.92


@pytest.mark.parametrize("rho", [0.3, 0.6, 0.9])
def test_the_autocorrelation_has_no_small_sample_bias(rho):
    estimates = [autocorrelation(values) for values in ar1(3000, 100, rho, heavy=False)]
    assert np.mean([value for value in estimates if value is not None]) == pytest.approx(
        rho, abs=0.02
    )


def test_a_window_says_how_it_was_chosen():
    window = final_window(ar1(1, 1000, 0.3)[0], samples_per_step=8)
    assert window is not None
    assert (window.steps, window.of_steps, window.samples) == (100, 1000, 800)
    assert window.rule == RULE
    assert window.effective_steps is not None and 20 < window.effective_steps <= 100


@given(values=st.lists(st.floats(0, 1e3), min_size=2, max_size=80))
def test_a_window_has_the_mean_of_its_steps_and_an_error_no_smaller_than_independent_ones(values):
    window = loss_window(np.array(values), samples_per_step=4, of_steps=len(values))
    assert window is not None
    assert window.mean == pytest.approx(np.mean(values))
    assert window.steps == len(values)
    assert window.samples == 4 * len(values)
    if window.standard_error is not None:
        assert window.standard_error >= np.std(values, ddof=1) / np.sqrt(len(values)) * (1 - 1e-9)


@given(shift=st.floats(-5, 5), scale=st.floats(0.01, 100), seed=st.integers(0, 1000))
def test_the_error_scales_with_the_losses_and_does_not_move_with_them(shift, scale, seed):
    values = np.random.default_rng(seed).normal(size=50)
    assert standard_error(values) is not None
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


@pytest.mark.parametrize(
    "values", [[], [0.3], [0.3, float("nan")], [0.3, float("inf"), 0.2], [0.3, 1e31]]
)
def test_there_is_no_window_of_too_few_losses_or_of_those_that_diverged(values):
    assert final_window(values, 8) is None


def test_a_loss_that_is_not_finite_outside_the_window_does_not_matter():
    assert final_window([float("nan")] + [0.5] * 99, 1) is not None


def falling(steps: int, seed: int, *, rho: float = 0.6, heavy: bool = False) -> np.ndarray:
    """Losses that fall from 1.2 to 0.2, with AR(1) noise about them."""
    random = np.random.default_rng(seed)
    drawn = random.standard_t(4, steps) if heavy else random.standard_normal(steps)
    noise = np.zeros(steps)
    for step in range(1, steps):
        noise[step] = rho * noise[step - 1] + drawn[step]
    return 0.2 + np.exp(-np.arange(steps) / (steps / 8)) + 0.03 * noise


def test_a_loss_that_falls_has_fallen_and_one_that_rises_has_not() -> None:
    losses = falling(400, 0)
    assert loss_fell(losses)[0] == "yes"
    assert loss_fell(losses[::-1])[0] == "no"


def test_a_loss_that_stays_is_rarely_said_to_fall() -> None:
    """One time in twenty by the interval; the noise is AR(1), no independent values."""
    stays = [falling(400, seed) - np.exp(-np.arange(400) / 50) for seed in range(400)]
    answers = [loss_fell(losses)[0] for losses in stays]
    assert answers.count("yes") + answers.count("no") < 0.09 * len(answers)


def test_too_few_steps_tell_nothing() -> None:
    assert loss_fell([3.0, 2.0]) == ("cannot be told", "2 steps are too few, 16 can tell it")
    assert loss_fell([9.0] * 15)[0] == "cannot be told"


@pytest.mark.parametrize("heavy", [False, True])
def test_noise_has_hardly_ever_a_spike(heavy: bool) -> None:
    steps = sum(len(loss_spikes(falling(2_000, seed, heavy=heavy))) for seed in range(20))
    assert steps <= 10 if heavy else steps == 0


@pytest.mark.parametrize("at", [60, 700, 1_900])
def test_a_spike_is_found_at_its_step(at: int) -> None:
    losses = falling(2_000, 1)
    losses[at] += 3.0
    assert loss_spikes(losses).tolist() == [at + 1]


def test_falls_and_a_steady_loss_are_none() -> None:
    losses = falling(2_000, 2)
    losses[500] = -3.0
    assert not len(loss_spikes(losses))
    assert not len(loss_spikes(np.full(100, 0.7)))
    assert not len(loss_spikes([1.0, float("nan")] * 50))


def test_the_deviation_is_that_of_the_thousand_steps_before() -> None:
    """Held against a plain loop."""
    losses = falling(2_500, 3)
    losses[[400, 1_800]] += [0.3, 0.24]
    plain = []
    for step in range(20, len(losses)):
        before = losses[max(0, step - 1_000) : step]
        if losses[step] - before.mean() >= 7 * before.std():
            plain.append(step + 1)
    assert loss_spikes(losses).tolist() == plain
