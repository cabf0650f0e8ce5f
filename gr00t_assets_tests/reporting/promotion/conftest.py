"""One trained and evaluated run, copied for each test with a project around it."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gr00t_assets.core.project import Store
from gr00t_assets.evaluation.open_loop import evaluate_run
from gr00t_assets.evaluation.result import EvaluationSettings
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.reporting.promotion.promote import promote
from gr00t_assets.reporting.promotion.record import Promotion
from gr00t_assets.runs.spec import current_config_hash
from gr00t_assets.trainers.run_checks import WEIGHTS, record_check, weights_problem
from gr00t_assets_tests.evaluation.runs import a_store, make_data, make_run
from gr00t_assets_tests.reporting.promotion.hub_api import HubApi, serving

CATALOG = """\
small:
  description: Short episodes
  source: {kind: synthetic, robot: gr1_arms, episodes: 4}
  data_config: fourier_gr1_arms_only
  embodiment_tag: gr1
"""

SWEEP = """\
defaults:
  dataset: small
  hyperparameters:
    {batch_size: 8, learning_rate: 1e-3, augmentation: none, max_steps: 4, save_steps: 2}
experiments:
  - {name: small-run, hypothesis: Four steps are enough to be promoted.}
"""


BECAUSE = "four steps are enough to try a promotion"
"""Why a model is promoted that errs more than holding still."""


@dataclass(frozen=True)
class Trained:
    """An experiment, its run, and the store that they are in."""

    experiment: Experiment
    store: Store

    @property
    def run(self) -> Path:
        config_hash = current_config_hash(self.experiment, self.store)
        return self.store.run_directory(self.experiment.name, config_hash)

    def promote(self, selector: str | None = None, because: str | None = BECAUSE) -> Promotion:
        return promote(self.experiment, self.store, selector, because)

    @property
    def promoted(self) -> Path:
        return self.store.promoted_model(self.experiment.name, self.run.name)


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


@pytest.fixture(scope="session")
def evaluated_once(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    store = a_store(tmp_path_factory.mktemp("promotable"))
    make_data(store, episodes=7, held_out=[2, 3, 4, 5, 6])
    spec = make_run(store, max_steps=4, save_steps=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch.cuda.is_available", lambda: False)
        evaluate_run(spec.run_directory, EvaluationSettings(draws=2))
    assert weights_problem(spec.run_directory) is None
    record_check(spec.run_directory, WEIGHTS, True)
    return Trained(spec.experiment, store)


@pytest.fixture
def trained(evaluated_once: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trained:
    root = tmp_path / "project"
    (root / "data" / "sweeps").mkdir(parents=True)
    (root / "data" / "datasets.yaml").write_text(CATALOG)
    (root / "data" / "sweeps" / "small.yaml").write_text(SWEEP)
    shutil.copytree(evaluated_once.store.root, tmp_path / "store")
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(root))
    monkeypatch.setenv("GR00T_ASSETS_STORE", str(tmp_path / "store"))
    return Trained(evaluated_once.experiment, Store(tmp_path / "store"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubApi]:
    with serving(HubApi(token="hf_secretofthistest")) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.endpoint)
        monkeypatch.setenv("HF_TOKEN", running.token)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", running.endpoint)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        yield running
