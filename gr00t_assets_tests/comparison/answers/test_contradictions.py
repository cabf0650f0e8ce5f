"""Verdicts and rankings that a journal kept by hand got wrong, answered from its runs alone.

Each function gives what was found as a verdict, what it has to be, and the sentence that a reader
sees with the words that have to be in it.
"""

import pytest

from gr00t_assets.comparison.answers.answers import answer
from gr00t_assets.comparison.statistics.ranking import comparability_classes
from gr00t_assets_tests.comparison.answers.journal_runs import (
    answer_to,
    comparison,
    journal,
    loss_of,
    not_ranked,
    pair,
    places,
    planned,
    run,
)


def _loss(run_id):
    return loss_of(run(run_id)).mean


def ranks_are_computed():
    answer = answer_to("learning_rate")
    order = [one for one in places()["ch7f65x3"] if run(one).settings["batch_size"] == 1]
    rates = [run(one).settings["learning_rate"] for one in order]
    expected = [1e-4, 2.5e-4, 5e-4, 5e-4], "confounded"
    return (rates, answer.verdict), expected, answer.sentence, (
        "learning_rate (1e-4, 2.5e-4, 5e-4, 5e-4)",
        "ch7f65x3 0.059",
        "vtty1l1b 0.096",
        "6jzsan5d 0.190",
        "lowest loss first",
    )  # fmt: skip


def the_best_is_a_query():
    first = places()["ch7f65x3"][0]
    below = [one for one in places()["ch7f65x3"] if _loss(one) < _loss("vtty1l1b")]
    sentence = comparison().headline
    expected = "ch7f65x3", ["ch7f65x3", "fwtchfxv"]
    return (first, below), expected, sentence, (
        "Lowest loss of 5 finished runs: ch7f65x3",
        "Not known to be the best",
        "fwtchfxv",
    )  # fmt: skip


def one_run_has_one_place():
    (ranking,) = [
        item.ranking
        for item in comparison().ranked_classes
        if item.ranking[0].run.run_id == "ch7f65x3"
    ]
    place = {ranked.run.run_id: ranked.place for ranked in ranking}
    tied = next(ranked.tied_with_best for ranked in ranking if ranked.run.run_id == "fwtchfxv")
    expected = 1, 2, True
    found = place["ch7f65x3"], place["fwtchfxv"], tied
    return found, expected, comparison().headline, (
        "Not known to be the best",
        "fwtchfxv, vtty1l1b, 6jzsan5d and klky5smm may be as good",
    )  # fmt: skip


def learning_rate_and_steps_move_together():
    answer = answer_to("learning_rate")
    (effect,) = answer.effects
    assert effect.pair is not None
    expected = "confounded", ("max_steps", "samples_seen"), None
    return (answer.verdict, effect.pair.confounders, effect.ratio), expected, answer.sentence, (
        "Unknown",
        "max_steps (2,000, 1,500, 1,000, 200)",
        "samples_seen (2,000, 1,500, 1,000, 200)",
        "move together",
    )  # fmt: skip


def batch_size_at_equal_steps_is_confounded_by_samples():
    one = pair("batch_size", "6jzsan5d", "fwtchfxv")
    sentence = answer_to("batch_size").sentence
    expected = ("samples_seen",), "confounded"
    return (one.confounders, answer_to("batch_size").verdict), expected, sentence, (
        "6jzsan5d (batch_size 1, loss 0.190 ± 0.060)",
        "fwtchfxv (batch_size 8, loss 0.0702 ± 0.0078)",
        "samples_seen (1,000 against 8,000)",
    )  # fmt: skip


def the_one_clean_pair_is_within_noise():
    answer = answer_to("trainable_parts")
    (effect,) = answer.effects
    assert effect.pair is not None
    changed = [change.factor for change in effect.pair.changes]
    expected = ["trainable_parts"], "within_noise"
    return (changed, answer.verdict), expected, answer.sentence, (
        "Not shown: 6jzsan5d",
        "dvlv66is",
        "the noise within the runs alone explains",
        "until they are repeated",
    )  # fmt: skip


def a_logged_value_has_an_error():
    loss = loss_of(run("6jzsan5d"))
    found = loss.kind, loss.samples, 0.2 < (loss.standard_error or 0) / loss.mean < 0.4
    sentence = " ".join(answer_to("trainable_parts").limits)
    return found, ("one logged value", 10, True), sentence, (
        "one logged value, the mean over 10 to 80 samples with random flow times",
    )  # fmt: skip


