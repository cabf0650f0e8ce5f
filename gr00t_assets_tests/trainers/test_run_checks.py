from pathlib import Path

import pytest

from gr00t_assets.runs.manifest import load_manifest, save_manifest
from gr00t_assets.runs.metrics import Metric, append_metric
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets.trainers.run_checks import (
    config_problem,
    loss_problem,
    record_check,
    weights_problem,
)
from gr00t_assets_tests.defs.specs import a_manifest, a_spec


@pytest.fixture
def run_directory(tmp_path: Path) -> Path:
    spec = a_spec(tmp_path)
    place_spec(spec)
    save_manifest(a_manifest(spec), spec.run_directory)
    return spec.run_directory


def log_loss(run_directory: Path, step: int, loss: float) -> None:
    metric = Metric(
        step=step,
        samples_seen=step,
        epoch=0.1,
        loss=0.5,
        losses=(loss,),
        grad_norm=1.0,
        learning_rate=1e-3,
        wall_seconds=1.0,
    )
    append_metric(metric, run_directory)


def test_finite_losses_pass(run_directory: Path):
    log_loss(run_directory, 1, 0.7)
    assert loss_problem(run_directory) is None


def test_one_loss_that_is_no_number_fails(run_directory: Path):
    log_loss(run_directory, 1, 0.7)
    log_loss(run_directory, 2, float("nan"))
    assert loss_problem(run_directory) == "a loss logged at step 2 is not a finite number"


def test_a_run_without_a_loss_fails(tmp_path: Path):
    assert loss_problem(tmp_path) == "the run has no final loss"


def test_the_runs_own_configuration_passes(run_directory: Path):
    assert config_problem(run_directory) is None


def test_a_manifest_of_another_configuration_fails(run_directory: Path, tmp_path: Path):
    other = a_manifest(a_spec(tmp_path), config_hash="abc")
    save_manifest(other, run_directory)
    expected = f"expected config hash {run_directory.name}; manifest.json is of abc"
    assert config_problem(run_directory) == expected


def test_a_lost_spec_fails(run_directory: Path):
    (run_directory / "spec.json").unlink()
    assert "there is no such spec file" in str(config_problem(run_directory))


def test_weights_that_are_not_there_fail(run_directory: Path):
    assert weights_problem(run_directory) is not None


def test_the_outcome_is_in_the_manifest(run_directory: Path):
    record_check(run_directory, "loss_is_finite", False)
    record_check(run_directory, "config_matches_run", True)
    manifest = load_manifest(run_directory)
    assert manifest is not None
    assert manifest.checks == {"loss_is_finite": False, "config_matches_run": True}
