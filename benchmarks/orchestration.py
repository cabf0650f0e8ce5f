"""What Dagster, the driver and the checks add to a training of Isaac-GR00T's script.

``python benchmarks/orchestration.py [--runs N]`` trains the same few steps by the bare script and
as a partition (``dagster asset materialize``, with its checks), one after the other, and prints the
seconds of both. Without ``--checkout`` and ``--python`` it takes the small checkout of the tests,
which has the same script interface on a real ``transformers.Trainer``; a real one is named with
``--base-model``, a folder that it can open. Neither logs to W&B, unless ``WANDB_MODE`` says so for
the partition.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the small checkout is part of the tests

from gr00t_assets.trainers.isaac_gr00t.environment import CHECKOUT, PYTHON
from gr00t_assets_tests.defs.project import MODULE, Project, make_project
from gr00t_assets_tests.trainers.conftest import ENTRY
from gr00t_assets_tests.trainers.isaac_gr00t.launching import committed, copy_checkout
from gr00t_assets_tests.trainers.isaac_gr00t.small_model import make_base

SETTINGS = {
    "batch_size": 2,
    "max_steps": 20,
    "save_steps": 20,
    "logging_steps": 10,
    "learning_rate": 1e-3,
    "dataloader_num_workers": 1,
}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--checkout", type=Path)
    parser.add_argument("--python", type=Path, default=Path(sys.executable))
    parser.add_argument("--base-model", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        checkout = options.checkout or committed(copy_checkout(root / "Isaac-GR00T"))
        eagle = checkout / "gr00t" / "model" / "backbone" / "eagle2_hg_model"
        base = options.base_model or make_base(eagle, root / "base")
        project = prepare(root, checkout, options.python, base, options.runs)
        rows = []
        for run in range(options.runs):
            bare = seconds(script(project, checkout, options.python, base, root / f"bare-{run}"))
            partition = seconds(materialize(project, f"run-{run}"))
            rows.append((bare, partition))
            print(f"{'bare script':>12} {bare:6.1f} s   {'partition':>10} {partition:6.1f} s")
    bare = statistics.median(row[0] for row in rows)
    added = statistics.median(row[1] - row[0] for row in rows)
    print(f"orchestration adds {added:.1f} s, {added / bare:.0%} of the bare script's {bare:.1f} s")


def prepare(root: Path, checkout: Path, python: Path, base: Path, runs: int) -> Project:
    """A project whose data is there, with one equal experiment a run."""
    defaults = {
        "dataset": ENTRY.name,
        "trainer": "isaac-gr00t",
        "base_model": str(base),
        "hyperparameters": SETTINGS,
    }
    experiments = [{"name": f"run-{run}"} for run in range(runs)]
    entry = ENTRY.model_dump(mode="json", exclude={"name"}, exclude_none=True)
    made = make_project(
        root, {ENTRY.name: entry}, {"cost": {"defaults": defaults, "experiments": experiments}}
    )
    passed_on = {"WANDB_MODE": os.environ.get("WANDB_MODE", "disabled")}
    if "HF_MODULES_CACHE" in os.environ:
        passed_on["HF_MODULES_CACHE"] = os.environ["HF_MODULES_CACHE"]
    variables = {
        "PYTHONPATH": os.pathsep.join([str(ROOT), *os.environ.get("PYTHONPATH", "").split(":")]),
        CHECKOUT: str(checkout),
        PYTHON: str(python),
        "HF_HUB_OFFLINE": "1",
        **passed_on,
    }
    project = Project(made.root, variables)
    done = project.materialize("dataset,modality_config,frame_cache", ENTRY.name)
    if done.returncode:
        sys.exit(done.stdout)
    return project


def script(
    project: Project, checkout: Path, python: Path, base: Path, output: Path
) -> tuple[list[str], Path, dict[str, str]]:
    """The bare script's command, on a copy of the dataset, which it may write into."""
    (version,) = [
        path
        for path in (project.store.root / "datasets" / ENTRY.name).iterdir()
        if path.is_dir() and not path.name.startswith(".")
    ]
    data = output.with_name(output.name + "-data")
    shutil.copytree(version, data)
    flags = {
        "dataset-path": data,
        "output-dir": output,
        "base-model-path": base,
        "embodiment-tag": ENTRY.embodiment_tag,
        **{name.replace("_", "-"): value for name, value in SETTINGS.items()},
    }
    del flags["logging-steps"]
    line = [str(part) for name, value in flags.items() for part in (f"--{name}", value)]
    path = os.pathsep.join([str(checkout), project.variables["PYTHONPATH"]])
    variables = {**project.environment(), "PYTHONPATH": path, "WANDB_MODE": "disabled"}
    command = [str(python), str(checkout / "scripts" / "gr00t_finetune.py"), *line]
    return command, project.root, variables


def materialize(project: Project, partition: str) -> tuple[list[str], Path, dict[str, str]]:
    """The command that materialises one checkpoint."""
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", MODULE]
    command += ["--select", "checkpoint", "--partition", partition]
    return command, project.root, project.environment()


def seconds(run: tuple[list[str], Path, dict[str, str]]) -> float:
    """Wall seconds of a command that has to end well."""
    command, folder, variables = run
    began = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    taken = time.perf_counter() - began
    if done.returncode:
        sys.exit(done.stdout)
    return taken


if __name__ == "__main__":
    main()
