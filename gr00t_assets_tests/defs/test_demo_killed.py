"""The commands of ``make demo`` are each killed with -9 at a random moment, and run once more.

What is there in the end is what a chain has that nothing happened to. ``DEMO_KILL_SEED`` is the
seed of the moments and of what is killed: the command's process group, a single process, or all.
"""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets_tests.defs import faults
from gr00t_assets_tests.defs.project import MODULE, Project, make_project

SETTINGS = {"batch_size": 2, "max_steps": 24, "save_steps": 4, "logging_steps": 1}
SWEEP = {
    "defaults": {"dataset": "small", "report_to": "none", "hyperparameters": SETTINGS},
    "experiments": [
        {"name": "slow", "hyperparameters": {"learning_rate": 1e-4}},
        {"name": "fast", "hyperparameters": {"learning_rate": 1e-3, "seed": 7}},
    ],
}
LID = {
    "description": "A lid is lifted, in episodes too short for it",
    "id": "gr00t_assets.environments.synthetic.pick:gr00t_assets/So101Pick-v0",
    "package": "gr00t-assets",
    "kwargs": {"size": 32},
    "observation": {
        "video.front": "pixels.front",
        "video.wrist": "pixels.wrist",
        "state.single_arm": "state[0:5]",
        "state.gripper": "state[5:6]",
    },
    "action": ["single_arm", "gripper"],
    "instruction": "pick up the lid",
    "success": "info.is_success",
    "score": "info.progress",
    "max_steps": 40,
    "fps": 10,
    "episodes": 3,
}
SMALL = {
    "description": "Short recorded episodes",
    "source": {"kind": "environment", "environment": "lid", "episodes": 3},
    "data_config": "so100_dualcam",
    "environment": "lid",
}
COMMANDS = [
    ("training_environment", "native"),
    ("dataset,modality_config,frame_cache", "small"),
    ("checkpoint,open_loop_evaluation,rollouts", "slow"),
    ("checkpoint,open_loop_evaluation,rollouts", "fast"),
    ("loss_comparison,research_journal", None),
]
HANGS_AFTER = 300.0
"""Seconds that no command of this chain needs, on a busy machine neither."""

Fate = tuple[float, str, int]
"""When it is killed, as a share of the usual time, what is, and a number to choose one by."""


@pytest.fixture
def projects(tmp_path: Path) -> Iterator[tuple[Project, Project]]:
    made = [
        make_project(tmp_path / name, {"small": SMALL}, {"demo": SWEEP})
        for name in ("unbroken", "killed")
    ]
    for project in made:
        (project.root / "data" / "environments.yaml").write_text(yaml.safe_dump({"lid": LID}))
    variables = {"WANDB_MODE": "disabled", "GR00T_ASSETS_STOP_GRACE": "5"}
    whole, killed = (Project(project.root, variables) for project in made)
    yield whole, killed
    for project in (whole, killed):
        faults.end_all(project)


