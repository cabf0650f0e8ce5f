"""``until`` in a sweep file: what may stand there, and the seeds that later rounds may add."""

from pathlib import Path

import pytest

from gr00t_assets.core.project import Store
from gr00t_assets.experiments.sweeps import AskedRound, load_rounds, rounds_file, save_round
from gr00t_assets_tests.experiments.sweep_texts import load, refusal

HEAD = "defaults: {dataset: demo}\n"
GRID = HEAD + "grid: {name: 'lr{learning_rate}', hyperparameters: {learning_rate: [1e-4, 1e-3]}}\n"
UNTIL = "until: {question: learning_rate, max_gpu_hours: 4}\n"


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("GR00T_ASSETS_STORE", str(tmp_path / "store"))
    return Store(tmp_path / "store")


def test_without_it_a_sweep_has_no_further_experiments(tmp_path: Path):
    sweep = load(tmp_path, GRID)
    assert (sweep.until, sweep.further) == (None, ())


def test_every_experiment_may_have_further_seeds(tmp_path: Path):
    sweep = load(tmp_path, GRID + UNTIL)
    assert sweep.until is not None and sweep.until.confidence == 0.95
    assert [item.name for item in sweep.experiments] == ["lr1e-4", "lr1e-3"]
    names = [item.name for item in sweep.further]
    assert names[:2] == ["lr1e-4-seed1", "lr1e-4-seed2"] and len(names) == 10
    assert sweep.further[0].hyperparameters.seed == 1
    assert set(names) < {item.name for item in sweep.every}


def test_seeds_of_the_file_are_not_repeated(tmp_path: Path):
    sweep = load(tmp_path, GRID + UNTIL + "seeds: [1, 7]\n")
    names = {item.name for item in sweep.further if item.name.startswith("lr1e-4-")}
    assert names == {f"lr1e-4-seed{seed}" for seed in (2, 3, 4, 5)}


def test_what_a_round_asked_for_is_among_the_experiments(tmp_path: Path, store: Store):
    asked = AskedRound(
        asked_at="", experiments=("lr1e-4-seed1",), chance=0.5, hours=1.0, reason="why"
    )
    save_round("mine", store, asked)
    sweep = load(tmp_path, GRID + UNTIL)
    assert [item.name for item in sweep.experiments][-1] == "lr1e-4-seed1"
    assert "lr1e-4-seed1" not in {item.name for item in sweep.further}
    assert [item.name for item in sweep.first_round.experiments] == ["lr1e-4", "lr1e-3"]
    assert load_rounds("mine", store).rounds == (asked,)
    rounds_file("mine", store).write_text("{")
    sweep = load(tmp_path, GRID + UNTIL)
    assert [item.name for item in sweep.experiments] == ["lr1e-4", "lr1e-3"]


def test_what_goes_on_from_another_gets_no_seeds(tmp_path: Path):
    more = (
        "experiments: [{name: long, continue_from: lr1e-3, hyperparameters: {max_steps: 20000}}]\n"
    )
    sweep = load(tmp_path, GRID + UNTIL + more)
    assert not [item for item in sweep.further if item.name.startswith("long")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{question: learning_rat, max_gpu_hours: 4}", "did you mean 'learning_rate'?"),
        ("{question: batch_size, max_gpu_hours: 4}", "batch_size is the same in every experiment"),
        ("{question: seed, max_gpu_hours: 4}", "seed is the same in every experiment, or not"),
        ("{question: learning_rate}", "max_gpu_hours"),
        ("{question: learning_rate, max_gpu_hours: 0}", "greater than 0"),
        ("{question: best, max_gpu_hours: 1, confidence: 95}", "less than or equal to 0.999"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, message: str):
    problem = refusal(tmp_path, GRID + f"until: {text}\n")
    assert message in problem and "mine.yaml:3" in problem


def test_a_name_that_a_later_round_needs_is_refused(tmp_path: Path):
    more = "experiments: [{name: lr1e-3-seed1, hyperparameters: {learning_rate: 2e-4}}]\n"
    problem = refusal(tmp_path, GRID + UNTIL + more)
    assert "'lr1e-3-seed1' is the name of an experiment, and of a later round's" in problem
