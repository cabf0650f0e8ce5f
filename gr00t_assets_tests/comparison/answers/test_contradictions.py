"""Twenty things that a journal kept by hand got wrong, answered from its runs alone.

Each row gives what was found as a verdict, what it has to be, and the sentence that a reader sees
with the words that have to be in it.
"""

import pytest

from gr00t_assets.comparison.contrasts.contrasts import contrasts
from gr00t_assets.comparison.contrasts.ranking import comparability_classes
from gr00t_assets.comparison.differences import (
    baseline_named,
    changed_factors,
    difference,
    equal_run,
)
from gr00t_assets.comparison.run import Run
from gr00t_assets_tests.comparison.answers.journal_runs import (
    answer_to,
    comparison,
    contrast,
    epochs_of,
    journal,
    loss_of,
    not_ranked,
    places,
    run,
    series_of,
)

ROWS = {}


def row(number):
    def register(function):
        ROWS[number] = function
        return function

    return register


@pytest.mark.parametrize("number", range(1, 21))
def test_row(number):
    found, expected, sentence, words = ROWS[number]()
    assert found == expected
    for word in words:
        assert word in sentence, f"{word!r} is not in: {sentence}"


@row(1)
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


@row(2)
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


@row(3)
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
    return found, expected, comparison().headline, ("within noise of it are fwtchfxv",)


@row(4)
def learning_rate_and_steps_move_together():
    answer = answer_to("learning_rate")
    together = series_of("learning_rate").factors
    samples = [one.samples_seen or 0 for one in series_of("learning_rate").runs]
    expected = "confounded", ("learning_rate", "max_steps", "samples_seen"), [200, 1000, 1500, 2000]
    return (answer.verdict, together, sorted(samples)), expected, answer.sentence, (
        "Unknown",
        "max_steps (2,000, 1,500, 1,000, 200)",
        "samples_seen (2,000, 1,500, 1,000, 200)",
        "move together",
    )  # fmt: skip


@row(5)
def batch_size_at_equal_steps_is_confounded_by_samples():
    one = contrast("batch_size", "6jzsan5d", "fwtchfxv")
    sentence = answer_to("batch_size").sentence
    expected = "confounded", ("samples_seen",), "confounded"
    return (one.verdict, one.confounders, answer_to("batch_size").verdict), expected, sentence, (
        "6jzsan5d (batch_size 1, loss 0.190 ± 0.060)",
        "fwtchfxv (batch_size 8, loss 0.0702 ± 0.0078)",
        "samples_seen (1,000 against 8,000)",
    )  # fmt: skip


@row(6)
def everything_that_changed_is_listed():
    one = contrast("learning_rate", "klky5smm", "0rtd7un9")
    changed = {change.factor for change in one.changes}
    expected = (
        "confounded",
        {
            "learning_rate",
            "trainable_parts",
            "warmup_ratio",
            "max_steps",
            "samples_seen",
            "dataloader_num_workers",
            "save_steps",
        },
    )
    sentence = difference(run("0rtd7un9"), run("klky5smm")).sentence
    return (one.verdict, changed), expected, sentence, (
        "4 things differ that matter",
        "learning_rate 1e-3, not 5e-4",
        "warmup_ratio 0, not 0.01",
        "language model + vision tower + projector + diffusion model",
        "dataloader_num_workers 2, not 4",
        "save_steps 100, not 50",
    )  # fmt: skip


@row(7)
def the_one_clean_pair_is_within_noise():
    one = contrast("trainable_parts", "6jzsan5d", "dvlv66is")
    answer = answer_to("trainable_parts")
    expected = "within_noise", ("trainable_parts",), "within_noise"
    return (one.verdict, one.changed_factors, answer.verdict), expected, answer.sentence, (
        "the only clean pair, 6jzsan5d",
        "dvlv66is",
        "no more than noise",
        "until it is repeated",
    )  # fmt: skip


