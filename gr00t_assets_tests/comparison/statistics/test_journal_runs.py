"""The runs of the hand-kept journal: what they may be said to show."""

from typing import Any

import pytest

from gr00t_assets.comparison.answers.answers import answer
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.statistics.effects import Pair, nearest_pairs
from gr00t_assets.comparison.statistics.factor_tests import all_effects
from gr00t_assets.comparison.statistics.factors import configurations, factors_of
from gr00t_assets.comparison.statistics.ranking import comparability_classes
from gr00t_assets_tests.comparison.synthetic_runs import journal_runs


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return journal_runs()


def pair(runs: list[Run], factor: str, *names: str) -> Pair:
    found = nearest_pairs(configurations([run for run in runs if run.run_id in names]), factor)[0]
    assert set(found.runs) == set(names)
    return found


def test_batch_size_is_confounded_by_samples_seen(runs: list[Run]) -> None:
    found = pair(runs, "batch_size", "6jzsan5d", "fwtchfxv")
    assert found.runs == ("6jzsan5d", "fwtchfxv")
    assert found.confounders == ("samples_seen",)
    assert (found.changes[1].low, found.changes[1].high) == (1000, 8000)
    assert found.ratio == pytest.approx(0.0702 / 0.1904)
    (effect,) = all_effects(runs)["batch_size"]
    assert effect.verdict == "confounded"


def test_full_fine_tuning_is_within_noise_until_repeated(runs: list[Run]) -> None:
    (effect,) = all_effects(runs)["trainable_parts"]
    assert effect.verdict == "within_noise"
    assert effect.pair is not None
    assert effect.pair.runs == ("6jzsan5d", "dvlv66is")
    assert [change.factor for change in effect.pair.changes] == ["trainable_parts"]
    assert effect.p is None and effect.interval is None, "nothing tells the noise between runs"


@pytest.mark.parametrize(
    ("one", "other"), [("6jzsan5d", "vtty1l1b"), ("vtty1l1b", "ch7f65x3"), ("6jzsan5d", "ch7f65x3")]
)
def test_learning_rate_is_confounded_by_steps(runs: list[Run], one: str, other: str) -> None:
    assert pair(runs, "learning_rate", one, other).confounders == ("max_steps", "samples_seen")
    (effect,) = all_effects(runs)["learning_rate"]
    assert effect.verdict == "confounded"
    assert effect.ratio is None


def test_learning_rate_moves_with_steps_and_samples(runs: list[Run]) -> None:
    sentence = answer(runs, "learning_rate").sentence
    assert "learning_rate (1e-4, 2.5e-4, 5e-4, 5e-4)" in sentence
    assert "max_steps (2,000, 1,500, 1,000, 200)" in sentence
    assert "samples_seen (2,000, 1,500, 1,000, 200) move together" in sentence


def test_all_that_changed_is_listed(runs: list[Run]) -> None:
    found = pair(runs, "learning_rate", "ch7f65x3", "0rtd7un9")
    assert found.confounders == ("warmup_ratio", "trainable_parts")
    expected = ["learning_rate", "warmup_ratio", "trainable_parts", "dataloader_num_workers"]
    assert [change.factor for change in found.changes] == expected
    assert not found.changes[-1].material


def test_steps_imply_samples(runs: list[Run]) -> None:
    found = pair(runs, "max_steps", "klky5smm", "6jzsan5d")
    assert found.confounders == ()
    assert [change.factor for change in found.changes] == [
        "max_steps",
        "samples_seen",
        "save_steps",
    ]


def test_no_run_of_the_journal_shows_an_effect(runs: list[Run]) -> None:
    verdicts = {effect.verdict for group in all_effects(runs).values() for effect in group}
    assert verdicts <= {"confounded", "within_noise", "inconclusive"}


def test_unfinished_and_failed_runs_take_no_part(runs: list[Run]) -> None:
    left_out = {"d9pawzt8", "qbk0btb6", "btj3964a"}
    for group in all_effects(runs).values():
        assert not left_out & {run.run_id for effect in group for run in effect.runs}
    places = [place for item in comparability_classes(runs) for place in item.ranking]
    ranked = [run.run_id for place in places for run in place.runs]
    assert not left_out & set(ranked)
    assert len(ranked) == 7


def test_the_best_of_each_class(runs: list[Run]) -> None:
    found: dict[str, Any] = {
        item.comparability["trainable parts"]: item
        for item in comparability_classes(runs)
        if item.finished
    }
    head = found["projector, diffusion model"]
    assert [place.run.run_id for place in head.ranking] == [
        "ch7f65x3",
        "fwtchfxv",
        "vtty1l1b",
        "6jzsan5d",
        "klky5smm",
    ]
    everything = found["language model, vision tower, projector, diffusion model"]
    assert [place.run.run_id for place in everything.ranking] == ["dvlv66is", "0rtd7un9"]
    assert head.best is None and everything.best is None


def test_every_class_is_marked_known_wrong(runs: list[Run]) -> None:
    assert {item.frames for item in comparability_classes(runs)} == {"known wrong"}


def test_factors_that_finished_runs_vary(runs: list[Run]) -> None:
    assert factors_of(runs) == [
        "learning_rate",
        "batch_size",
        "max_steps",
        "warmup_ratio",
        "trainable_parts",
    ]
