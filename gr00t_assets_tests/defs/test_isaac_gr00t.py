"""Both trainers under Dagster: one sweep, one comparison, two comparability classes."""

import json
import sys
from dataclasses import replace

import pytest

from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.trainers.isaac_gr00t.environment import CHECKOUT, PYTHON
from gr00t_assets_tests.defs.project import MODULE, Project, make_project
from gr00t_assets_tests.trainers.conftest import ENTRY
from gr00t_assets_tests.trainers.isaac_gr00t.launching import committed, copy_checkout
from gr00t_assets_tests.trainers.isaac_gr00t.small_model import make_base

SETTINGS = {
    "batch_size": 2,
    "max_steps": 6,
    "save_steps": 3,
    "logging_steps": 2,
    "learning_rate": 1e-3,
    "dataloader_num_workers": 0,
}
NAMES = ["native-lr1e-3", "native-lr5e-4", "isaac-gr00t-lr1e-3"]


def entries() -> list[dict[str, object]]:
    return [
        {
            "name": name,
            "trainer": name.rpartition("-lr")[0],
            "hyperparameters": {"learning_rate": float(name.rpartition("-lr")[2])},
        }
        for name in NAMES
    ]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("both")
    checkout = copy_checkout(root / "Isaac-GR00T")
    eagle = checkout / "gr00t" / "model" / "backbone" / "eagle2_hg_model"
    base = make_base(eagle, root / "base")
    entry = ENTRY.model_dump(mode="json", exclude={"name"}, exclude_none=True)
    defaults = {"dataset": ENTRY.name, "base_model": str(base), "hyperparameters": SETTINGS}
    made = make_project(
        root, {ENTRY.name: entry}, {"both": {"defaults": defaults, "experiments": entries()}}
    )
    variables = {
        CHECKOUT: str(committed(checkout)),
        PYTHON: sys.executable,
        "HF_HUB_OFFLINE": "1",
        "WANDB_MODE": "disabled",
    }
    return replace(made, variables=variables)


def materialize(project: Project, assets: str, partitions: list[str]) -> str:
    """Materialise partitions one after the other in one process, as a backfill would."""
    code = (
        "import dagster as dg\n"
        f"from {MODULE} import defs\n"
        f"names = {assets.split(',')!r}\n"
        "selection = dg.AssetSelection.assets(*names)\n"
        "job = dg.define_asset_job('some', selection)\n"
        "defs = dg.Definitions.merge(defs, dg.Definitions(jobs=[job]))\n"
        f"for key in {partitions!r}:\n"
        "    with dg.DagsterInstance.from_config('.') as instance:\n"
        "        job = defs.resolve_job_def('some')\n"
        "        assert job.execute_in_process(partition_key=key, instance=instance).success\n"
    )
    done = project.python(code)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def trained(project: Project) -> Project:
    materialize(project, "dataset,modality_config,frame_cache", [ENTRY.name])
    materialize(project, "checkpoint", NAMES)
    return project


def test_one_comparison_puts_the_trainers_in_two_classes(trained: Project) -> None:
    command = [
        sys.executable,
        "-m",
        "gr00t_assets.cli.main",
        "compare",
        "--sweep",
        "both",
        "--json",
    ]
    done = trained.run(*command)
    assert done.returncode == 0, done.stdout
    classes = json.loads(done.stdout)["classes"]
    rows = [row | {"class": item["id"]} for item in classes for row in item["ranking"]]
    of_run = {row["name"]: row["class"] for row in rows}
    assert len(classes) == 2
    assert set(of_run) == set(NAMES)
    assert of_run[NAMES[0]] == of_run[NAMES[1]] != of_run[NAMES[2]]
    assert sorted(row["place"] for row in rows) == [1, 1, 2]


def test_the_runs_of_both_trainers_hold_the_same_files(trained: Project) -> None:
    files = []
    for name in (NAMES[0], NAMES[2]):
        (directory,) = (trained.store.root / "runs" / name).iterdir()
        manifest = load_manifest(directory)
        assert manifest is not None and manifest.status == "finished"
        assert all(manifest.checks.values()) and len(manifest.checks) == 3
        assert manifest.frames_verified
        files.append({path.name for path in directory.iterdir()} - {"isaac"})
    assert files[0] == files[1]


def test_a_finished_partition_trains_nothing(trained: Project) -> None:
    output = materialize(trained, "checkpoint", [NAMES[2]])
    assert "already finished; nothing trained" in output
