import numpy as np
import pytest

from gr00t_assets.runs.final_loss import loss_fell, loss_spikes


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