def start(project: Project, select: str, partition: str | None) -> subprocess.Popen[bytes]:
    chosen = ["--partition", partition] if partition else []
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", MODULE]
    with (project.root / "output").open("ab") as output:
        return subprocess.Popen(
            [*command, "--select", select, *chosen],
            env=project.environment(),
            cwd=project.root,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def finished(project: Project, select: str, partition: str | None) -> float:
    """Run a command to its end; the seconds that it took."""
    began = time.monotonic()
    process = start(project, select, partition)
    try:
        code = process.wait(HANGS_AFTER)
    except subprocess.TimeoutExpired:
        pytest.fail(f"{select} {partition} hangs:\n{said(project)}")
    assert code == 0, said(project)
    return time.monotonic() - began


def said(project: Project) -> str:
    return (project.root / "output").read_text(errors="replace")[-5000:]


def kill_some(project: Project, command: subprocess.Popen[bytes], what: str, number: int) -> str:
    """Kill what is named of a command that runs; what was killed, in words."""
    if what == "group":
        with suppress(ProcessLookupError):
            os.killpg(command.pid, signal.SIGKILL)
        return "its process group"
    running = sorted(faults.processes(project), key=lambda process: process.pid)
    chosen = running if what == "all" or not running else [running[number % len(running)]]
    for process in chosen:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    return ", ".join(" ".join(process.command.split()[1:4]) for process in chosen)


def broken(project: Project, fates: dict[int, Fate], usual: float) -> list[str]:
    """The chain, each of its commands killed once and run again; what was killed when."""
    kills = []
    for number, (select, partition) in enumerate(COMMANDS):
        share, what, chosen = fates[number]
        seconds = share * usual * (3 if "checkpoint" in select else 1)
        command = start(project, select, partition)
        with suppress(subprocess.TimeoutExpired):
            command.wait(seconds)
        killed = kill_some(project, command, what, chosen)
        kills.append(f"{select} {partition or ''} after {seconds:.1f} s: {killed}")
        if what != "group" and command.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                command.wait(HANGS_AFTER)
        assert command.wait(10) is not None, f"hangs after {kills[-1]}:\n{said(project)}"
        finished(project, select, partition)
    return kills


def results(project: Project) -> dict[str, Any]:
    """What the chain made, but for times, process ids and paths."""
    store, found = project.store.root, {}
    for directory in sorted(store.glob("runs/*/*")):
        name = f"{directory.parent.name}/{directory.name}"
        manifest = json.loads((directory / "manifest.json").read_text())
        evaluation = json.loads((directory / "evaluation.json").read_text())
        rollouts = json.loads((directory / "rollouts" / "lid.json").read_text())
        found[name] = {
            "losses": read_metrics(directory).losses.tolist(),
            "manifest": [manifest[key] for key in ("status", "steps", "final_loss", "config_hash")],
            "model": digests(directory / "model"),
            "evaluation": without_times(evaluation),
            "rollouts": without_times(rollouts),
        }
    found["frames"] = digests(store / "frame_caches")
    found["dataset"] = digests(store / "datasets", "*.parquet", "*.mp4", "*.jsonl")
    return found


def digests(folder: Path, *patterns: str) -> dict[str, str]:
    """Hashes of the arrays, weights and other data files of a folder by their paths."""
    wanted = patterns or ("*.safetensors", "*.npy", "*.u8", "*.bin", "*.frames", "*.raw")
    files = sorted({file for pattern in wanted for file in folder.rglob(pattern)})
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
    }


def without_times(value: Any) -> Any:
    """A JSON value without what differs between two runs of the same."""
    if isinstance(value, dict):
        return {
            key: without_times(item)
            for key, item in value.items()
            if not any(word in key for word in ("second", "_at", "time", "checksum"))
        }
    return [without_times(item) for item in value] if isinstance(value, list) else value


def test_a_demo_whose_commands_are_killed_ends_like_one_that_nothing_happened_to(
    projects: tuple[Project, Project],
):
    whole, killed = projects
    seed = int(os.environ.get("DEMO_KILL_SEED", "20"))
    sys.stdout.write(f"DEMO_KILL_SEED={seed}\n")
    chance = random.Random(seed)
    targets = ["group", "one", "one", "all", "one"]
    chance.shuffle(targets)
    fates = {n: (chance.random(), targets[n], chance.randrange(1000)) for n in range(len(COMMANDS))}
    usual = finished(whole, *COMMANDS[0])
    with ThreadPoolExecutor(1) as pool:
        unbroken = pool.submit(lambda: [finished(whole, *command) for command in COMMANDS[1:]])
        kills = broken(killed, fates, usual)
        unbroken.result()
    sys.stdout.write("\n".join(kills) + "\n")
    faults.nothing_is_left(killed)
    expected, found = results(whole), results(killed)
    assert expected["frames"] and expected["dataset"] and len(expected) == 4
    assert all(expected[name]["model"] for name in expected if "/" in name)
    for part in expected:
        assert found[part] == expected[part], (part, kills)
    tables = [table(project) for project in projects]
    assert tables[0] == tables[1]


def table(project: Project) -> list[list[Any]]:
    """Each run's row of the comparison."""
    command = [sys.executable, "-m", "gr00t_assets.cli.main", "compare", "--sweep", "demo"]
    result = project.run(*command, "--json")
    assert result.returncode == 0, result.stdout
    content = json.loads(result.stdout[result.stdout.index("{") :])
    columns = ("name", "status", "loss", "loss_se", "first_loss")
    return [[row[column] for column in columns] for row in content["runs"]]
