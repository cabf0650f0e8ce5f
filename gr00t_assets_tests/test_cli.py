"""``gr00t-assets``: its version, completion, JSON, and ``sweep`` on the checked-in sweeps."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gr00t_assets import __version__

CHECKOUT = Path(__file__).resolve().parents[1]
CLI = [sys.executable, "-c", "from gr00t_assets.cli.main import main; main()"]


PROGRAM = Path(sys.executable).with_name("gr00t-assets")


def run(store: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CLI, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=CHECKOUT,
        env={**os.environ, "GR00T_ASSETS_STORE": str(store), "GR00T_ASSETS_ROOT": str(CHECKOUT)},
    )


@pytest.mark.parametrize("sweep", ["demo", "data/sweeps/demo.yaml"])
def test_the_plan_lists_every_partition_and_what_differs(tmp_path: Path, sweep: str) -> None:
    result = run(tmp_path, "sweep", "plan", sweep)
    assert result.returncode == 0, result.stderr
    rows = [line.split() for line in result.stdout.splitlines()]
    heads = ["partition", "learning_rate", "seed", "samples", "hours", "status", "would"]
    assert heads in rows
    assert ["demo-lr2e-4-seed2", "2e-4", "2", "10,400", "unknown", "missing", "train"] in rows
    assert "max_steps 650" in result.stdout


def test_names_are_listed_for_scripts(tmp_path: Path) -> None:
    datasets = run(tmp_path, "sweep", "plan", "demo", "--list", "datasets")
    assert datasets.stdout == "so101-pick\n"
    trainers = run(tmp_path, "sweep", "plan", "demo", "--list", "trainers")
    assert trainers.stdout.split() == ["native"]
    experiments = run(tmp_path, "sweep", "plan", "demo", "--list", "experiments")
    assert len(experiments.stdout.split()) == 4


def test_an_unknown_sweep_is_answered_with_the_nearest(tmp_path: Path) -> None:
    result = run(tmp_path, "sweep", "plan", "demmo")
    assert result.returncode == 1
    assert "did you mean 'demo'?" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_sweep_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = run(tmp_path, "sweep", "plan", "data/sweeps/none.yaml")
    assert result.returncode == 1
    assert "data/sweeps/none.yaml" in result.stderr


def test_loading_the_command_line_imports_nothing_heavy() -> None:
    code = (
        "import sys, gr00t_assets.cli.main\n"
        "heavy = 'torch transformers av wandb ray dagster pandas scipy graphql requests'.split()\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


def test_it_prints_its_version(tmp_path: Path):
    result = run(tmp_path, "--version")
    assert (result.returncode, result.stdout) == (0, f"gr00t-assets {__version__}\n")


def completed(words: str, root: Path = CHECKOUT, **environment: str) -> set[str]:
    """What bash is offered at the end of a line, by the program itself as it is installed."""
    if not PROGRAM.is_file():
        pytest.skip(f"{PROGRAM} is not there: pip install -e .")
    asked = {
        "_GR00T_ASSETS_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
        "GR00T_ASSETS_ROOT": str(root),
    }
    result = subprocess.run(
        [str(PROGRAM)], capture_output=True, text=True, env=os.environ | asked | environment
    )
    assert result.returncode == 0 and not result.stderr, result.stderr
    return set(result.stdout.split())


def test_a_shell_completes_commands_and_the_names_of_the_project() -> None:
    assert {"plan", "propose"} <= completed("gr00t-assets sweep p")
    assert completed("gr00t-assets sweep plan ") == {"demo", "demo-batch-size"}
    assert completed("gr00t-assets sweep plan so", GR00T_ASSETS_EXAMPLES="1") == {"so101"}
    assert completed("gr00t-assets train demo-lr1") == {"demo-lr1e-3-seed1", "demo-lr1e-3-seed2"}
    assert completed("gr00t-assets dataset show so") == {"so101-pick"}
    assert "so101-pick" in completed("gr00t-assets rollout demo --environment so")


def test_a_wrong_file_completes_nothing_of_its_own_and_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("sweeps", "data_configs"):
        shutil.copytree(CHECKOUT / "data" / name, tmp_path / "data" / name)
    shutil.copy(CHECKOUT / "data" / "datasets.yaml", tmp_path / "data")
    (tmp_path / "data" / "sweeps" / "demo.yaml").write_text("experiments: [\n")
    assert completed("gr00t-assets train demo-", tmp_path) == {
        "demo-b1-lr1e-3", "demo-b1-lr5e-4", "demo-b8-lr1e-3", "demo-b8-lr5e-4",
    }  # fmt: skip
    (tmp_path / "data" / "sweeps" / ".#demo.yaml").touch()  # as an editor leaves one
    assert completed("gr00t-assets sweep plan ", tmp_path) == {"demo", "demo-batch-size"}


def test_sweeps_are_listed_with_what_is_finished(tmp_path: Path) -> None:
    table = run(tmp_path, "sweep", "list").stdout.splitlines()
    assert table[0].split() == ["sweep", "experiments", "finished", "schedule", "description"]
    rows = [line.split()[:3] for line in table[1:] if line.startswith("demo")]
    assert rows == [["demo-batch-size", "4", "0"], ["demo", "4", "0"]]
    _, demo = json.loads(run(tmp_path, "sweep", "list", "--json").stdout)
    assert demo["sweep"] == "demo" and demo["file"] == "data/sweeps/demo.yaml"
    assert demo["statuses"] == {"missing": 4} and demo["datasets"] == ["so101-pick"]
    assert (demo["schedule"], demo["time_zone"]) == (None, "UTC")


def test_an_experiment_without_its_data_is_not_trained_and_a_misspelt_one_is_named(
    tmp_path: Path,
) -> None:
    without = run(tmp_path, "train", "demo-lr1e-3-seed1")
    assert without.returncode == 1 and "--partition so101-pick" in without.stderr
    misspelt = run(tmp_path, "train", "demo-lr1e-3-sed1")
    assert misspelt.returncode == 1 and "did you mean 'demo-lr1e-3-seed1'?" in misspelt.stderr
    assert not list(tmp_path.rglob("spec.json")), "nothing is half-made"


def test_a_script_reads_what_is_declared_and_what_could_go(tmp_path: Path) -> None:
    declared = json.loads(run(tmp_path, "environment", "list", "--json").stdout)
    assert {"so101-pick"} <= {item["name"] for item in declared}
    plan = json.loads(run(tmp_path, "store", "prune", "--dry-run", "--json").stdout)
    assert plan == {"removals": [], "in_use": [], "freed_bytes": 0}
    asking = run(tmp_path, "store", "prune", "--json")
    assert asking.returncode == 2 and "it is for --dry-run" in asking.stderr
