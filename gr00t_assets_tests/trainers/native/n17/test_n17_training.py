"""A run of N1.7 from its data config to a policy, and what keeps the generations apart."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.fit.modality_configs import build_modality_config
from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.registry import combined_hyperparameters
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.runs.spec import TrainingSpec, make_spec
from gr00t_assets.trainers.policy import open_policy
from gr00t_assets_tests.small_dataset import small_dataset
from gr00t_assets_tests.trainers.conftest import train
from gr00t_assets_tests.trainers.native.test_native_resume import cut_back_to_step_two
from gr00t_assets_tests.trainers.native.test_processes import layout, trained

Maker = Callable[..., TrainingSpec]

DATA_CONFIG = """\
generation: n1.7
video: [ego_view]
state:
  left_arm: {normalization: percentiles}
  right_hand: {normalization: percentiles}
action:
  left_arm: {normalization: min_max, rep: relative}
  right_hand: {normalization: percentiles}
language: annotation.human.action.task_description
action_indices: [0, 1, 2, 3, 4, 5, 6, 7]
"""


@pytest.fixture
def n17_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maker:
    """Makes a spec whose dataset has frames that are not square."""
    root, store = tmp_path / "project", Store(tmp_path / "store")
    (root / "data" / "data_configs").mkdir(parents=True)
    (root / "data" / "datasets.yaml").write_text("{}\n")
    (root / "data" / "data_configs" / "arms_n17.yaml").write_text(DATA_CONFIG)
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(root))
    content = small_dataset(2, name="small", data_config="arms_n17")
    content |= {"embodiment_tag": "new_embodiment"}
    content["source"] |= {"width": 96}
    entry = CatalogEntry.model_validate(content)
    record = ingest_dataset(entry, store)
    config = build_modality_config(entry, store)
    assert (config.generation, config.embodiment_id, config.max_action_dim) == ("n1.7", 10, 132)
    dataset = LeRobotDataset.open(record.directory(store), record.name)
    cameras = [camera.original_key for camera in config.video]
    build_frame_cache(dataset, cameras, store.frame_cache(record.name, record.version))

    def make(base_model: str = "tiny-n1.7", **settings: object) -> TrainingSpec:
        values = {"batch_size": 2, "max_steps": 4, "save_steps": 2, "logging_steps": 1, **settings}
        experiment = Experiment(
            name="small-run",
            sweep="small",
            dataset="small",
            base_model=base_model,
            hyperparameters=combined_hyperparameters().model_validate(values),
        )
        return make_spec(experiment, store)

    return make


def losses(spec: TrainingSpec) -> list[float]:
    return read_metrics(spec.run_directory).losses.tolist()


@pytest.mark.parametrize(
    "settings",
    [
        {"augmentation": "none"},
        {"augmentation": "gr00t"},
        {"gradient_checkpointing": True, "tune_llm": True, "tune_visual": True},
        {"lora_rank": 4, "lora_full_model": True},
    ],
)
def test_it_trains_and_acts(n17_spec: Maker, settings: dict[str, object]) -> None:
    spec = n17_spec(learning_rate=1e-3, **settings)
    outcome = train(spec)
    assert outcome.returncode == 0, outcome.stderr
    assert len(losses(spec)) == 4 and all(np.isfinite(losses(spec)))
    policy = open_policy(spec.run_directory, "cpu")
    chunk = policy.act(policy.example_observation(), seed=1)
    assert chunk.flat.shape == (8, 13) and np.isfinite(chunk.flat).all()


def test_a_data_config_of_the_other_generation_is_refused(n17_spec: Maker) -> None:
    outcome = train(n17_spec(base_model="tiny"))
    assert outcome.returncode == 1
    assert "base model tiny is N1.5, and the data is not." in outcome.stderr
    assert "data config arms_n17 of dataset small is of N1.7" in outcome.stderr
    assert "give the dataset a data config with generation: n1.5" in outcome.stderr


def test_recomputed_activations_change_no_loss(n17_spec: Maker) -> None:
    towers = {"tune_llm": True, "tune_visual": True, "learning_rate": 1e-3}
    plain, less = n17_spec(**towers), n17_spec(gradient_checkpointing=True, **towers)
    assert train(plain).returncode == train(less).returncode == 0
    np.testing.assert_allclose(losses(less), losses(plain), rtol=1e-5)


def test_it_goes_on_from_a_checkpoint_to_the_same_losses(n17_spec: Maker) -> None:
    spec = n17_spec(learning_rate=1e-3)
    assert train(spec).returncode == 0
    unbroken = losses(spec)
    cut_back_to_step_two(spec.run_directory)
    assert train(spec).returncode == 0
    assert losses(spec) == unbroken


def test_two_processes_share_its_parameters(n17_spec: Maker) -> None:
    sharded = n17_spec(sharding="fsdp", learning_rate=1e-3, **layout(2, 2, 2))
    plain = n17_spec(learning_rate=1e-3, **layout(1, 4, 2))
    np.testing.assert_allclose(trained(sharded), trained(plain), rtol=1e-5)


def test_kept_features_change_no_loss(n17_spec: Maker) -> None:
    settings = {"augmentation": "none", "learning_rate": 1e-3}
    plain, kept = n17_spec(**settings), n17_spec(frozen_features="cache", **settings)
    assert train(plain).returncode == 0
    outcome = train(kept)
    assert outcome.returncode == 0 and "computing features of" in outcome.stdout + outcome.stderr
    np.testing.assert_allclose(losses(kept), losses(plain), rtol=1e-5)
    model = {path.name for path in (kept.run_directory / "model").iterdir()}
    assert {"processor_config.json", "statistics.json", "embodiment_id.json"} <= model
