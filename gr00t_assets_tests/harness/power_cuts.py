"""Trains a run with a log of its fsyncs, and again from what each of them leaves on the disk.

``python -m gr00t_assets_tests.harness.power_cuts MODULE STORE LOG EVERY EXPERIMENT``: the module
has the trainer's ``run_spec``, the experiment is JSON; the power goes right after each of the
fsyncs, ``EVERY`` apart. Prints JSON: the run as it was without a cut, and after each.
"""

import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.registry import combined_hyperparameters
from gr00t_assets.runs.checkpoint_layout import stored_checkpoints
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.runs.spec import TrainingSpec, make_spec
from gr00t_assets_tests.harness.sync_log import Disk, Tail, recorded

TAILS: tuple[Tail, ...] = ("lost", "torn", "zeros")
SETTINGS = {"batch_size": 2, "logging_steps": 2, "learning_rate": 1e-3, "save_total_limit": 2}


def after_power_cuts(
    data: Path, work: Path, module: str, every: int, experiment: dict[str, Any], **variables: str
) -> list[dict[str, Any]]:
    """Train, and train on after fsyncs that are ``every`` apart; all come to the same end.

    Whatever is left after any fsync has a loss for each step of each checkpoint.

    Args:
        data: A store with the dataset ``small``, of which a copy is used.
        work: Where the copy goes.
        module: Has the trainer's ``run_spec``.
        every: Fsyncs from one cut to the next.
        experiment: Trainer, base model and hyperparameters.
        variables: Further environment variables.

    Returns:
        What came of the run after each cut.
    """
    shutil.copytree(data, work / "store")
    content = {"name": "cut", "sweep": "small", "dataset": "small", **experiment}
    content["hyperparameters"] = {**SETTINGS, **content["hyperparameters"]}
    command = [sys.executable, "-m", "gr00t_assets_tests.harness.power_cuts", module]
    command += [str(work / "store"), str(work / "log"), str(every), json.dumps(content)]
    quiet = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "WANDB_MODE": "disabled"}
    path = f"{variables.pop('PYTHONPATH', '')}:{os.environ.get('PYTHONPATH', '')}"
    environ = {**os.environ, **quiet, **variables, "PYTHONPATH": path}
    process = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    outcome = json.loads(process.stdout)
    unbroken, cuts, left = outcome["unbroken"], outcome["cuts"], outcome["left"]
    steps = content["hyperparameters"]["max_steps"]
    assert (unbroken["status"], len(unbroken["losses"])) == ("finished", steps)
    for cut in cuts:
        assert {name: cut[name] for name in unbroken} == unbroken, (cut["after"], cut["tail"])
    for path, checkpoint, covered in left:
        assert covered >= checkpoint, f"after {path}: a checkpoint's steps have no loss"
    reached = [checkpoint for _, checkpoint, _ in left]
    assert reached == sorted(reached) and reached[-1] == steps, "no checkpoint is lost"
    return cuts


def result(spec: TrainingSpec) -> dict[str, Any]:
    """What a finished run has that must not depend on a power cut."""
    directory, manifest = spec.run_directory, load_manifest(spec.run_directory)
    assert manifest is not None
    model = {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (directory / "model").rglob("*")
        if path.is_file()
    }
    return {
        "status": manifest.status,
        "steps": manifest.steps,
        "final_loss": manifest.final_loss and manifest.final_loss.model_dump(),
        "losses": read_metrics(directory).losses.tolist(),
        "model": model,
    }


def newest_checkpoint(run_directory: Path) -> int:
    """Step of the newest complete checkpoint; 0 where there is none."""
    complete = (item.step for item in stored_checkpoints(run_directory) if item.complete)
    return max(complete, default=0)


def main(module: str, store: str, log: str, every: str, experiment: str) -> None:
    """Print what came of the run without a cut and with a cut at one instant after the other."""
    content = json.loads(experiment)
    settings = combined_hyperparameters().model_validate(content.pop("hyperparameters"))
    spec = make_spec(Experiment(**content, hyperparameters=settings), Store(Path(store)))
    run_spec = importlib.import_module(module).run_spec
    runs = Path(store, "runs")
    runs.mkdir()
    printed, sys.stdout = sys.stdout, sys.stderr
    with recorded(runs, Path(log)):
        run_spec(spec)
    unbroken, cuts, left, disk = result(spec), [], [], Disk(runs, Path(log))
    for number, event in enumerate(disk.events, 1):
        disk.after(number)
        covered = read_metrics(spec.run_directory).complete_steps
        left.append([event["path"], newest_checkpoint(spec.run_directory), covered])
    for place, number in enumerate([*range(0, len(disk.events), int(every)), len(disk.events)]):
        tail = TAILS[place % len(TAILS)]
        disk.after(number, tail, seed=number)
        run_spec(spec)
        cuts.append({"after": number, "tail": tail, **result(spec)})
    json.dump({"unbroken": unbroken, "cuts": cuts, "left": left}, printed)


if __name__ == "__main__":
    main(*sys.argv[1:])
