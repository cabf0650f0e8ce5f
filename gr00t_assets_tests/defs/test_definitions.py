"""The definitions load fast, without heavy packages, and say what they should."""

import json
import re
from pathlib import Path

import pytest

from gr00t_assets_tests.defs.project import Project, make_project

HEAVY = ("torch", "transformers", "av", "wandb", "ray", "tokenizers", "matplotlib", "plotly")

ENTRY = {
    "description": "a folder",
    "source": {"kind": "folder", "path": "nowhere"},
    "data_config": "so100_dualcam",
}
DATASETS = {"demo": ENTRY, "other": ENTRY}
MIXED = {"name": "mixed", "dataset": [{"name": "demo"}, {"name": "other", "weight": 0.5}]}
OWNERS = ["team:arms", "a.person@example.org"]
SWEEPS = {
    "rates": {
        "schedule": "0 20 * * *",
        "time_zone": "Asia/Tokyo",
        "defaults": {"dataset": "demo"},
        "grid": {"name": "lr{learning_rate}", "hyperparameters": {"learning_rate": [1e-3, 1e-4]}},
    },
    "by-size": {"defaults": {"dataset": "other"}, "experiments": [{"name": "small"}, MIXED]},
}

DESCRIBE = """
import json
import dagster as dg
from gr00t_assets.definitions import defs
graph = defs.resolve_asset_graph()
def upstream(asset, partition):
    child = graph.get(dg.AssetKey("checkpoint"))
    mapping = graph.get_partition_mapping(child.key, dg.AssetKey(asset))
    result = mapping.get_upstream_mapped_partitions_result_for_partitions(
        child.partitions_def.subset_with_partition_keys([partition]), child.partitions_def,
        graph.get(dg.AssetKey(asset)).partitions_def)
    return sorted(result.partitions_subset.get_partition_keys())
nodes = [graph.get(key) for key in graph.materializable_asset_keys]
experiment = graph.get(dg.AssetKey("experiment"))
print(json.dumps({
    "assets": {node.key.to_user_string(): {
        "group": node.group_name, "kinds": sorted(node.kinds), "owners": list(node.owners),
        "code_version": node.code_version, "described": bool(node.description),
        "pools": sorted(node.pools or []),
        "partitions": node.partitions_def and sorted(node.partitions_def.get_partition_keys()),
    } for node in nodes},
    "checks": {key.name: [graph.get_check_spec(key).blocking,
        graph.get(key).partitions_def is not None] for key in graph.asset_check_keys},
    "upstream": {"small": upstream("frame_cache", "small"),
                 "mixed": upstream("frame_cache", "mixed"),
                 "lr0.001": upstream("modality_config", "lr0.001")},
    "experiment": {"external": experiment.is_external, "group": experiment.group_name,
        "children": sorted(key.to_user_string() for key in experiment.child_keys),
        "partitions": sorted(experiment.partitions_def.get_partition_keys())},
    "schedules": {s.name: [s.cron_schedule, s.execution_timezone] for s in defs.schedules},
    "jobs": sorted(job.name for job in defs.jobs),
}))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = make_project(tmp_path_factory.mktemp("project"), DATASETS, SWEEPS)
    (project.root / "data" / "project.yaml").write_text(f"owners: {json.dumps(OWNERS)}\n")
    return project


@pytest.fixture(scope="module")
def described(project: Project) -> dict:
    result = project.python(DESCRIBE)
    assert result.returncode == 0, result.stdout
    return json.loads(result.stdout.splitlines()[-1])


def test_loading_imports_nothing_heavy(project: Project):
    code = f"import sys, gr00t_assets.definitions; print([m for m in {HEAVY} if m in sys.modules])"
    result = project.python(code)
    assert result.stdout == "[]\n"


def test_dagster_finds_nothing_wrong(project: Project):
    result = project.dagster("definitions", "validate", "-m", "gr00t_assets.definitions")
    assert result.returncode == 0, result.stdout
    assert "All code locations passed validation." in result.stdout


def test_every_asset_says_what_it_is(described: dict):
    assert {name: asset["group"] for name, asset in described["assets"].items()} == {
        "dataset": "data",
        "modality_config": "data",
        "frame_cache": "data",
        "training_environment": "training",
        "checkpoint": "training",
        "open_loop_evaluation": "analysis",
        "rollouts": "analysis",
        "loss_comparison": "analysis",
        "research_journal": "analysis",
        "promoted_model": "promotion",
    }
    for name, asset in described["assets"].items():
        assert asset["kinds"] and asset["described"], name
        assert asset["owners"] == OWNERS, "those of data/project.yaml"
        assert asset["code_version"] is not None, name
        assert not asset["pools"], "slots alone hold trainings back"


def test_an_experiment_is_observed_and_a_checkpoint_is_made_of_it(described: dict):
    assert described["experiment"] == {
        "external": True,
        "group": "training",
        "children": ["checkpoint"],
        "partitions": described["assets"]["checkpoint"]["partitions"],
    }


def test_partitions_are_those_of_the_files(described: dict):
    assert described["assets"]["dataset"]["partitions"] == ["demo", "other"]
    experiments = ["lr0.0001", "lr0.001", "mixed", "small"]
    assert described["assets"]["checkpoint"]["partitions"] == experiments
    assert described["assets"]["loss_comparison"]["partitions"] is None


def test_an_experiment_depends_on_its_own_datasets_alone(described: dict):
    assert described["upstream"] == {
        "small": ["other"],
        "mixed": ["demo", "other"],
        "lr0.001": ["demo"],
    }


def test_checks_by_partition_block_where_nothing_can_follow(described: dict):
    assert described["checks"] == {
        "files_are_sound": [True, True],
        "fits_data_config": [True, True],
        "environment_is_complete": [True, True],
        "commit_fits_generation": [True, True],
        "loss_is_finite": [True, True],
        "weights_load_and_act": [True, True],
        "config_matches_run": [True, True],
        "loss_fell": [False, True],
        "loss_has_no_spikes": [False, True],
        "beats_holding_still": [False, True],
        "beats_mean_action": [False, True],
        "uses_language": [False, True],
        "beats_rules": [False, True],
        "scheduled_sweeps_are_in_time": [False, False],
        "files_have_no_fault": [False, False],
    }


def test_only_a_sweep_with_a_cron_expression_has_a_schedule(described: dict):
    assert described["schedules"] == {"sweep_rates": ["0 20 * * *", "Asia/Tokyo"]}
    assert described["jobs"] == ["analysis", "evaluation", "prepare_data", "sweep"]


def test_a_wrong_sweep_file_is_named_with_its_line_and_all_else_loads(tmp_path: Path):
    sweep = {"defaults": {"dataset": "demo", "hyperparameters": {"learning_rat": 1}}}
    wrong = {**sweep, "experiments": [{"name": "a"}]}
    project = make_project(tmp_path, DATASETS, {**SWEEPS, "wrong": wrong})
    result = project.python(DESCRIBE)
    assert result.returncode == 0, result.stdout
    message = r"warning: \S*wrong.yaml:\d+: .*learning_rat: unknown field; did you mean"
    assert len(re.findall(message, result.stdout)) == 1, result.stdout
    keys = json.loads(result.stdout.splitlines()[-1])["assets"]["checkpoint"]["partitions"]
    assert keys == ["lr0.0001", "lr0.001", "mixed", "small"]
