"""One trained run with held-out episodes, and its evaluation, for all tests that read them."""

from pathlib import Path

import pytest

from gr00t_assets.evaluation.open_loop import evaluate_run
from gr00t_assets.evaluation.result import Evaluation, EvaluationSettings
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets_tests.evaluation.runs import a_store, make_data, make_run
from gr00t_assets_tests.trainers.conftest import small_data, spec_of
from gr00t_assets_tests.trainers.isaac_gr00t.conftest import isaac_spec, small_base, small_checkout

__all__ = ["isaac_spec", "small_base", "small_checkout", "small_data", "spec_of"]

QUICK = EvaluationSettings(draws=2)


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """On one thread of the CPU numbers repeat to the last digit."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainingSpec:
    """Trained on four of nine episodes, the last five held out."""
    store = a_store(tmp_path_factory.mktemp("held"))
    make_data(store, episodes=9, held_out=[4, 5, 6, 7, 8])
    return make_run(store, max_steps=40, batch_size=4)


@pytest.fixture(scope="session")
def evaluated(trained: TrainingSpec) -> Evaluation:
    """Its evaluation; ``evaluation.json`` is in the run directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch.cuda.is_available", lambda: False)
        return evaluate_run(Path(trained.run_directory), QUICK)
