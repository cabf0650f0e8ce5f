"""Four small tables whose right answers are known, as a person would compare them."""

from pathlib import Path

import pandas as pd

from gr00t_assets.comparison import Comparison, compare

CASES = Path(__file__).parents[2] / "data" / "cases" / "comparison"


def compared(name: str) -> Comparison:
    return compare(pd.read_csv(CASES / f"{name}.csv"))


def answer(comparison: Comparison, factor: str):
    return next(item for item in comparison.answers if item.factor == factor)


def test_runs_that_contradict_one_another_in_a_ring_settle_nothing():
    comparison = compared("cycle")
    for factor in ("learning_rate", "weight_decay"):
        found = answer(comparison, factor)
        assert found.verdict == "inconclusive"
        assert found.sentence.startswith("Not settled")
    assert all(item.sentence for item in comparison.answers)
    assert "Not known to be the best" in comparison.headline


def test_an_effect_at_one_of_three_batch_sizes_depends_on_it():
    comparison = compared("interaction")
    found = answer(comparison, "learning_rate")
    assert found.verdict == "controlled"
    assert found.sentence.startswith(
        "It depends on batch_size: at batch_size 16 the loss with learning_rate 1e-3 is 1.6 times "
        "that with 1e-4; at 4 and 8 no difference is shown"
    )
    assert comparison.classes[0].best is None


def test_of_a_configuration_that_diverged_only_the_survivors_are_left():
    comparison = compared("survivors")
    assert "Lowest loss of 7 finished runs: b0 and b1" in comparison.headline
    assert "Not known to be the best: 2 of 5 finished" in comparison.headline
    sentence = answer(comparison, "learning_rate").sentence
    assert "of 5 runs with learning_rate 1e-3 only 2 finished" in sentence
    assert comparison.to_json()["classes"][0]["best"] is None


def test_eight_step_counts_of_falling_losses_are_a_yes():
    comparison = compared("monotone")
    found = answer(comparison, "max_steps")
    assert found.verdict == "controlled"
    assert found.sentence.startswith("Yes: max_steps 1,600 ends lower than 200; the loss with")
    assert "Lowest loss of 8 finished runs: m7" in comparison.headline


def test_what_a_table_does_not_say_is_said_to_be_unknown():
    frame = pd.read_csv(CASES / "monotone.csv").drop(columns=["warmup_ratio", "batch_size"])
    comparison = compare(frame)
    (caution,) = [x for x in answer(comparison, "max_steps").limits if "does not say" in x]
    assert caution.startswith("The table does not say batch size, warmup ratio")
    assert answer(comparison, "warmup_ratio").sentence == (
        "No run says what its warmup_ratio was: nothing to compare."
    )
