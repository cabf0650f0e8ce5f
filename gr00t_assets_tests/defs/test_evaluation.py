"""The asset ``open_loop_evaluation`` by the command line, in a temporary project."""

import sys
from pathlib import Path

import dagster as dg
import pytest

from gr00t_assets.evaluation.result import NOT_SUCCESS, load_evaluation
from gr00t_assets_tests.defs.project import Project, make_project
from gr00t_assets_tests.small_dataset import small_dataset

CATALOG = {"drawn": small_dataset(3, held_out=[2])}
TINY = {"batch_size": 2, "max_steps": 2, "save_steps": 2, "augmentation": "none"}
SWEEPS = {
    "tiny": {
        "defaults": {"dataset": "drawn", "hyperparameters": TINY},
        "experiments": [{"name": "two-steps"}, {"name": "never-run"}],
    }
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = make_project(tmp_path_factory.mktemp("project"), CATALOG, SWEEPS)
    for select, partition in (("dataset,modality_config,frame_cache", "drawn"),):
        result = project.materialize(select, partition)
        assert result.returncode == 0, result.stdout
    result = project.materialize("checkpoint", "two-steps")
    assert result.returncode == 0, result.stdout
    return project


def test_an_evaluation_shows_its_verdict_plots_and_limits(trained: Project) -> None:
    result = trained.materialize("open_loop_evaluation", "two-steps")
    assert result.returncode == 0, result.stdout
    with trained.instance() as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("open_loop_evaluation"))
    assert event is not None and event.asset_materialization is not None
    shown = event.asset_materialization
    assert shown.partition == "two-steps"
    (directory,) = (trained.store.root / "runs" / "two-steps").iterdir()
    found = load_evaluation(directory)
    assert found is not None and found.held_out is not None
    assert shown.metadata["held_out_error"].value == pytest.approx(found.main.error.mean, rel=1e-4)
    assert shown.metadata["not_success"].value == NOT_SUCCESS
    assert "held-out episodes" in str(shown.metadata["verdict"].value)
    assert "hold the state" in str(shown.metadata["baselines"].value)
    assert str(shown.metadata["error_by_step_line"].value).startswith("![error at each step")
    for name in ("error_by_step", "held_out_trajectories", "seen_trajectories"):
        assert "](data:image/png;base64," in str(shown.metadata[name].value)
    assert shown.tags is not None
    assert shown.tags["dagster/data_version"] == found.content_hash()
    assert "held out: 1 episode, " in (directory / "evaluation.log").read_text()

    again = trained.materialize("open_loop_evaluation", "two-steps")
    assert again.returncode == 0
    assert load_evaluation(directory) == found
    assert "already evaluated with these settings; nothing computed" in again.stdout


def test_checks_say_what_the_evaluation_is_worth(trained: Project) -> None:
    (directory,) = (trained.store.root / "runs" / "two-steps").iterdir()
    found = load_evaluation(directory)
    assert found is not None
    beaten = {rule.name: rule.beaten for rule in found.main.baselines}
    key = dg.AssetKey("open_loop_evaluation")
    names = ("beats_holding_still", "beats_mean_action", "uses_language")
    keys = [dg.AssetCheckKey(key, name) for name in names]
    with trained.instance() as instance:
        latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    passed = {key.name: latest[key].status.value == "SUCCEEDED" for key in keys}
    assert passed == {
        "beats_holding_still": beaten["hold"] == "yes",
        "beats_mean_action": beaten["mean action"] == "yes",
        "uses_language": found.language_used in ("yes", "cannot be told: one task"),
    }


def test_the_command_tells_dagster_what_it_has_evaluated(trained: Project, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gr00t_assets.cli.main", "evaluate", "two-steps"]
    result = trained.run(*command, "--draws", "3")
    assert result.returncode == 0 and "warning" not in result.stdout, result.stdout
    (directory,) = (trained.store.root / "runs" / "two-steps").iterdir()
    found = load_evaluation(directory)
    assert found is not None and found.settings.draws == 3
    with trained.instance() as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("open_loop_evaluation"))
        checkpoint = instance.get_latest_data_version_record(dg.AssetKey("checkpoint"))
    assert event is not None and event.asset_materialization is not None and checkpoint is not None
    tags = event.asset_materialization.tags or {}
    assert tags["dagster/data_version"] == found.content_hash()
    assert tags["dagster/input_event_pointer/checkpoint"] == str(checkpoint.storage_id)

    nowhere = str(tmp_path / "nowhere")
    result = trained.run(*command, "--again", DAGSTER_HOME=nowhere)
    assert result.returncode == 0, "what was evaluated is evaluated"
    assert "warning: the page does not know of it: " in result.stdout
    assert "Traceback" not in result.stdout


def test_what_was_not_trained_says_what_to_run(trained: Project) -> None:
    result = trained.materialize("open_loop_evaluation", "never-run")
    assert result.returncode == 1
    assert "nothing to evaluate" in result.stdout
    assert "--select checkpoint --partition never-run" in result.stdout


def test_weights_that_do_not_load_are_told(trained: Project) -> None:
    (directory,) = (trained.store.root / "runs" / "two-steps").iterdir()
    weights = directory / "model" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    try:
        result = trained.materialize("open_loop_evaluation", "two-steps")
    finally:
        weights.write_bytes(whole)
    assert result.returncode == 1
    assert "this model is damaged" in result.stdout and "evaluation.log" in result.stdout
    assert "Stack Trace" not in result.stdout
