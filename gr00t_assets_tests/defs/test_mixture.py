"""A mixture of two robots through Dagster: data, a training that is killed, and its evaluation."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from gr00t_assets.evaluation.result import load_evaluation
from gr00t_assets.runs.checkpoint_layout import COMPLETE
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.trainers.run_files import DEFAULT_LAYOUT
from gr00t_assets_tests.defs.project import MODULE, Project, make_project
from gr00t_assets_tests.small_dataset import small_dataset

SETTINGS = {
    "batch_size": 2,
    "max_steps": 40,
    "save_steps": 5,
    "logging_steps": 1,
    "learning_rate": 1e-3,
    "augmentation": "none",
}
MIXTURE = [{"name": "arms", "weight": 0.7}, {"name": "so101", "weight": 0.3}]
SWEEPS = {
    "mixed": {
        "defaults": {"dataset": MIXTURE, "hyperparameters": SETTINGS},
        "experiments": [{"name": "killed"}, {"name": "whole"}, {"name": "arms", "dataset": "arms"}],
    }
}


def so101() -> dict:
    entry = small_dataset(3, data_config="so100_dualcam", embodiment_tag="new_embodiment")
    return {**entry, "source": {**entry["source"], "robot": "so101"}, "held_out": [0]}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    datasets = {"arms": small_dataset(4, held_out=[3]), "so101": so101()}
    made = make_project(tmp_path_factory.mktemp("mixture"), datasets, SWEEPS)
    for name in datasets:
        result = made.materialize("dataset,modality_config,frame_cache", name)
        assert result.returncode == 0, result.stdout
    return made


def run_directory(project: Project, experiment: str) -> Path:
    (directory,) = (project.store.root / "runs" / experiment).glob("[!.]*")
    return directory


def start(project: Project, experiment: str) -> "subprocess.Popen[str]":
    arguments = ["asset", "materialize", "-m", MODULE, "--select", "checkpoint"]
    return subprocess.Popen(
        [sys.executable, "-m", "dagster", *arguments, "--partition", experiment],
        cwd=project.root,
        env=project.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def kill_after_checkpoint(project: Project, experiment: str, step: int) -> None:
    process = start(project, experiment)
    pattern = f"*/{DEFAULT_LAYOUT.folder(Path(), step)}/{COMPLETE}"
    runs, deadline = project.store.root / "runs" / experiment, time.monotonic() + 240
    while not list(runs.glob(pattern)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.cluster
def test_a_killed_mixture_goes_on_to_the_same_losses_and_is_evaluated(project: Project) -> None:
    kill_after_checkpoint(project, "killed", 10)
    assert load_manifest(run_directory(project, "killed")) is None
    for experiment in ("killed", "whole"):
        result = project.materialize("checkpoint,open_loop_evaluation", experiment)
        assert result.returncode == 0, result.stdout
    killed, whole = (run_directory(project, name) for name in ("killed", "whole"))
    assert killed.name == whole.name
    assert read_metrics(killed).losses.tolist() == read_metrics(whole).losses.tolist()
    one, other = load_manifest(killed), load_manifest(whole)
    assert one is not None and other is not None
    assert (one.attempts, one.status, one.frames_verified) == (2, "finished", True)
    assert one.datasets == other.datasets
    assert sum(item.samples_seen for item in one.datasets) == one.samples_seen == 80

    evaluation = load_evaluation(killed)
    assert evaluation is not None and evaluation.held_out is not None
    assert evaluation.dataset == "arms 0.7 + so101 0.3"
    for part in evaluation.parts:
        assert [item.dataset for item in part.datasets] == ["arms", "so101"]
        assert sum(item.windows for item in part.datasets) == part.windows
        groups = [group.group for group in part.groups]
        assert groups[0] == "arms: left_arm" and groups[-1] == "so101: gripper"
    assert [item.episodes for item in evaluation.held_out.datasets] == [(3,), (0,)]

    with project.instance() as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("checkpoint"))
    assert event is not None and event.asset_materialization is not None
    shown = event.asset_materialization.metadata
    mixture = shown["mixture"]
    assert isinstance(mixture, dg.TableMetadataValue)
    assert str(mixture.records[1].data["dataset"]).startswith("so101, version ")
    assert str(shown["dataset"].value).startswith("arms 0.7 + so101 0.3, version ")

    plan = project.run(
        sys.executable, "-m", "gr00t_assets.cli.main", "sweep", "plan", "mixed", "--json"
    )
    assert plan.returncode == 0, plan.stdout
    rows = {row["partition"]: row for row in json.loads(plan.stdout)["experiments"]}
    assert rows["killed"]["dataset"] == "arms 0.7 + so101 0.3"
    assert rows["killed"]["epochs"] == pytest.approx(one.epochs)
    assert rows["killed"]["shares"] == {item.name: item.share for item in one.datasets}
    assert rows["arms"]["shares"] == {}
