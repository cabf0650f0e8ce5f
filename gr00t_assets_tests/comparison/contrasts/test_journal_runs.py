"""The runs of the hand-kept journal: what each pair of them may be said to show."""

import pytest

from gr00t_assets.comparison.contrasts.collinear import collinear_series
from gr00t_assets.comparison.contrasts.contrast import Contrast
from gr00t_assets.comparison.contrasts.contrasts import all_contrasts, contrasts
from gr00t_assets.comparison.contrasts.factors import factors_of
from gr00t_assets.comparison.contrasts.ranking import comparability_classes
from gr00t_assets.comparison.run import Run
from gr00t_assets_tests.comparison.synthetic_runs import journal_runs


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return journal_runs()


def contrast(runs: list[Run], factor: str, one: str, other: str) -> Contrast:
    found = [item for item in contrasts(runs, factor) if set(item.runs) == {one, other}]
    assert len(found) == 1, f"{len(found)} contrasts of {one} and {other}"
    return found[0]


def test_batch_size_is_confounded_by_samples_seen(runs: list[Run]) -> None:
    found = contrast(runs, "batch_size", "6jzsan5d", "fwtchfxv")
    assert (found.low[0].run_id, found.high[0].run_id) == ("6jzsan5d", "fwtchfxv")
    assert (found.verdict, found.confounders) == ("confounded", ("samples_seen",))
    samples = found.changes[1]
    assert (samples.low, samples.high) == (1000, 8000)
    assert found.effect == pytest.approx(0.0702 - 0.1904)
    assert found.ratio == pytest.approx(0.0702 / 0.1904)
    assert "samples_seen (1,000 and 8,000)" in found.reason


def test_full_fine_tuning_is_within_noise_until_repeated(runs: list[Run]) -> None:
    found = contrast(runs, "trainable_parts", "6jzsan5d", "dvlv66is")
    assert found.low[0].run_id == "6jzsan5d"
    assert found.changed_factors == ("trainable_parts",)
    assert (found.verdict, found.confounders) == ("within_noise", ())
    assert "Until it is repeated" in found.reason
    assert found.interval is not None
    assert found.interval[0] < 0 < found.interval[1]


@pytest.mark.parametrize(
    ("one", "other"), [("6jzsan5d", "vtty1l1b"), ("vtty1l1b", "ch7f65x3"), ("6jzsan5d", "ch7f65x3")]
)
def test_learning_rate_is_confounded_by_steps(runs: list[Run], one: str, other: str) -> None:
    found = contrast(runs, "learning_rate", one, other)
    assert found.verdict == "confounded"
    assert found.confounders == ("max_steps", "samples_seen")


def test_learning_rate_moves_with_steps_and_samples(runs: list[Run]) -> None:
    found = collinear_series(runs, "learning_rate")
    assert found is not None
    assert found.together == ("max_steps", "samples_seen")
    assert found.directions == {"max_steps": -1, "samples_seen": -1}
    assert {run.run_id for run in found.runs} == {"klky5smm", "6jzsan5d", "vtty1l1b", "ch7f65x3"}
    assert (1e-4, 2000, 2000) in found.levels


def test_all_that_changed_is_listed(runs: list[Run]) -> None:
    found = contrast(runs, "learning_rate", "ch7f65x3", "0rtd7un9")
    assert found.verdict == "confounded"
    assert found.confounders == ("warmup_ratio", "trainable_parts")
    assert found.changed_factors == (
        "learning_rate",
        "warmup_ratio",
        "trainable_parts",
        "dataloader_num_workers",
    )
    assert not found.changes[-1].material


def test_steps_imply_samples(runs: list[Run]) -> None:
    found = contrast(runs, "max_steps", "klky5smm", "6jzsan5d")
    assert found.confounders == ()
    assert found.changed_factors == ("max_steps", "samples_seen", "save_steps")
    assert found.verdict in ("within_noise", "inconclusive")


def test_no_single_pair_of_the_journal_shows_an_effect(runs: list[Run]) -> None:
    verdicts = {item.verdict for found in all_contrasts(runs).values() for item in found}
    assert verdicts == {"confounded", "within_noise", "not_comparable"}


def test_unfinished_and_failed_runs_take_no_part(runs: list[Run]) -> None:
    left_out = {"d9pawzt8", "qbk0btb6", "btj3964a"}
    for found in all_contrasts(runs).values():
        for item in found:
            if item.verdict != "not_comparable":
                assert not left_out & set(item.runs)
    ranked = [
        run for item in comparability_classes(runs) for place in item.ranking for run in place.runs
    ]
    assert not left_out & {run.run_id for run in ranked}
    assert len(ranked) == 7


def test_another_dataset_is_never_compared(runs: list[Run]) -> None:
    for found in all_contrasts(runs).values():
        apart = [item for item in found if "d9pawzt8" in item.runs]
        assert [item.verdict for item in apart] == ["not_comparable"]
        assert apart[0].changed_factors == ("dataset", "data config")
        assert (apart[0].effect, apart[0].interval, apart[0].ratio) == (None, None, None)


def test_the_best_of_each_class(runs: list[Run]) -> None:
    found = {
        item.comparability["trainable parts"]: item.ranking
        for item in comparability_classes(runs)
        if item.finished
    }
    assert [place.run.run_id for place in found["projector, diffusion model"]] == [
        "ch7f65x3",
        "fwtchfxv",
        "vtty1l1b",
        "6jzsan5d",
        "klky5smm",
    ]
    everything = found["language model, vision tower, projector, diffusion model"]
    assert [place.run.run_id for place in everything] == ["dvlv66is", "0rtd7un9"]
    tied = [place.tied_with_best for place in found["projector, diffusion model"]]
    assert tied == [True, True, True, True, False]


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
