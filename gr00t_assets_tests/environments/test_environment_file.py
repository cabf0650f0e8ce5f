"""``data/environments.yaml``: what is declared, and what is said of a fault."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from gr00t_assets.cli.main import app
from gr00t_assets.core.errors import CatalogError, SimulationError
from gr00t_assets.datasets.catalog import load_catalog
from gr00t_assets.environments.environment_file import BUILT_IN, Environment, load_environments
from gr00t_assets_tests.environments.point_env import POINT
from gr00t_assets_tests.small_dataset import small_dataset


def written(folder: Path, content: object) -> Path:
    path = folder / "data" / "environments.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_a_score_may_be_left_empty(tmp_path: Path) -> None:
    environments = load_environments(written(tmp_path, {"point": {**POINT, "score": None}}))
    assert environments.problem is None and environments["point"].score is None


def test_the_built_in_ones_are_well_declared(tmp_path: Path) -> None:
    environments = load_environments(tmp_path / "none.yaml")
    assert environments.problem is None and not environments.errors
    assert set(environments) == set(yaml.safe_load(BUILT_IN.read_text()))


def test_an_own_one_takes_the_place_of_a_built_in_one(tmp_path: Path) -> None:
    name = next(iter(load_environments(tmp_path / "none.yaml")))
    environments = load_environments(written(tmp_path, {name: POINT, "point": POINT}))
    assert environments.get(name).description == POINT["description"]
    assert environments.get("point").action_keys == ("arm", "grip")


def test_every_fault_is_told_with_its_line_and_disables_its_environment_alone(
    tmp_path: Path,
) -> None:
    wrong = {
        **POINT,
        "observation": {"front": "pixels", "state.arm": "state[0-2]"},
        "action": ["arm", "arm"],
        "success": "reward",
        "score": "info.progress >= 1",
        "max_step": 3,
        "fps": 0,
    }
    lists = {**POINT, "id": "two words", "instruction": {"from": "elsewhere.text"}}
    path = written(tmp_path, {"good": POINT, "wrong": wrong, "lists": lists, "a b": POINT})
    environments = load_environments(path)
    assert "good" in environments and "wrong" not in environments
    problem = str(environments.problem)
    for text in (
        "observation: expected keys like video.front and state.gripper, found 'front'",
        "action: a key is named twice",
        "success: say from which reward on it is a success: reward >= 1",
        "score: a score is a number and no comparison",
        "max_step: unknown field; did you mean 'max_steps'?",
        "max_steps",
        "fps: Input should be greater than 0",
        "id: expected a Gymnasium id such as",
        "instruction",
        "name 'a b' has ' '",
    ):
        assert text in problem, (text, problem)
    assert problem.count("line ") >= 9
    with pytest.raises(SimulationError, match="a key is named twice"):
        environments.get("wrong")


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    environments = load_environments(written(tmp_path, {"point": POINT}))
    with pytest.raises(SimulationError, match="did you mean 'point'"):
        environments.get("pont")
    broken = load_environments(written(tmp_path, "point: [\n"))
    with pytest.raises(SimulationError, match="has problems, and may have it"):
        broken.get("point")
    assert set(broken) == set(load_environments(tmp_path / "none.yaml"))


def test_the_hash_is_of_what_decides_an_episode() -> None:
    point = Environment.model_validate({"name": "point", **POINT})
    same = {"name": "other", "description": "x", "episodes": 1, "seeds": 3, "episode_seconds": 1}
    assert point.model_copy(update=same).content_hash() == point.content_hash()
    for change in ({"max_steps": 4}, {"kwargs": {"size": 8}}, {"success": "terminated"}):
        assert point.model_copy(update=change).content_hash() != point.content_hash()


def test_a_dataset_names_an_environment_that_is_declared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    written(tmp_path, {"point": POINT, "wrong": {"id": "x"}})
    catalog = tmp_path / "data" / "datasets.yaml"
    for name in ("point", "wrong"):
        catalog.write_text(yaml.safe_dump({"drawn": small_dataset(3, environment=name)}))
        assert load_catalog()["drawn"].environment == name
    catalog.write_text(yaml.safe_dump({"drawn": small_dataset(3, environment="pint")}))
    with pytest.raises(CatalogError, match="no environment 'pint'; did you mean 'point'"):
        load_catalog()


def test_the_command_lists_and_checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    written(tmp_path, {"point": POINT})
    listed = CliRunner().invoke(app, ["environment", "list"])
    assert listed.exit_code == 0 and "A point goes to its goal" in listed.output
    assert CliRunner().invoke(app, ["environment", "check"]).exit_code == 0
    checked = CliRunner().invoke(app, ["environment", "check", "point", "--episodes", "2"])
    assert "its expert succeeds in 2 of 2 episodes" in checked.output
    assert "pixels (16, 16, 3) uint8" in checked.output and "joint_0" in checked.output
    written(tmp_path, {"point": {**POINT, "fps": "often"}})
    wrong = CliRunner().invoke(app, ["environment", "check"])
    assert isinstance(wrong.exception, SimulationError) and "point.fps" in str(wrong.exception)
