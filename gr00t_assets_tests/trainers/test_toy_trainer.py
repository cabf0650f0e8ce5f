"""A third trainer of one file, outside of the package, from its sweep file to the comparison."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets_tests.defs.project import CHECKOUT, Project, make_project
from gr00t_assets_tests.small_dataset import small_dataset

SOURCE = CHECKOUT / "gr00t_assets_tests" / "data" / "toy_trainer" / "toy_trainer.py"
CLI = [sys.executable, "-m", "gr00t_assets.cli.main"]
TRAIN = {"max_steps": 60, "batch_size": 4, "save_steps": 20, "logging_steps": 1}
CATALOG = {"small": small_dataset(3, held_out=[2])}
SWEEPS = {
    "toys": {
        "defaults": {
            "dataset": "small",
            "trainer": "toy",
            "base_model": "zeros",
            "hyperparameters": {**TRAIN, "learning_rate": 0.2},
        },
        "experiments": [
            {"name": "toy-plain", "hyperparameters": {"momentum": 0.0}},
            {"name": "toy-momentum", "hyperparameters": {"momentum": 0.8}},
        ],
    }
}


def install_toy_trainer(packages: Path) -> Path:
    """Make a folder for PYTHONPATH that has the trainer as pip would install it."""
    packages.mkdir()
    shutil.copyfile(SOURCE, packages / "toy_trainer.py")
    about = packages / "toy_trainer-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-trainer\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[gr00t_assets.trainers]\ntoy = toy_trainer:ToyTrainer\n"
    )
    return packages


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project, and beside it the folder of the trainer."""
    packages = install_toy_trainer(tmp_path_factory.mktemp("toy") / "site-packages")
    made = make_project(tmp_path_factory.mktemp("project"), CATALOG, SWEEPS)
    (made.root / "data" / "retention.yaml").write_text("optimizer_state: keep\n")
    return Project(made.root, {"PYTHONPATH": f"{packages}:{CHECKOUT}"})


@pytest.fixture(scope="module")
def trained(project: Project) -> Project:
    for asset, partition in (
        ("dataset,modality_config,frame_cache", "small"),
        ("training_environment", "toy"),
        ("checkpoint,open_loop_evaluation", "toy-plain"),
        ("checkpoint", "toy-momentum"),
    ):
        outcome = project.materialize(asset, partition)
        assert outcome.returncode == 0, f"{asset} {partition}: {outcome.stdout}"
    return project


def run_directory(project: Project, experiment: str) -> Path:
    (directory,) = (project.store.root / "runs" / experiment).iterdir()
    return directory


def cli(project: Project, *arguments: str) -> str:
    outcome = project.run(*CLI, *arguments)
    assert outcome.returncode == 0, outcome.stdout
    return outcome.stdout


def test_it_trains_to_a_checkpoint_that_passes_its_checks(trained: Project) -> None:
    directory = run_directory(trained, "toy-momentum")
    manifest = load_manifest(directory)
    assert manifest is not None
    assert (manifest.status, manifest.steps, manifest.trainer) == ("finished", 60, "toy")
    assert manifest.trainer_revision == "toy-1"
    assert manifest.checks == {
        "loss_is_finite": True,
        "weights_load_and_act": True,
        "config_matches_run": True,
    }
    spec = json.loads((directory / "spec.json").read_text())
    assert spec["experiment"]["hyperparameters"]["momentum"] == 0.8
    assert [path.name for path in sorted((directory / "checkpoints").iterdir())][-1] == "after-060"


def test_its_policy_is_evaluated_by_dagster_and_by_hand(trained: Project) -> None:
    evaluation = json.loads((run_directory(trained, "toy-plain") / "evaluation.json").read_text())
    assert (evaluation["trainer"], evaluation["device"]) == ("toy", "cpu")
    printed = cli(trained, "evaluate", "toy-momentum", "--draws", "2")
    assert "held out: error" in printed
    printed = cli(trained, "evaluate", "toy-momentum", "--draws", "2", "--checkpoints", "every 40")
    assert "step 40" in printed and "final" in printed and "step 20" not in printed
    directory = run_directory(trained, "toy-momentum")
    at_40 = json.loads((directory / "evaluations" / "step-000040.json").read_text())
    final = json.loads((directory / "evaluation.json").read_text())
    assert at_40["step"] == 40 and at_40["model_hash"] != final["model_hash"]
    assert not list(directory.glob(".*partial*")), "what it was exported to is gone"


def test_its_runs_are_compared_with_its_own_hyperparameter(trained: Project) -> None:
    printed = cli(trained, "compare", "--sweep", "toys")
    assert "toy-plain" in printed and "toy-momentum" in printed
    assert "momentum" in printed
    outcome = trained.materialize("loss_comparison")
    assert outcome.returncode == 0, outcome.stdout
    assert "toy-momentum" in cli(trained, "journal", "--print")


def test_what_it_does_not_take_is_refused_with_its_own_words(trained: Project) -> None:
    file = trained.root / "data" / "sweeps" / "wrong.yaml"
    for line, complaint in (
        ("base_model: tiny", "the toy trainer starts from zeros, not from tiny"),
        ("base_model: zeros, hyperparameters: {momentun: 0.1}", "momentum"),
        ("base_model: zeros, hyperparameters: {momentum: 1.5}", "momentum"),
    ):
        file.write_text(
            f"experiments:\n  - {{name: wrong, dataset: small, trainer: toy, {line}}}\n"
        )
        outcome = trained.run(
            sys.executable, "-m", "gr00t_assets.cli.main", "sweep", "plan", "wrong"
        )
        assert outcome.returncode == 1
        assert "wrong.yaml:2" in outcome.stdout
        assert complaint in outcome.stdout
    file.unlink()


def test_a_run_that_was_cut_short_goes_on_by_hand(trained: Project) -> None:
    directory = run_directory(trained, "toy-plain")
    before = (directory / "model" / "chunk.npy").read_bytes()
    (directory / "manifest.json").unlink()
    shutil.rmtree(directory / "model")
    shutil.rmtree(directory / "checkpoints" / "after-060")
    printed = cli(trained, "train", "toy-plain")
    assert "resuming from step 40 of 60" in printed
    assert (directory / "model" / "chunk.npy").read_bytes() == before


def test_the_store_drops_what_only_its_training_needs(trained: Project) -> None:
    (trained.root / "data" / "retention.yaml").write_text("optimizer_state: drop\nlast: 1\n")
    assert "6" in cli(trained, "store", "status").split("checkpoints")[1].split()[0]
    directory = run_directory(trained, "toy-momentum")
    # What evaluations find best stays.
    shutil.rmtree(directory / "evaluations", ignore_errors=True)
    cli(trained, "store", "prune", "--yes")
    (checkpoint,) = (directory / "checkpoints").iterdir()
    assert checkpoint.name == "after-060"
    files = sorted(path.name for path in checkpoint.iterdir())
    assert files == ["chunk.npy", "weights.json"]
