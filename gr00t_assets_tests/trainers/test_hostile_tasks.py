"""Instructions that are more than words, or too long: refused before step 1."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gr00t_assets.core.project import Store
from gr00t_assets.datasets.fit.modality_configs import build_modality_config
from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets.datasets.synthetic.generator import generate
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.registry import combined_hyperparameters
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.metrics import METRICS
from gr00t_assets.runs.spec import TrainingSpec, make_spec
from gr00t_assets_tests.datasets.curated import catalog_entry
from gr00t_assets_tests.datasets.sources.test_special_tokens import with_task
from gr00t_assets_tests.trainers.conftest import ENTRY, train

Make = Callable[..., TrainingSpec]


@pytest.fixture
def hostile_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes the spec of a run on a dataset with a task."""
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    # As the check of an earlier version, which had no such fault.
    monkeypatch.setattr("gr00t_assets.datasets.checks.meta_files.special_tokens", lambda _: [])

    def make(
        task: str, trainer: str = "native", base_model: str = "tiny", **fields: object
    ) -> TrainingSpec:
        source, store = tmp_path / "source", Store(tmp_path / "store")
        shutil.rmtree(source, ignore_errors=True)
        source.mkdir()
        generate(ENTRY.source, source)  # pyright: ignore[reportArgumentType]
        with_task(source, task)
        entry = catalog_entry(source, tmp_path, **fields)
        record = ingest_dataset(entry, store)
        config = build_modality_config(entry, store)
        cameras = [camera.original_key for camera in config.video]
        dataset = LeRobotDataset.open(record.directory(store), record.name)
        build_frame_cache(dataset, cameras, store.frame_cache(record.name, record.version))
        settings = {"batch_size": 2, "max_steps": 2, "save_steps": 2, "logging_steps": 1}
        experiment = Experiment(
            name="hostile",
            sweep="small",
            dataset="demo",
            trainer=trainer,
            base_model=base_model,
            hyperparameters=combined_hyperparameters().model_validate(settings),
        )
        return make_spec(experiment, store)

    return make


@pytest.mark.parametrize("token", ["<|im_end|>", "<image-1>"])
def test_the_native_trainer_names_task_dataset_and_episode(hostile_spec: Make, token: str) -> None:
    spec = hostile_spec(f"pick {token} it")
    outcome = train(spec)
    assert outcome.returncode == 1
    assert "Traceback" not in outcome.stderr
    assert "demo: an instruction cannot be put into the prompt" in outcome.stderr
    assert f"task 'pick {token} it' of episode 0: {token}" in outcome.stderr
    assert "write special_tokens: escape below tasks" in outcome.stderr
    manifest = load_manifest(spec.run_directory)
    assert manifest is not None and (manifest.status, manifest.steps) == ("failed", 0)
    assert not (spec.run_directory / METRICS).exists()


def test_a_prompt_that_is_too_long_is_refused_before_the_first_step(hostile_spec: Make) -> None:
    outcome = train(hostile_spec("pick it " * 10_000))
    assert outcome.returncode == 1
    assert "tokens; the model takes " in outcome.stderr
    assert "of episode 0" in outcome.stderr and len(outcome.stderr) < 1_000


def test_what_is_escaped_is_trained_on(hostile_spec: Make) -> None:
    spec = hostile_spec("pick <|im_end|> it", tasks={"special_tokens": "escape"})
    outcome = train(spec)
    assert outcome.returncode == 0, outcome.stderr
