"""Proposals against runs that exist."""

import pytest

from gr00t_assets.comparison.differences import changed_factors, difference, equal_run, nearest_run
from gr00t_assets_tests.comparison.proposals.example_runs import DATA, SETTINGS, run


def test_only_what_is_stated_has_to_be_equal():
    runs = [run("a", 0.2), run("b", 0.1, learning_rate=1e-4)]
    found = equal_run({"lr_scheduler_type": "cosine"}, runs)
    assert found is not None and found.run_id == "a"
    assert equal_run({"lr_scheduler_type": "constant"}, runs) is None
    found = equal_run({**SETTINGS, "learning_rate": 1e-4}, runs)
    assert found is not None and found.run_id == "b"
    assert equal_run({**SETTINGS, "learning_rate": 1e-4, "seed": 7}, runs) is None


def test_what_changes_nothing_learned_is_passed_over():
    runs = [run("a", 0.2, save_steps=100, dataloader_num_workers=4)]
    settings = {**SETTINGS, "save_steps": 7, "dataloader_num_workers": 0, "logging_steps": 1}
    assert equal_run(settings, runs) is runs[0]
    assert equal_run({"save_steps": 100}, runs) is None, "nothing that could be equal is stated"


def test_what_does_nothing_beside_the_others_is_passed_over():
    alike = {**SETTINGS, "lr_scheduler_type": "constant"}
    runs = [run("a", 0.2, lora_alpha=16, lr_scheduler_type="constant", warmup_ratio=0.05)]
    settings = {**alike, "lora_alpha": 32, "warmup_ratio": 0.1}
    assert equal_run(settings, runs) is runs[0] and changed_factors(settings, runs[0]) == ()
    assert not difference(runs[0], run("b", 0.2, **settings)).changes
    assert equal_run({**settings, "lora_rank": 8}, runs) is None


def test_what_a_run_does_not_tell_has_the_scripts_default():
    runs = [run("a", 0.2)]
    assert equal_run({**SETTINGS, "adam_beta1": 0.95}, runs) is runs[0]
    assert equal_run({**SETTINGS, "adam_beta1": 0.9}, runs) is None


@pytest.mark.parametrize(
    ("status", "counts"),
    [("finished", True), ("unfinished", True), ("pruned", True), ("failed", False)],
)
def test_a_failed_run_is_tried_again_and_a_begun_one_is_not(status, counts):
    found = equal_run(SETTINGS, [run("a", 0.2, status=status)])
    assert (found is not None) is counts


def test_a_finished_run_goes_before_a_begun_one():
    runs = [run("begun", 0.5, status="unfinished"), run("done", 0.2)]
    assert equal_run(SETTINGS, runs) is runs[1]


def test_other_data_is_another_run():
    runs = [run("a", 0.2)]
    assert equal_run({**SETTINGS, "dataset": "demo", "trainer": "native"}, runs) is runs[0]
    assert equal_run({**SETTINGS, "dataset": "other"}, runs) is None
    assert equal_run({**SETTINGS, "trainer": "isaac-gr00t"}, runs) is None
    hashed = {name: word for name, word in DATA.items() if name != "dataset"}
    unnamed = [run("a", 0.2, data={**hashed, "dataset version": "0123456789abcdef"})]
    assert equal_run({**SETTINGS, "dataset": "other"}, unnamed) is unnamed[0]


def test_the_nearest_run_has_the_fewest_changed_factors():
    runs = [
        run("low", 0.05, learning_rate=1e-4, batch_size=1, max_steps=2000),
        run("wide", 0.07, learning_rate=5e-4, batch_size=8, max_steps=1000),
        run("begun", 0.01, status="unfinished", learning_rate=1e-4, max_steps=3000),
    ]
    proposal = {**SETTINGS, "learning_rate": 1e-4, "batch_size": 8, "max_steps": 3000}
    nearest = nearest_run(proposal, runs)
    assert nearest is not None
    assert nearest.run_id == "low", "as far as the other, with the lower loss"
    changes = changed_factors(proposal, nearest)
    assert [change.factor for change in changes] == ["batch_size", "max_steps", "samples_seen"]
    assert changes[-1].implied
    assert (changes[-1].low, changes[-1].high) == (2000, 24000)


def test_trainable_parts_are_one_factor():
    changes = changed_factors({**SETTINGS, "tune_llm": True, "tune_visual": True}, run("a", 0.2))
    assert [change.factor for change in changes] == ["trainable_parts"]
    assert nearest_run(SETTINGS, [run("a", None, status="failed")]) is None
