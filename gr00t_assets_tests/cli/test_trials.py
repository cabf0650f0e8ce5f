"""``gr00t-assets trials`` from two checkpoints of a run to a served letter and a verdict."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from gr00t_assets.cli.main import app
from gr00t_assets.core.errors import Gr00tAssetsError, TrialsError
from gr00t_assets.core.project import Store
from gr00t_assets.evaluation.trials.plan import load_plan, model_to_serve
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.runs.model_reference import find_model
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets_tests.trainers.conftest import SpecMaker, small_data, spec_of, train

__all__ = ["small_data", "spec_of"]


@pytest.fixture
def run(spec_of: SpecMaker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A finished run of four steps with a checkpoint at two."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    spec = spec_of()
    monkeypatch.setenv("GR00T_ASSETS_STORE", str(spec.store))
    place_spec(spec)
    assert train(spec).returncode == 0
    yield spec.run_directory


def trials(*arguments: str, ok: bool = True) -> Result:
    result = CliRunner().invoke(app, ["trials", *arguments])
    assert (result.exit_code == 0) is ok, (result.output, result.exception)
    return result


def test_from_checkpoints_to_a_served_letter(run: Path, tmp_path: Path) -> None:
    conditions = tmp_path / "conditions.txt"
    conditions.write_text("can on the left\ncan on the right\n")
    asked = ["new", str(run), f"{run}@2", "--conditions", str(conditions), "--repeats", "3"]
    said = trials(*asked).output
    assert said.startswith("trials-1: 12 trials of 2 policies")
    (reference,) = re.findall(r"gr00t-assets serve (trial:\S+)", said)
    assert trials(*asked).output.startswith("trials-2: ")

    store = Store.from_environment()
    plan = load_plan("trials-1", store)
    for policy in plan.policies:
        served = model_to_serve(f"trial:trials-1:{policy.letter.lower()}", store)
        assert served.name == f"trial:trials-1:{policy.letter}"
        meant = find_model(str(run) + ("@2" if policy.step == 2 else ""))
        assert served.directory == meant.directory and policy.name == meant.name
    served = model_to_serve(reference, store)
    policy = trainer_named(served.trainer).open_policy(served.directory, "cpu")
    flat = policy.act(policy.example_observation()).flat
    assert np.isfinite(flat).all()

    measured = CliRunner().invoke(app, ["serve", reference, "--measure", "2", "--device", "cpu"])
    assert measured.exit_code == 0, measured.output
    assert reference in measured.output and "small-run" not in measured.output
    shutil.rmtree(store.root / "trials" / "trials-1")
    assert trials(*asked).output.startswith("trials-3: ")


def test_changed_weights_are_not_served_under_a_letter(run: Path) -> None:
    trials("new", f"{run}@2", "--conditions", "2", "--name", "arm")
    store = Store.from_environment()
    folder = model_to_serve("trial:arm:A", store).directory
    for weights in folder.glob("*.safetensors"):
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
    with pytest.raises(TrialsError, match=r"policy A are not those of the plan") as error:
        model_to_serve("trial:arm:A", store)
    assert "small-run" not in str(error.value)
    with pytest.raises(TrialsError, match="no trials of this name"):
        model_to_serve("trial:leg:A", store)
    with pytest.raises(Gr00tAssetsError, match="no policy of this plan"):
        model_to_serve("trial:arm:", store)


def test_what_cannot_be_planned_leaves_nothing(run: Path) -> None:
    for wrong in (
        [str(run), str(run), "--conditions", "2"],
        [str(run), "--conditions", "none.txt"],
        [str(run), f"{run}@3", "--conditions", "2"],
        [str(run), "--conditions", "2", "--name", "../arm"],
    ):
        result = trials("new", *wrong, ok=False)
        assert isinstance(result.exception, Gr00tAssetsError)
    assert not (Store.from_environment().root / "trials").exists()


def fill(plan_name: str, wins: dict[str, int]) -> None:
    """Outcomes in which each letter wins so many of its trials, the first ones."""
    store = Store.from_environment()
    plan = load_plan(plan_name, store)
    left = dict(wins)
    rows = ["order;success;score"]
    for trial in plan.trials:
        left[trial.letter] -= 1
        rows.append(f"{trial.order};{'yes' if left[trial.letter] >= 0 else 'no'};0,5")
    plan.sheet_path(store).write_text("\n".join(rows))


def test_what_is_shown_tells_letters_until_it_is_asked_for_names(run: Path) -> None:
    trials("new", str(run), f"{run}@2", "--conditions", "20", "--name", "arm")
    key = {item.letter: item.name for item in load_plan("arm", Store.from_environment()).policies}
    empty = trials("show", "arm").output
    assert "0 of 40 trials done" in empty
    fill("arm", {"A": 18, "B": 6})
    shown = trials("show", "arm").output
    assert "18 (90 %)" in shown and "70 to 97 %" in shown and "6 (30 %)" in shown
    assert "B against A: succeeds in 60 of 100 fewer" in shown
    assert "McNemar over 20 shared conditions" in shown and "It is settled" in shown
    assert "0.50" in shown and "small-run" not in shown
    opened = trials("show", "arm", "--unblind").output
    assert f"A ({key['A']})" in opened and f"B ({key['B']}) against" in opened
    told = json.loads(trials("show", "arm", "--json").output)
    assert "small-run" not in json.dumps(told)
    assert [item["successes"] for item in told["policies"]] == [18, 6]
    (pair,) = told["pairs"]
    assert pair["is_settled"] and pair["test"] == "McNemar" and pair["p_value"] < 0.001
    told = json.loads(trials("show", "arm", "--json", "--unblind").output)
    assert [item["name"] for item in told["key"]] == [key["A"], key["B"]]


def test_a_bad_sheet_is_told_with_its_lines(run: Path, tmp_path: Path) -> None:
    trials("new", str(run), "--conditions", "2", "--name", "arm")
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("order,success\n1,perhaps\n7,yes\n")
    error = trials("show", "arm", "--outcomes", str(sheet), ok=False).exception
    assert isinstance(error, TrialsError)
    assert "line 2: success" in str(error) and "line 3: order" in str(error)
