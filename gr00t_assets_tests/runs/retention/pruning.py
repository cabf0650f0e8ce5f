"""What pruning would do, and the command line that does it."""

import subprocess
import sys
from pathlib import Path

from gr00t_assets.runs.retention.prune import PrunePlan, plan_prune
from gr00t_assets.runs.retention.retention_rule import RetentionRule, project_state
from gr00t_assets_tests.runs.retention.factory import FilledProject


def planned(project: FilledProject, **choices: bool) -> PrunePlan:
    current = project_state(project.store)
    return plan_prune(project.store, current, RetentionRule(), **choices)


def prune(*arguments: str, answer: str = "", code: int = 0) -> "subprocess.CompletedProcess[str]":
    command = [
        sys.executable,
        "-c",
        "from gr00t_assets.cli.main import main; main()",
        "store",
        "prune",
    ]
    result = subprocess.run(
        [*command, *arguments], input=answer, capture_output=True, text=True, check=False
    )
    assert result.returncode == code, result.stdout + result.stderr
    return result


def run_of(project: FilledProject, name: str) -> Path:
    (found,) = (project.store.root / "runs" / name).iterdir()
    return found
