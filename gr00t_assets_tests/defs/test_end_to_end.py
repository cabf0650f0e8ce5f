"""From a dataset to the comparison, by the command line alone, in one temporary project."""

import json
import shutil
from pathlib import Path

import dagster as dg
import pytest

from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets_tests.defs.project import Project, make_project

DATASET = "robot_sim.PickNPlace"
TINY = {"batch_size": 2, "max_steps": 4, "save_steps": 2, "logging_steps": 2}
PLAIN = {"hyperparameters": {"augmentation": "none"}}
SWEEPS = {
    "tiny": {
        "defaults": {"dataset": DATASET, "hyperparameters": TINY},
        "experiments": [
            {"name": "four-steps", "hypothesis": "four steps are enough to end", **PLAIN},
            {"name": "never-run", **PLAIN},
            {"name": "elsewhere", "trainer": "isaac-gr00t", "base_model": "nvidia/GR00T-N1.5-3B"},
        ],
    }
}


def catalog(folder: Path, data_config: str) -> dict:
    entry = {
        "description": "NVIDIA's demonstrations",
        "source": {"kind": "folder", "path": str(folder)},
        "data_config": data_config,
        "embodiment_tag": "gr1",
    }
    return {DATASET: entry}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, demo_dataset: Path) -> Project:
    root = tmp_path_factory.mktemp("project")
    return make_project(root, catalog(demo_dataset, "fourier_gr1_arms_only"), SWEEPS)


@pytest.fixture(scope="module")
def data(project: Project) -> Project:
    for asset in ("dataset", "modality_config", "frame_cache"):
        result = project.materialize(asset, DATASET)
        assert result.returncode == 0, result.stdout
    return project


@pytest.fixture(scope="module")
def trained(data: Project) -> Project:
    result = data.materialize("checkpoint", "four-steps")
    assert result.returncode == 0, result.stdout
    return data


def newest(project: Project, asset: str) -> dg.AssetMaterialization:
    with project.instance() as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey(asset))
    assert event is not None and event.asset_materialization is not None
    return event.asset_materialization


def run_directory(project: Project) -> Path:
    (directory,) = (project.store.root / "runs" / "four-steps").iterdir()
    return directory


def markdown(materialization: dg.AssetMaterialization, name: str) -> str:
    value = materialization.metadata[name]
    assert isinstance(value, dg.MarkdownMetadataValue) and value.md_str is not None
    return value.md_str


def rows(materialization: dg.AssetMaterialization, name: str) -> list[dict[str, object]]:
    value = materialization.metadata[name]
    assert isinstance(value, dg.TableMetadataValue)
    return [dict(record.data) for record in value.records]


def test_the_dataset_shows_what_it_holds(data: Project):
    shown = newest(data, "dataset")
    assert shown.partition == DATASET
    assert shown.metadata["episodes"].value == 5
    assert shown.metadata["frames"].value == 2096
    assert "observation.images.ego_view" in [row["camera"] for row in rows(shown, "cameras")]
    assert markdown(shown, "contact_sheet").startswith("![frames of robot_sim.PickNPlace](data:")
    assert shown.tags is not None
    assert shown.tags["dagster/data_version"] == shown.metadata["content_hash"].value


def test_the_modality_config_shows_its_keys(data: Project):
    shown = newest(data, "modality_config")
    assert {"left_arm", "0 to 6", 7, "min_max"} in [
        set(row.values()) for row in rows(shown, "action")
    ]
    assert shown.metadata["action_dim"].value == 26
    assert shown.metadata["state_dim"].value == 52


def test_the_frame_cache_holds_every_frame(data: Project):
    shown = newest(data, "frame_cache")
    assert shown.metadata["frames"].value == 2096
    assert shown.metadata["size_megabytes"].value == pytest.approx(2096 * 256 * 256 * 3 / 1e6, 0.01)


def test_a_data_config_that_does_not_fit_fails_the_command(tmp_path: Path, demo_dataset: Path):
    project = make_project(tmp_path, catalog(demo_dataset, "so100_dualcam"))
    assert project.materialize("dataset", DATASET).returncode == 0
    result = project.materialize("modality_config", DATASET)
    assert result.returncode == 1
    assert f"DatasetError: {DATASET}: " in result.stdout
    for needed in ("front", "wrist", "ego_view", "fourier_gr1_arms_only"):
        assert needed in result.stdout
    assert "Stack Trace" not in result.stdout and "Traceback" not in result.stdout
    assert not project.store.modality_config(DATASET).exists()


