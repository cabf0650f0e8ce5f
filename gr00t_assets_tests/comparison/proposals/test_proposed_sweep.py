"""Proposals as a sweep file that loads, and a person's sweep file held against the runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gr00t_assets.core.errors import ComparisonError, SweepError
from gr00t_assets.experiments.new_sweep import write_sweep
from gr00t_assets.planning.proposed_sweep import check_sweep, propose
from gr00t_assets.planning.sweep_plan import make_plan
from gr00t_assets_tests.experiments.sweep_texts import load_sweeps

SWEEP = """\
experiments:
  - name: small
    hyperparameters: {batch_size: 1, max_steps: 1000}
  - name: large
    hyperparameters: {batch_size: 8, max_steps: 1000}
"""

TABLE = """\
run_id,name,dataset,learning_rate,batch_size,max_steps,status,loss
a1,first,demo,5e-4,1,1000,finished,0.19
a2,second,demo,5e-4,8,1000,finished,0.07
"""


def trained(project):
    sweep = project.sweep("mine", SWEEP)
    project.trained(sweep, {"small": 0.2, "large": 0.07})
    return sweep


def test_what_is_proposed_is_a_sweep_that_loads_and_plans(project):
    trained(project)
    text = propose(None, None, "batch_size", "then")
    write_sweep("then", text)
    assert project.file("then").read_text() == text
    made = load_sweeps()["then"]
    (experiment,) = made.experiments
    settings = experiment.hyperparameters.model_dump()
    assert (settings["batch_size"], settings["max_steps"]) == (8, 125)
    assert settings["augmentation"] == "none"
    assert (experiment.dataset, experiment.trainer, experiment.base_model) == (
        "demo",
        "native",
        "tiny",
    )
    assert "small" in experiment.hypothesis
    assert "hours of a CPU" in text
    (row,) = make_plan(made, project.store, "cpu").rows
    assert row.status == "missing" and row.hours_left


def test_a_file_that_is_there_is_never_overwritten(project):
    trained(project)
    write_sweep("then", propose(None, None, None, "then"))
    before = project.file("then").read_bytes()
    with pytest.raises(SweepError, match="never overwritten"):
        write_sweep("then", propose(None, None, None, "then"))
    assert project.file("then").read_bytes() == before


def test_without_a_name_nothing_is_written(project):
    trained(project)
    before = sorted(project.root.rglob("*"))
    assert yaml.safe_load(propose(None, None, None, None))["experiments"]
    assert sorted(project.root.rglob("*")) == before


def test_a_table_gives_a_sweep_too_and_with_references_both_sides(project, tmp_path):
    table = tmp_path / "runs.csv"
    table.write_text(TABLE)
    text = propose(table, None, "batch", None)
    (entry,) = yaml.safe_load(text)["experiments"]
    assert entry["hyperparameters"]["max_steps"] == 125
    assert "imported" in text and "GPU-hours unknown" in text
    both = yaml.safe_load(propose(table, None, "batch", None, references=True))["experiments"]
    steps = [entry["hyperparameters"].get("max_steps") for entry in both]
    assert steps == [1000, 125]


def test_nothing_open_is_said(project, tmp_path):
    table = tmp_path / "runs.csv"
    table.write_text("\n".join(TABLE.splitlines()[:2]) + "\n")
    with pytest.raises(ComparisonError, match="no question about these runs is open"):
        propose(table, None, None, None)
    with pytest.raises(ComparisonError, match="not a factor"):
        propose(table, None, "shoe size", None)


def test_an_equal_proposal_is_refused_by_name_and_others_counted(project):
    trained(project)
    project.sweep(
        "idea",
        """\
experiments:
  - name: again
    hyperparameters: {batch_size: 8, max_steps: 1000, save_steps: 7}
  - name: ultimate
    hyperparameters: {batch_size: 8, max_steps: 3000, learning_rate: 3e-4}
""",
    )
    (again, equal), (ultimate, other_equal) = check_sweep(project.file("idea"), None)
    assert (equal, other_equal) == (True, False)
    assert "refused: this is large" in again
    assert "changes 2 factors against large" in ultimate
    assert "max steps 1,000 to 3,000" in ultimate and "learning rate 1e-4 to 3e-4" in ultimate


def test_the_plan_names_an_equal_run(project):
    trained(project)
    idea = project.sweep(
        "idea",
        """\
experiments:
  - name: again
    hyperparameters: {batch_size: 8, max_steps: 1000}
""",
    )
    (row,) = make_plan(idea, project.store, "cpu").rows
    assert (row.status, row.equal_to) == ("missing", "large")
    assert load_sweeps().experiments["again"].sweep == "idea"


def test_the_command_prints_the_file(project):
    trained(project)
    command = [
        sys.executable,
        "-m",
        "gr00t_assets.cli.main",
        "sweep",
        "propose",
        "--question",
        "batch",
    ]
    path = str(Path(__file__).parents[3])
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout)["experiments"][0]["hyperparameters"]["max_steps"] == 125
