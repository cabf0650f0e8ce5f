"""The asset ``training_environment`` and its checks, materialised in a project of their own."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from gr00t_assets_tests.defs.project import Project, make_project
from gr00t_assets_tests.trainers.isaac_gr00t.environments import commit_all, make_environment

ENTRY = {
    "description": "a folder",
    "source": {"kind": "folder", "path": "nowhere"},
    "data_config": "so100_dualcam",
}
SWEEPS = {
    "both": {
        "defaults": {"dataset": "demo"},
        "experiments": [
            {"name": "ours"},
            {"name": "theirs", "trainer": "isaac-gr00t", "base_model": "nvidia/GR00T-N1.5-3B"},
        ],
    }
}

MATERIALIZE = """
import json, sys
import dagster as dg
from gr00t_assets.defs.assets.training import training_environment
from gr00t_assets.defs.checks import checks
from gr00t_assets.defs.resources import resources

@dg.asset(deps=[training_environment], partitions_def=training_environment.partitions_def)
def after():
    return None

own = [check for check in checks
       if {key.asset_key for key in check.check_keys} == {training_environment.key}]
result = dg.materialize(
    [training_environment, *own, after],
    partition_key=sys.argv[1],
    resources=resources,
    raise_on_error=False,
)
made = {event.asset_key.to_user_string(): event.step_materialization_data.materialization
        for event in result.get_asset_materialization_events()}
shown = made["training_environment"]
text = lambda value: getattr(value, "md_str", None) or str(value.value)
print(json.dumps({
    "success": result.success,
    "made": sorted(made),
    "version": shown.tags["dagster/data_version"],
    "metadata": {name: text(value) for name, value in shown.metadata.items()},
    "checks": {check.check_name: [check.passed, check.description]
               for check in result.get_asset_check_evaluations()},
    "heavy": [name for name in ("torch", "transformers", "wandb") if name in sys.modules],
}))
"""

MAPPING = """
import json
from gr00t_assets.defs.partitions import *
def upstream(name):
    found = trainer_to_experiments.get_upstream_mapped_partitions_result_for_partitions(
        experiment_partitions.subset_with_partition_keys([name]), experiment_partitions,
        trainer_partitions)
    return sorted(found.partitions_subset.get_partition_keys())
print(json.dumps([upstream("ours"), upstream("theirs")]))
"""


ONCE = """
from gr00t_assets.trainers.isaac_gr00t.trainer import IsaacGr00tTrainer
examine, calls = IsaacGr00tTrainer.environment, []
IsaacGr00tTrainer.environment = lambda self, store: calls.append(store) or examine(self, store)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("project"), {"demo": ENTRY}, SWEEPS)


def materialize(project: Project, trainer: str, **environment: str) -> dict[str, Any]:
    result = project.run(sys.executable, "-c", MATERIALIZE, trainer, timeout=480, **environment)
    assert result.returncode == 0, result.stdout
    return json.loads(result.stdout.splitlines()[-1])


def test_an_experiment_depends_on_its_own_trainer_alone(project: Project):
    result = project.python(MAPPING)
    assert json.loads(result.stdout.splitlines()[-1]) == [["native"], ["isaac-gr00t"]]


def test_the_native_trainer_shows_versions_without_importing_torch(project: Project):
    found = materialize(project, "native")
    assert found["success"] and found["made"] == ["after", "training_environment"]
    assert "'package': 'torch', 'version': '2." in found["metadata"]["versions"]
    assert "'device': 'cpu'" in found["metadata"]["devices"]
    assert found["checks"] == {
        "environment_is_complete": [True, "no errors, no warnings"],
        "commit_fits_generation": [True, "no errors, no warnings"],
    }
    assert found["heavy"] == []


def test_a_machine_without_isaac_stops_what_comes_after(project: Project):
    found = materialize(project, "isaac-gr00t")
    assert not found["success"] and found["made"] == ["training_environment"]
    assert found["checks"]["environment_is_complete"][0] is False
    assert found["checks"]["commit_fits_generation"][0] is False
    table = found["metadata"]["findings"]
    for code in ("checkout", "python", "torch", "transformers", "pytorch3d"):
        assert f"| {code} | " in table, code
    assert "gr00t-assets isaac setup" in table


def test_the_asset_and_its_checks_examine_the_environment_once(project: Project):
    code = ONCE + MATERIALIZE + "\nassert len(calls) == 1, calls"
    result = project.run(sys.executable, "-c", code, "isaac-gr00t", timeout=480)
    assert result.returncode == 0, result.stdout


def test_a_complete_environment_lets_through_and_its_version_follows_its_content(
    project: Project, tmp_path: Path
):
    environment = make_environment(tmp_path / "isaac")
    first = commit_all(environment.checkout, "first")
    named = {"GR00T_ASSETS_ISAAC": str(tmp_path / "isaac")}
    found = materialize(project, "isaac-gr00t", **named)
    assert found["success"] and found["made"] == ["after", "training_environment"]
    assert found["metadata"]["commit"] == first
    shown = "'package': 'transformers', 'version': '4.51.3'"
    assert shown in found["metadata"]["versions"]
    assert found["checks"]["commit_fits_generation"] == [True, "no errors, 1 warning"]
    assert materialize(project, "isaac-gr00t", **named)["version"] == found["version"]
    commit_all(environment.checkout, "second")
    assert materialize(project, "isaac-gr00t", **named)["version"] != found["version"]