def test_training_without_its_data_says_what_to_run(tmp_path: Path, demo_dataset: Path):
    project = make_project(tmp_path, catalog(demo_dataset, "fourier_gr1_arms_only"), SWEEPS)
    result = project.materialize("checkpoint", "four-steps")
    assert result.returncode == 1
    assert f"--select modality_config --partition {DATASET}" in result.stdout
    assert not (project.store.root / "runs").exists()


def test_a_trainer_that_cannot_be_started_leaves_nothing(data: Project):
    result = data.materialize("checkpoint", "elsewhere")
    assert result.returncode == 1
    assert "TrainingError: elsewhere: isaac-gr00t is not set up for N1.5" in result.stdout
    assert not (data.store.root / "runs" / "elsewhere").exists()


def test_a_checkpoint_shows_what_was_done(trained: Project):
    shown = newest(trained, "checkpoint")
    manifest = load_manifest(run_directory(trained))
    assert manifest is not None and manifest.final_loss is not None
    assert shown.partition == "four-steps"
    assert shown.metadata["result"].value == "trained"
    assert shown.metadata["final_loss"].value == pytest.approx(manifest.final_loss.mean, rel=1e-4)
    assert shown.metadata["steps"].value == 4
    assert shown.metadata["samples_seen"].value == 8
    assert shown.metadata["hypothesis"].value == "four steps are enough to end"
    assert "| batch_size | 2 |" in markdown(shown, "hyperparameters")
    assert markdown(shown, "loss_curve").startswith("![training loss of four-steps](data:image/png")
    assert shown.tags is not None
    assert shown.tags["dagster/data_version"].startswith(manifest.config_hash)
    assert manifest.checks == {
        "loss_is_finite": True,
        "weights_load_and_act": True,
        "config_matches_run": True,
    }
    log = (run_directory(trained) / "log.txt").read_text()
    assert "step 4/4" in log


def test_no_secret_leaves_the_environment(data: Project, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", "hf_never_to_be_seen")
    assert data.materialize("checkpoint", "never-run").returncode == 0
    folders = (data.store.root / "runs" / "never-run", data.root / "data" / "dagster")
    for folder in folders:
        for file in folder.rglob("*"):
            assert not file.is_file() or b"hf_never_to_be_seen" not in file.read_bytes(), file
    shutil.rmtree(folders[0])


def test_a_finished_run_is_not_trained_again(trained: Project):
    weights = {
        file: file.stat().st_mtime_ns for file in run_directory(trained).rglob("*.safetensors")
    }
    assert weights
    result = trained.materialize("checkpoint", "four-steps")
    assert result.returncode == 0
    assert "already finished; nothing trained" in result.stdout
    assert newest(trained, "checkpoint").metadata["result"].value == (
        "already finished; nothing trained"
    )
    assert {file: file.stat().st_mtime_ns for file in weights} == weights


def test_the_comparison_takes_what_there_is(trained: Project):
    result = trained.materialize("loss_comparison")
    assert result.returncode == 0, result.stdout
    shown = newest(trained, "loss_comparison")
    assert shown.metadata["runs_finished"].value == 1
    assert shown.metadata["experiments"].value == 3
    assert next(iter(shown.metadata)) == "verdict"
    assert "four-steps" in str(shown.metadata["verdict"].value)
    (ranked,) = rows(shown, "ranking")
    assert (ranked["rank"], ranked["experiment"]) == ("1", "four-steps")
    assert "](data:image/png" in markdown(shown, "curves")
    assert shown.metadata["report"].value == "/gr00t/reports/loss_comparison.html"
    assert (trained.store.root / str(shown.metadata["report_file"].value)).is_file()


def test_weights_that_do_not_load_fail_the_command(trained: Project):
    (weights,) = (run_directory(trained) / "model").glob("*.safetensors")
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    try:
        result = trained.materialize("checkpoint", "four-steps")
    finally:
        weights.write_bytes(whole)
    assert result.returncode == 1
    assert "blocking asset check failed with ERROR severity" in result.stdout
    assert "weights_load_and_act" in result.stdout
    manifest = json.loads((run_directory(trained) / "manifest.json").read_text())
    assert manifest["checks"]["weights_load_and_act"] is False
