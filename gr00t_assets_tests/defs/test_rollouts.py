"""The asset ``rollouts`` by the command line, in a temporary project."""

import dagster as dg
import pytest
import yaml

from gr00t_assets.evaluation.rollouts.result import load_rollouts
from gr00t_assets.modality.config import load_modality_config
from gr00t_assets_tests.defs.project import Project, make_project
from gr00t_assets_tests.evaluation.rollouts.conftest import fitting_point
from gr00t_assets_tests.small_dataset import small_dataset

DATASETS = {"drawn": small_dataset(3, environment="point"), "plain": small_dataset(3)}
TINY = {"batch_size": 2, "max_steps": 2, "save_steps": 2, "augmentation": "none"}
SWEEPS = {
    "tiny": {
        "defaults": {"dataset": "drawn", "hyperparameters": TINY},
        "experiments": [{"name": "two-steps"}, {"name": "no-world", "dataset": "plain"}],
    }
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("project")
    # The environment is known before its dataset is, whose joints it is to have.
    (root / "data").mkdir()
    (root / "data" / "environments.yaml").write_text("point: {}\n")
    project = make_project(root, DATASETS, SWEEPS)
    result = project.materialize("dataset,modality_config,frame_cache", "drawn")
    assert result.returncode == 0, result.stdout
    config = load_modality_config("drawn", project.store)
    environment = fitting_point(config, success="info.progress > 0.2", max_steps=10)
    fields = environment.model_dump(mode="json", exclude={"name"}, exclude_none=True)
    content = yaml.safe_dump({"point": fields})
    (root / "data" / "environments.yaml").write_text(content)
    result = project.materialize("checkpoint", "two-steps")
    assert result.returncode == 0, result.stdout
    return project


def test_rollouts_show_success_intervals_outcomes_and_videos(trained: Project) -> None:
    result = trained.materialize("rollouts", "two-steps")
    assert result.returncode == 0, result.stdout
    with trained.instance() as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("rollouts"))
    assert event is not None and event.asset_materialization is not None
    shown = event.asset_materialization.metadata
    (directory,) = (trained.store.root / "runs" / "two-steps").iterdir()
    (found,) = load_rollouts(directory)
    assert shown["success_rate"].value == pytest.approx(found.rate.rate, rel=1e-4)
    assert found.rate.words() in str(shown["verdict"].value)
    success = str(shown["success"].value)
    assert all(name in success for name in ("policy", "hold", "mean action", "replay", "random"))
    assert str(shown["outcomes"].value).count("\n") == 1 + len(found.policy)
    assert str(shown["videos"].value).count("](data:image/webp;base64,") == len(found.videos) > 0
    tags = event.asset_materialization.tags or {}
    assert tags["dagster/data_version"] == found.content_hash()
    assert "episodes in point" in (directory / "rollouts.log").read_text()

    again = trained.materialize("rollouts", "two-steps")
    assert again.returncode == 0 and "nothing computed" in again.stdout
    assert load_rollouts(directory) == [found]


def test_without_an_environment_there_is_nothing_to_do(trained: Project) -> None:
    result = trained.materialize("dataset,modality_config,frame_cache", "plain")
    assert result.returncode == 0, result.stdout
    result = trained.materialize("rollouts", "no-world")
    assert result.returncode == 0, result.stdout
    assert "no environment is declared for dataset plain" in result.stdout


def test_an_environment_that_differs_fails_with_all_reasons(trained: Project) -> None:
    file = trained.root / "data" / "environments.yaml"
    right = file.read_text()
    file.write_text(right.replace("fps: ", "fps: 1"))
    try:
        result = trained.materialize("rollouts", "two-steps")
    finally:
        file.write_text(right)
    assert result.returncode == 1
    assert "it does not fit the data config" in result.stdout
    assert "the environment offers:" in result.stdout and "Stack Trace" not in result.stdout
