"""``gr00t-assets``: its version, and ``sweep plan`` on the checked-in sweeps."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gr00t_assets import __version__

CHECKOUT = Path(__file__).resolve().parents[1]
CLI = [sys.executable, "-c", "from gr00t_assets.cli.main import main; main()"]


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
        "import sys, gr00t_assets.cli.main, gr00t_assets.planning.sweep_plan\n"
        "print([name for name in ('torch', 'transformers', 'av', 'wandb', 'ray', 'dagster')"
        " if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


def test_it_prints_its_version(tmp_path: Path):
    result = run(tmp_path, "--version")
    assert (result.returncode, result.stdout) == (0, f"gr00t-assets {__version__}\n")