@row(8)
def a_logged_value_has_an_error():
    loss = loss_of(run("6jzsan5d"))
    found = loss.kind, loss.samples, 0.2 < (loss.standard_error or 0) / loss.mean < 0.4
    sentence = " ".join(answer_to("trainable_parts").limits)
    return found, ("one logged value", 10, True), sentence, (
        "one logged value, the mean over 10 samples with random flow times",
    )  # fmt: skip


@row(9)
def schedules_of_other_lengths_are_said():
    verdicts = {
        contrast("learning_rate", "ch7f65x3", other).verdict for other in ("klky5smm", "6jzsan5d")
    }
    sentence = " ".join(answer_to("learning_rate").limits)
    return verdicts, {"confounded"}, sentence, (
        "schedules have different lengths (200, 1,000, 1,500, 2,000 steps)",
        "at the end of its own schedule",
    )  # fmt: skip


@row(10)
def unfinished_runs_are_never_ranked():
    unfinished = {"d9pawzt8", "qbk0btb6"}
    ranked = {one for found in places().values() for one in found}
    sides = {
        one.run_id
        for found in comparison().contrasts.values()
        for each in found
        if each.verdict != "not_comparable"
        for one in (*each.low, *each.high)
    }
    sentence = not_ranked()["d9pawzt8"] + not_ranked()["qbk0btb6"]
    return unfinished & (ranked | sides), set(), sentence, (
        "unfinished, at step 8,600 of 10,000",
        "unfinished, at step 1,000 of 2,000",
    )  # fmt: skip


@row(11)
def one_point_of_a_noisy_curve_is_called_that():
    loss = loss_of(run("d9pawzt8"))
    return (run("d9pawzt8").finished, loss.kind), (False, "one logged value"), (
        not_ranked()["d9pawzt8"]
    ), ("one logged value of a noisy curve", "0.01440 ± 0.00080", "0.0266")  # fmt: skip


@row(12)
def datasets_are_never_ranked_against_each_other():
    found = [one for one in comparison().contrasts["learning_rate"] if "d9pawzt8" in one.runs]
    with_so101 = [
        group for group in comparability_classes(journal()) if run("d9pawzt8") in group.runs
    ]
    expected = ["not_comparable"], [None], [("d9pawzt8",)]
    sizes = [tuple(one.run_id for one in group.runs) for group in with_so101]
    return ([one.verdict for one in found], [one.effect for one in found], sizes), expected, (
        comparison().headline + found[0].reason
    ), (
        "never ranked against each other",
        "Without a finished run: so101-table-cleanup",
        "dataset robot_sim.PickNPlace and so101-table-cleanup",
        "not compared",
    )  # fmt: skip


@row(13)
def every_run_had_the_cosine_schedule():
    settings = {"learning_rate": 1e-4, "batch_size": 1, "max_steps": 2000,
                "warmup_ratio": 0.01, "lr_scheduler_type": "cosine"}  # fmt: skip
    equal = equal_run(settings, journal())
    answer = answer_to("lr_scheduler_type")
    found = equal.run_id if equal else None, answer.verdict
    return found, ("ch7f65x3", "not_comparable"), answer.sentence, (
        "Every run has lr_scheduler_type cosine",
        "nothing to compare",
    )  # fmt: skip


@row(14)
def the_difference_from_a_declared_baseline_is_counted():
    found = difference(run("qbk0btb6"), baseline_named("d9pawzt8", journal()))
    names = [change.factor for change in found.changed]
    also = {change.factor for change in found.immaterial}
    expected = (
        ["dataset", "data config", "batch_size", "max_steps"],
        {"dataloader_num_workers", "save_steps"},
    )
    return (names, also), expected, found.sentence, (
        "qbk0btb6 is not d9pawzt8: 4 things differ that matter",
        "batch_size 5, not 32",
        "so100_dualcam",
        "dataloader_num_workers 4, not 8",
    )  # fmt: skip


