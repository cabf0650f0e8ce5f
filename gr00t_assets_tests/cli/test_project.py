"""``gr00t-assets check``, and what other commands say of a file with a fault."""

import json
import sys
from pathlib import Path

import pytest

from gr00t_assets_tests.defs.noop_project import noop_project, noop_sweep
from gr00t_assets_tests.defs.project import Project

HALF_SAVED = "defaults: {dataset: demo\nexperiments:\n  - name"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    sweeps = {"good": noop_sweep("g1", "g2"), "bad": noop_sweep("b1")}
    return noop_project(tmp_path, sweeps)


def gr00t_assets(project: Project, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    program = [sys.executable, "-m", "gr00t_assets.cli.main", *arguments]
    result = project.run("sh", "-c", 'exec "$@" 2>err.txt', "sh", *program)
    return result.returncode, result.stdout, (project.root / "err.txt").read_text()


def test_check_tells_every_problem_at_once_and_exits_with_1(project: Project):
    code, output, _ = gr00t_assets(project, "check")
    assert (code, output) == (
        0,
        "no file has a fault; can be used: 1 dataset, 2 sweeps, 3 experiments\n",
    )
    folder = project.root / "data" / "sweeps"
    (folder / "bad.yaml").write_text(HALF_SAVED)
    (folder / "worse.yaml").write_text(
        "defaults: {dataset: dmo}\nexperiments:\n  - name: w1\n  - name: w2\n  - name: w1\n"
    )
    code, output, errors = gr00t_assets(project, "check")
    assert code == 1 and errors == ""
    assert "SweepError: data/sweeps/bad.yaml:2: this is not YAML." in output
    assert "SweepError: data/sweeps/worse.yaml: 2 problems." in output
    assert "unknown dataset 'dmo'; did you mean 'demo'?" in output
    assert "2 files with a fault; can be used: 1 dataset, 1 sweep, 2 experiments" in output
    code, output, errors = gr00t_assets(project, "check", "--json")
    assert code == 1 and errors == ""
    found = json.loads(output)
    assert (found["ok"], found["sweeps"], len(found["faults"])) == (False, 1, 2)
    worse = found["faults"][1]
    assert worse["file"] == "data/sweeps/worse.yaml"
    assert [problem["line"] for problem in worse["problems"]] == [1, 5]


def test_other_commands_warn_in_one_line_and_go_on(project: Project):
    (project.root / "data" / "sweeps" / "bad.yaml").write_text(HALF_SAVED)
    warning = "warning: data/sweeps/bad.yaml:2: this is not YAML: "
    commands = (
        ["sweep", "plan", "good"],
        ["sweep", "list"],
        ["dataset", "list"],
        ["compare"],
        ["store", "prune"],
        ["sweep", "new", "fresh"],
    )
    for command in commands:
        code, output, errors = gr00t_assets(project, *command)
        assert code == 0, (command, output, errors)
        (line,) = [line for line in errors.splitlines() if "bad.yaml" in line]
        assert line.startswith(warning), (command, errors)
        assert line.endswith("(gr00t-assets check tells all)")
    code, output, errors = gr00t_assets(project, "sweep", "plan", "good", "--json")
    assert len(json.loads(output)["experiments"]) == 2


def test_what_the_file_defines_fails_with_the_error_of_the_file(project: Project):
    (project.root / "data" / "sweeps" / "bad.yaml").write_text(HALF_SAVED)
    code, _, errors = gr00t_assets(project, "sweep", "plan", "bad")
    assert code == 1
    assert "SweepError: data/sweeps/bad.yaml:2: this is not YAML." in errors