def schedules_of_other_lengths_are_said():
    confounders = {
        pair("learning_rate", "ch7f65x3", other).confounders for other in ("klky5smm", "6jzsan5d")
    }
    sentence = " ".join(answer_to("learning_rate").limits)
    return confounders, {("max_steps", "samples_seen")}, sentence, (
        "schedules have different lengths (200, 1,000, 1,500, 2,000 steps)",
        "at the end of its own schedule",
    )  # fmt: skip


def unfinished_runs_are_never_ranked():
    unfinished = {"d9pawzt8", "qbk0btb6"}
    ranked = {one for found in places().values() for one in found}
    sides = {
        one.run_id
        for found in comparison().effects.values()
        for effect in found
        for one in effect.runs
    }
    sentence = not_ranked()["d9pawzt8"] + not_ranked()["qbk0btb6"]
    return unfinished & (ranked | sides), set(), sentence, (
        "unfinished, at step 8,600 of 10,000",
        "unfinished, at step 1,000 of 2,000",
    )  # fmt: skip


def one_point_of_a_noisy_curve_is_called_that():
    loss = loss_of(run("d9pawzt8"))
    return (run("d9pawzt8").finished, loss.kind), (False, "one logged value"), (
        not_ranked()["d9pawzt8"]
    ), ("one logged value of a noisy curve", "0.01440 ± 0.00080", "0.0266")  # fmt: skip


def datasets_are_never_ranked_against_each_other():
    with_so101 = [
        group for group in comparability_classes(journal()) if run("d9pawzt8") in group.runs
    ]
    sizes = [tuple(one.run_id for one in group.runs) for group in with_so101]
    behind = [one.run_id for one in answer_to("learning_rate").effects[0].runs]
    return (sizes, "d9pawzt8" in behind), ([("d9pawzt8",)], False), comparison().headline, (
        "never ranked against each other",
        "they differ in dataset",
        "Without a finished run: so101-table-cleanup",
    )  # fmt: skip


def other_trainable_parts_are_another_class():
    less = planned("less", {"tune_diffusion_model": False}, status="finished", of="6jzsan5d")
    runs = [*journal(), less]
    group = next(group for group in comparability_classes(runs) if less in group.runs)
    verdict = answer(runs, "batch_size").verdict
    sentence = " ".join(answer_to("trainable_parts").limits)
    found = [one.run_id for one in group.runs], verdict == "controlled"
    return found, (["less"], False), sentence, (
        "Training other parts to save memory trains another model, in another class",
    )  # fmt: skip


def failed_runs_are_listed_and_never_ranked():
    ranked = {one for found in places().values() for one in found}
    listed = {entry["run_id"]: entry["status"] for entry in comparison().to_json()["not_ranked"]}
    found = "btj3964a" in ranked, listed.get("btj3964a")
    return found, (False, "failed"), not_ranked()["btj3964a"], (
        "failed, at step 200 of 1,000",
        "no loss",
    )  # fmt: skip


def the_class_is_marked_wrong():
    found = {item.frames for item in comparison().classes}
    sentence = comparison().headline + " ".join(answer_to("batch_size").limits)
    return found, {"known wrong"}, sentence, (
        "they trained on wrong images",
        "torchvision_av gave the frame of another time",
        "say nothing of learning from images",
    )  # fmt: skip


@pytest.mark.parametrize(
    "found_out",
    [
        ranks_are_computed,
        the_best_is_a_query,
        one_run_has_one_place,
        learning_rate_and_steps_move_together,
        batch_size_at_equal_steps_is_confounded_by_samples,
        the_one_clean_pair_is_within_noise,
        a_logged_value_has_an_error,
        schedules_of_other_lengths_are_said,
        unfinished_runs_are_never_ranked,
        one_point_of_a_noisy_curve_is_called_that,
        datasets_are_never_ranked_against_each_other,
        other_trainable_parts_are_another_class,
        failed_runs_are_listed_and_never_ranked,
        the_class_is_marked_wrong,
    ],
)
def test_what_the_journal_got_wrong(found_out):
    found, expected, sentence, words = found_out()
    assert found == expected
    for word in words:
        assert word in sentence, f"{word!r} is not in: {sentence}"
