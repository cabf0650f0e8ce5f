"""Answers to questions on runs whose truth is known."""

import pytest

from gr00t_assets.comparison.answers.answers import all_answers, answer
from gr00t_assets.comparison.differences import baseline_named, difference
from gr00t_assets.comparison.statistics.factor_tests import all_effects
from gr00t_assets.core.errors import ComparisonError
from gr00t_assets_tests.comparison.answers.finished_runs import finished_run, replicates
from gr00t_assets_tests.comparison.synthetic_runs import headline


def test_one_factor_that_changed_alone_by_more_than_noise_is_a_yes():
    runs = [*replicates("low", 0.2), *replicates("high", 0.1, learning_rate=5e-4)]
    found = answer(runs, "lr")
    assert found.verdict == "controlled"
    assert found.question == "Does another learning rate help?"
    assert "Yes: learning_rate 5e-4 ends lower than 1e-4" in found.sentence
    assert "0.5 times" in found.sentence
    assert "nothing else changed" in found.sentence
    assert not any("one seed" in limit for limit in found.limits)


def test_the_middle_of_three_values_can_be_the_best():
    runs = [
        *replicates("low", 0.3),
        *replicates("mid", 0.1, learning_rate=5e-4),
        *replicates("high", 0.6, learning_rate=5e-3),
    ]
    sentence = answer(runs, "learning_rate").sentence
    assert "learning_rate 5e-4 ends lower than 1e-4 and 5e-3" in sentence
    assert "learning_rate 1e-4 ends lower than 5e-3" in sentence
    assert "is 2 times that with 1e-4 (1.9 to 2.1 at 95 percent)" in sentence


def test_an_effect_that_turns_with_another_factor_is_told():
    runs = [
        *replicates("a", 0.2),
        *replicates("b", 0.1, learning_rate=5e-4),
        *replicates("c", 0.2, warmup_ratio=0.0),
        *replicates("d", 0.4, warmup_ratio=0.0, learning_rate=5e-4),
    ]
    found = answer(runs, "learning_rate")
    assert found.verdict == "controlled"
    assert found.sentence.startswith("It depends on warmup_ratio: at warmup_ratio 0 the loss with")
    assert "at warmup_ratio 0.05 the loss with learning_rate 5e-4 is 0.5 times" in found.sentence


def test_replicates_that_overlap_are_within_noise():
    other = replicates("b", 0.205, spread=0.1, batch_size=16, max_steps=500)
    found = answer([*replicates("a", 0.2, spread=0.1), *other], "batch_size")
    assert found.verdict == "within_noise"
    assert found.sentence.startswith("Not shown")
    assert "which noise explains" in found.sentence
    interval = found.effects[0].interval
    assert interval is not None and interval[0] < 1 < interval[1]


def test_a_difference_that_was_not_repeated_is_unknown():
    runs = [finished_run("a", 0.2), finished_run("b", 0.15, warmup_ratio=0.0)]
    found = answer(runs, "warm-up")
    assert found.verdict == "inconclusive"
    assert found.sentence.startswith("Unknown")
    assert "nothing was repeated that would tell the noise" in found.sentence
    assert "33 percent" in found.sentence
    assert any("one seed" in limit for limit in found.limits)


def test_equal_samples_are_a_clean_question_on_batch_size():
    runs = [
        *replicates("a", 0.2),
        *replicates("b", 0.1, batch_size=16, max_steps=500),
        finished_run("c", 0.05, batch_size=16),
    ]
    found = answer(runs, "batch_size")
    assert found.verdict == "controlled"
    assert found.effects[0].ratio is not None and 0.4 < found.effects[0].ratio < 0.6


def test_seeds_measure_the_spread():
    found = answer(replicates("a", 0.2, spread=0.1, error=0.001), "seed")
    assert found.sentence.startswith("Runs that differ in the seed alone differ by about 1")
    none = answer([finished_run("a", 0.2), finished_run("b", 0.1, batch_size=4)], "seed")
    assert "every run has 1" in none.sentence
    assert none.verdict == "not_comparable"


