"""Many runs: every one takes part, in little time."""

import numpy as np

from gr00t_assets.comparison.run import Run
from gr00t_assets_tests.comparison.statistics.made_runs import effect, run, said


def searched(count: int) -> list[Run]:
    """A random search: hardly two runs share a learning rate."""
    draw = np.random.default_rng(0)
    return [
        run(
            f"run-{place}",
            float(draw.lognormal(-2, 0.3)),
            learning_rate=float(f"{10 ** draw.uniform(-5, -3):.5g}"),
            batch_size=int(draw.choice([1, 8, 32])),
            max_steps=int(draw.choice([100, 400, 1600])),
            weight_decay=float(draw.choice([0.0, 1e-5, 1e-4])),
            seed=place,
        )
        for place in range(count)
    ]


def test_every_value_of_a_search_takes_part() -> None:
    runs = searched(120)
    for factor in ("learning_rate", "batch_size", "weight_decay", "max_steps"):
        found = effect(runs, factor)
        assert {level.value for level in found.levels} == {x.settings[factor] for x in runs}
        assert sum(len(level.runs) for level in found.levels) == len(runs)
        assert found.verdict in ("within_noise", "controlled")


def test_a_hundred_configurations_have_a_place_each() -> None:
    comparison = said(searched(100))
    (found,) = comparison.classes
    assert [place.place for place in found.ranking] == list(range(1, 101))
    losses = [place.loss.mean for place in found.ranking]
    assert losses == sorted(losses)
