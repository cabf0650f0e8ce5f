"""What a journal kept by hand miscounted, counted from its runs alone.

Each function gives what was found as a verdict, what it has to be, and the sentence that a reader
sees with the words that have to be in it.
"""

import pytest

from gr00t_assets.comparison.differences import (
    baseline_named,
    changed_factors,
    difference,
    equal_run,
)
from gr00t_assets_tests.comparison.answers.journal_runs import (
    answer_to,
    epochs_of,
    journal,
    pair,
    planned,
    run,
)


def everything_that_changed_is_listed():
    one = pair("learning_rate", "klky5smm", "0rtd7un9")
    changed = {change.factor for change in one.changes}
    expected = {
        "learning_rate",
        "trainable_parts",
        "warmup_ratio",
        "max_steps",
        "samples_seen",
        "dataloader_num_workers",
        "save_steps",
    }
    sentence = difference(run("0rtd7un9"), run("klky5smm")).sentence
    return changed, expected, sentence, (
        "4 things differ that matter",
        "learning_rate 1e-3, not 5e-4",
        "warmup_ratio 0, not 0.01",
        "language model + vision tower + projector + diffusion model",
        "dataloader_num_workers 2, not 4",
        "save_steps 100, not 50",
    )  # fmt: skip


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


def the_changed_factors_of_a_proposal_are_counted():
    settings = {"learning_rate": 1e-4, "batch_size": 8, "max_steps": 3000,
                "warmup_ratio": 0.05, "weight_decay": 1e-5}  # fmt: skip
    changes = [one for one in changed_factors(settings, run("ch7f65x3")) if not one.implied]
    names = {one.factor for one in changes}
    other = planned("ultimate", settings)
    sentence = difference(other, run("ch7f65x3")).sentence
    expected = {"batch_size", "max_steps", "warmup_ratio", "weight_decay"}, None
    return (names, equal_run(settings, journal())), expected, sentence, (
        "4 things differ that matter",
        "batch_size 8, not 1",
        "max_steps 3,000, not 2,000",
        "weight_decay 1e-5, not 0",
        "warmup_ratio 0.05, not 0.01",
    )  # fmt: skip


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


def memory_belongs_to_a_configuration():
    known = {one.run_id: one.peak_memory_bytes for one in journal() if one.peak_memory_bytes}
    sentence = " ".join(answer_to("batch_size").limits)
    return known, {"qbk0btb6": 25_100_000_000}, sentence, (
        "25.1 GB of GPU memory is that of qbk0btb6 with batch_size 5, and of no other settings",
    )  # fmt: skip


@pytest.mark.parametrize(
    "found_out",
    [
        everything_that_changed_is_listed,
        every_run_had_the_cosine_schedule,
        the_difference_from_a_declared_baseline_is_counted,
        the_changed_factors_of_a_proposal_are_counted,
        epochs_are_shown,
        memory_belongs_to_a_configuration,
    ],
)
def test_what_the_journal_got_wrong(found_out):
    found, expected, sentence, words = found_out()
    assert found == expected
    for word in words:
        assert word in sentence, f"{word!r} is not in: {sentence}"