@row(15)
def the_changed_factors_of_a_proposal_are_counted():
    settings = {"learning_rate": 1e-4, "batch_size": 8, "max_steps": 3000,
                "warmup_ratio": 0.05, "weight_decay": 1e-5}  # fmt: skip
    changes = [one for one in changed_factors(settings, run("ch7f65x3")) if not one.implied]
    names = {one.factor for one in changes}
    planned = _planned("ultimate", settings)
    sentence = difference(planned, run("ch7f65x3")).sentence
    expected = {"batch_size", "max_steps", "warmup_ratio", "weight_decay"}, None
    return (names, equal_run(settings, journal())), expected, sentence, (
        "4 things differ that matter",
        "batch_size 8, not 1",
        "max_steps 3,000, not 2,000",
        "weight_decay 1e-5, not 0",
        "warmup_ratio 0.05, not 0.01",
    )  # fmt: skip


@row(16)
def epochs_are_shown():
    at_batch_1 = ("klky5smm", "6jzsan5d", "vtty1l1b", "ch7f65x3")
    epochs = [round(epochs_of(run(one)), 3) for one in at_batch_1]
    sentence = " ".join(answer_to("learning_rate").limits)
    return epochs, [0.095, 0.477, 0.716, 0.954], sentence, (
        "have not seen every frame of the dataset once",
        "2,096 frames",
        "klky5smm 0.095",
        "6jzsan5d 0.48",
        "vtty1l1b 0.72",
        "ch7f65x3 0.95",
    )  # fmt: skip


@row(17)
def memory_belongs_to_a_configuration():
    known = {one.run_id: one.peak_memory_bytes for one in journal() if one.peak_memory_bytes}
    sentence = " ".join(answer_to("batch_size").limits)
    return known, {"qbk0btb6": 25_100_000_000}, sentence, (
        "25.1 GB of GPU memory is that of qbk0btb6 with batch_size 5, and of no other settings",
    )  # fmt: skip


@row(18)
def other_trainable_parts_are_another_class():
    less = _planned("less", {"tune_diffusion_model": False}, status="finished", of="6jzsan5d")
    runs = [*journal(), less]
    group = next(group for group in comparability_classes(runs) if less in group.runs)
    verdicts = {one.verdict for one in contrasts(runs, "batch_size") if "less" in one.runs[:1]}
    sentence = " ".join(answer_to("trainable_parts").limits)
    found = [one.run_id for one in group.runs], "controlled" in verdicts
    return found, (["less"], False), sentence, (
        "Training other parts to save memory trains another model, in another class",
    )  # fmt: skip


@row(19)
def failed_runs_are_listed_and_never_ranked():
    ranked = {one for found in places().values() for one in found}
    listed = {entry["run_id"]: entry["status"] for entry in comparison().as_json()["not_ranked"]}
    found = "btj3964a" in ranked, listed.get("btj3964a")
    return found, (False, "failed"), not_ranked()["btj3964a"], (
        "failed, at step 200 of 1,000",
        "no loss",
    )  # fmt: skip


@row(20)
def the_class_is_marked_wrong():
    found = {item.frames for item in comparison().classes}
    sentence = comparison().headline + " ".join(answer_to("batch_size").limits)
    return found, {"known wrong"}, sentence, (
        "they trained on wrong images",
        "torchvision_av gave the frame of another time",
        "say nothing of learning from images",
    )  # fmt: skip


def _loss(run_id):
    return loss_of(run(run_id)).mean


def _planned(name, settings, status="missing", of="ch7f65x3"):
    """A run that was not made: another one's with other settings."""
    model = run(of)
    return Run(
        run_id=name,
        name=name,
        source="table",
        status=status,
        settings={**model.settings, **settings},
        data=model.data,
        frames=model.frames,
        steps=model.steps,
        max_steps=model.max_steps,
        samples_seen=model.samples_seen,
        loss=model.loss,
    )
