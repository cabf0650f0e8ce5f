"""Random samples: the same for ever, different from each other, inside their bounds."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gr00t_assets.experiments.expansion import samples
from gr00t_assets.experiments.sweep_file import Distribution
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.trainers.n15.n15_hyperparameters import N15Hyperparameters
from gr00t_assets_tests.experiments.sweep_texts import load, refusal

HEAD = "defaults: {dataset: demo}\n"


def searched(folder: Path, count: int, seed: int = 0, more: str = "") -> Sweep:
    return load(
        folder,
        f"""{HEAD}{more}
random:
  name: s{{index}}-lr{{learning_rate}}-b{{batch_size}}
  count: {count}
  seed: {seed}
  hyperparameters:
    learning_rate: {{distribution: log_uniform, low: 1e-5, high: 1e-3}}
    batch_size: [1, 8, 32]
    warmup_ratio: {{distribution: uniform, low: 0, high: 0.2}}
    max_steps: {{distribution: int_uniform, low: 1000, high: 1999}}
""",
    )


def test_the_samples_of_a_seed_are_these_on_every_machine(tmp_path: Path) -> None:
    points = [
        (item.name, N15Hyperparameters.of(item).warmup_ratio, item.hyperparameters.max_steps)
        for item in searched(tmp_path, 3).experiments
    ]
    assert points == [
        ("s001-lr4.27e-4-b32", 0.132, 1548),
        ("s002-lr2.99e-4-b32", 0.0437, 1237),
        ("s003-lr5.7e-4-b1", 0.079, 1134),
    ]


def test_more_samples_and_experiments_leave_those_before_as_they_were(tmp_path: Path) -> None:
    few = searched(tmp_path, 5).experiments
    many = searched(tmp_path, 50, more="experiments: [{name: alone}]").experiments
    assert many[0].name == "alone"
    assert many[1:6] == few
    assert [item.config_hash("v", "m") for item in many[1:6]] == [
        item.config_hash("v", "m") for item in few
    ]


def test_another_seed_gives_other_samples(tmp_path: Path) -> None:
    first, second = searched(tmp_path, 5), searched(tmp_path, 5, seed=1)
    assert not {item.name for item in first.experiments} & {
        item.name for item in second.experiments
    }


def test_another_hyperparameter_leaves_the_drawn_values_as_they_were() -> None:
    rate = Distribution(distribution="log_uniform", low=1e-5, high=1e-3)
    alone = samples({"learning_rate": rate}, 20, seed=3)
    both = samples({"seed": [1, 2], "learning_rate": rate}, 20, seed=3)
    assert [point["learning_rate"] for point in both] == [point["learning_rate"] for point in alone]


def test_values_fill_their_range_and_have_three_digits(tmp_path: Path) -> None:
    found = [item.hyperparameters for item in searched(tmp_path, 400).experiments]
    rates = [math.log10(item.learning_rate) for item in found]
    assert -5 <= min(rates) < -4.9
    assert -3.1 < max(rates) <= -3
    assert abs(sum(rates) / len(rates) + 4) < 0.1, "as many below 1e-4 as above"
    assert {item.batch_size for item in found} == {1, 8, 32}
    assert 1000 <= min(item.max_steps for item in found) < 1020
    assert 1980 < max(item.max_steps for item in found) <= 1999
    for item in found:
        assert item.learning_rate == float(f"{item.learning_rate:.3g}")


@given(
    low=st.floats(1e-6, 1e3),
    factor=st.floats(1.001, 1e4),
    share=st.floats(0, 1, exclude_max=True),
    kind=st.sampled_from(["uniform", "log_uniform"]),
)
def test_no_value_leaves_its_bounds(low: float, factor: float, share: float, kind: str) -> None:
    drawn = Distribution.model_validate({"distribution": kind, "low": low, "high": low * factor})
    assert drawn.low <= drawn.value(share) <= drawn.high


def test_no_two_samples_are_equal_and_few_combinations_are_all_found(tmp_path: Path) -> None:
    text = HEAD + (
        "random:\n  name: s{index}\n  count: COUNT\n  hyperparameters:\n"
        "    batch_size: [1, 2, 4]\n    tune_llm: [true, false]\n"
    )
    found = load(tmp_path, text.replace("COUNT", "6")).experiments
    settings = {
        (item.hyperparameters.batch_size, N15Hyperparameters.of(item).tune_llm) for item in found
    }
    assert len(settings) == 6
    message = refusal(tmp_path, text.replace("COUNT", "7"))
    assert "mine.yaml:4: random.count: asks for 7, and there are only 6 combinations" in message


@pytest.mark.parametrize(
    ("hyperparameter", "complaint"),
    [
        ("learning_rat: [1]", "random.hyperparameters.learning_rat: unknown field; did you mean"),
        ("learning_rate: []", "has no values"),
        ("learning_rate: 1e-4", "expected a list of values, or distribution, low and high"),
        ("learning_rate: [1e-4, fast]", "random.hyperparameters.learning_rate[1]: "),
        (
            "learning_rate: {distribution: loguniform, low: 1, high: 2}",
            "learning_rate.distribution: Input should be 'uniform', 'log_uniform' or "
            "'int_uniform', found 'loguniform'; did you mean 'log_uniform'?",
        ),
        ("learning_rate: {distribution: uniform, lo: 1, high: 2}", "did you mean 'low'?"),
        ("learning_rate: {distribution: uniform, low: 1}", "learning_rate.high: is missing"),
        ("learning_rate: {low: 1, high: 2}", "learning_rate.distribution: is missing"),
        ("learning_rate: {distribution: uniform, low: 2, high: 1}", "high 1 is not above low 2"),
        ("learning_rate: {distribution: log_uniform, low: 0, high: 1}", "needs low above 0"),
        ("learning_rate: {distribution: uniform, low: -1, high: 1}", "learning_rate.low: "),
        ("learning_rate: {distribution: uniform, low: 0.1, high: .inf}", "finite"),
        ("batch_size: {distribution: uniform, low: 1, high: 8}", "use int_uniform or a list"),
        ("batch_size: {distribution: int_uniform, low: 1, high: 8.5}", "needs whole numbers"),
        ("batch_size: {distribution: int_uniform, low: 0, high: 8}", "batch_size.low: "),
        ("tune_llm: {distribution: uniform, low: 0, high: 1}", "give a list of false, true"),
        ("augmentation: {distribution: uniform, low: 0, high: 1}", "give a list of gr00t, none"),
        (
            "frame_source: [video, cache]",
            "hyperparameters.frame_source: the native trainer does not take",
        ),
    ],
)
def test_what_cannot_be_sampled_is_refused_where_it_stands(
    tmp_path: Path, hyperparameter: str, complaint: str
) -> None:
    text = HEAD + "random:\n  name: s{index}\n  count: 2\n  hyperparameters:\n    "
    message = refusal(tmp_path, text + hyperparameter + "\n")
    assert "mine.yaml:6: " in message or "line 6: " in message
    assert complaint in message


def test_a_placeholder_that_stands_for_nothing_is_answered_with_the_nearest(tmp_path: Path) -> None:
    text = HEAD + "random:\n  name: 's{learning_rat}'\n  count: 1\n  hyperparameters:\n"
    message = refusal(tmp_path, text + "    learning_rate: [1e-4]\n")
    assert "mine.yaml:3: random.name: '{learning_rat}' stands for nothing" in message
    assert "did you mean 'learning_rate'?" in message


def test_samples_are_repeated_over_seeds_and_can_be_gone_on_from(tmp_path: Path) -> None:
    sweep = load(
        tmp_path,
        HEAD + "random:\n  name: s{index}\n  count: 2\n  hyperparameters:\n"
        "    learning_rate: {distribution: log_uniform, low: 1e-5, high: 1e-3}\n"
        "    max_steps: [200]\n"
        "experiments:\n  - {name: longer, continue_from: s002, hyperparameters: {max_steps: 400}}\n"
        "seeds: [7, 8]\n",
    )
    found = {item.name: item for item in sweep.experiments}
    assert list(found) == [
        "longer-seed7", "longer-seed8", "s001-seed7", "s001-seed8", "s002-seed7", "s002-seed8",
    ]  # fmt: skip
    longer, source = found["longer-seed8"], found["s002-seed8"]
    assert longer.hyperparameters.learning_rate == source.hyperparameters.learning_rate
    assert (longer.continue_from, longer.continued_steps) == ("s002-seed8", (200,))