def test_nothing_varied_nothing_known_and_only_across_classes():
    runs = [finished_run("a", 0.2), finished_run("b", 0.1, weight_decay=0.0, dataset="other")]
    assert answer(runs, "scheduler").sentence == (
        "Every run has lr_scheduler_type cosine: nothing to compare."
    )
    assert answer(runs, "adam_beta1").sentence == (
        "No run says what its adam_beta1 was: nothing to compare."
    )
    assert "Every run that says so has weight_decay 0" in answer(runs, "weight_decay").sentence
    runs.append(finished_run("c", 0.1, weight_decay=0.1))
    assert "No two finished runs of one class differ" in answer(runs, "weight_decay").sentence


def test_questions_come_in_their_order_and_other_factors_after_them():
    runs = [finished_run("a", 0.2), finished_run("b", 0.1, adam_beta1=0.9, odd=1),
            finished_run("c", 0.1, adam_beta1=0.8, odd=2)]  # fmt: skip
    factors = [one.factor for one in all_answers(runs, all_effects(runs))]
    assert factors[:3] == ["learning_rate", "batch_size", "max_steps"]
    assert factors[8:] == ["adam_beta1", "odd"]
    assert answer(runs, "odd").verdict == "confounded"
    with pytest.raises(ComparisonError, match="did you mean"):
        answer(runs, "warmupp")
    assert len(all_answers([], {})) == 8


def test_wrong_and_unverified_frames_are_among_the_limits():
    runs = [finished_run("a", 0.2, frames="known wrong"),
            finished_run("b", 0.1, frames="known wrong", batch_size=4)]  # fmt: skip
    limits = " ".join(answer(runs, "batch_size").limits)
    assert "trained on wrong images" in limits
    unverified = [finished_run("a", 0.2, frames="not verified"),
                  finished_run("b", 0.1, frames="not verified", batch_size=4)]  # fmt: skip
    assert "not verified" in " ".join(answer(unverified, "batch_size").limits)


def test_what_is_best_and_is_it_known():
    assert headline([]) == "There are no runs."
    failed = finished_run("f", None, status="failed")
    assert headline([failed]) == "The only run is not finished: there is nothing to rank."
    assert headline([finished_run("a", 0.2), failed]) == (
        "a, loss 0.2000 ± 0.0040, is the only finished run (1 of 2 finished)."
    )
    known = [*replicates("good", 0.1), *replicates("bad", 0.2, learning_rate=5e-4)]
    text = headline(known)
    assert "Lowest loss of 8 finished runs: good-seed1, good-seed2" in text
    assert text.endswith("It is the best by more than noise.")
    tied = [finished_run("a", 0.100), finished_run("b", 0.105, learning_rate=5e-4)]
    assert "Not known to be the best" in headline(tied)
    assert "each ran with one seed" in headline(tied)


def test_the_best_of_runs_that_differ_in_more_is_the_best_but_nobody_knows_why():
    mixed = [*replicates("big", 0.1, batch_size=32), *replicates("small", 0.2, batch_size=8)]
    text = headline(mixed)
    assert "It is the best by more than noise" in text
    assert "which of batch size and samples seen makes it so is not known" in text


def test_classes_are_never_ranked_against_each_other():
    runs = [finished_run("a", 0.2), finished_run("b", 0.1, dataset="other"),
            finished_run("c", None, dataset="third", status="failed")]  # fmt: skip
    text = headline(runs)
    assert text.startswith("3 classes, never ranked against each other: they differ in dataset.")
    assert "Without a finished run: third" in text
    assert all(one.verdict == "not_comparable" for one in all_answers(runs, all_effects(runs)))


def test_the_difference_from_the_defaults_is_counted():
    run = finished_run("a", 0.2, learning_rate=5e-4, batch_size=32, max_steps=10_000)
    found = difference(run, baseline_named("defaults", [run]))
    assert [change.factor for change in found.changed] == ["learning_rate"]
    assert {change.factor for change in found.immaterial} == {"dataloader_num_workers", "seed"}
    assert found.sentence.startswith("a is not the defaults: 1 thing differs that matters")
    assert "equals" in difference(run, run).sentence
    with pytest.raises(ComparisonError, match="did you mean 'overfit'"):
        baseline_named("overfti", [finished_run("overfit", 0.2)])


def test_a_baseline_by_a_name_that_several_have_is_refused():
    runs = [finished_run(run_id, 0.2) for run_id in ("a", "b")]
    twins = [run.__class__(**{**vars(run), "name": "twin"}) for run in runs]
    with pytest.raises(ComparisonError, match="take an id: a, b"):
        baseline_named("twin", twins)
    assert baseline_named("b", twins) is twins[1]
