"""What can be wrong with a finished run, and ``python -m gr00t_assets.trainers.run_checks RUN``.

That command loads the final weights of a run directory in a process of its own and prints
``{"passed": bool, "problem": str | null}``; it exits with 0 whatever it finds.
"""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.runs.checkpoint_layout import metrics_problem, require_unchanged
from gr00t_assets.runs.manifest import MANIFEST, load_manifest, save_manifest
from gr00t_assets.runs.metrics import METRICS, missing_losses, read_metrics
from gr00t_assets.runs.run_directory import MODEL, SPEC
from gr00t_assets.runs.spec import load_spec
from gr00t_assets.trainers.policy import Observations

WEIGHTS = "weights_load_and_act"  # name of the check that loads the final weights

SAMPLES = 4  # rows that the final weights are asked at

Problem = str | None  # what is wrong, in a sentence; ``None`` where nothing is


def loss_problem(run_directory: Path) -> Problem:
    """Whether every logged loss and the final one are finite numbers."""
    manifest = load_manifest(run_directory)
    if manifest is None or manifest.final_loss is None:
        return "the run has no final loss"
    window = manifest.final_loss
    if not all(map(math.isfinite, (window.mean, window.standard_error or 0.0))):
        return f"the final loss is {window.mean} with standard error {window.standard_error}"
    metrics = read_metrics(run_directory)
    damage = metrics_problem(manifest, run_directory) or missing_losses(metrics, manifest.steps)
    if damage and manifest.files:
        return f"{run_directory / METRICS}: {damage}"
    for steps, losses in (
        (metrics.loss_steps, metrics.losses),
        (metrics.columns["step"], metrics.columns["loss"]),
    ):
        if (wrong := steps[~np.isfinite(losses)]).size:
            return f"a loss logged at step {wrong[0]} is not a finite number"
    return None


def begin_weights_check(run_directory: Path) -> None:
    """Start what ``weights_problem`` waits for, so that other work goes on beside it.

    Importing torch and transformers takes most of its seconds.
    """
    if run_directory not in _STARTED and not _passed_before(run_directory):
        _STARTED[run_directory] = _check_process(run_directory)


def weights_problem(run_directory: Path) -> Problem:
    """Whether the final weights load and predict finite actions, told by another process.

    Weights that passed before and were not written since are not loaded again. Those that are not
    as the manifest has them are damaged.
    """
    started = _STARTED.pop(run_directory, None)
    try:
        require_unchanged(run_directory / MODEL)
    except Gr00tAssetsError as error:
        if started is not None:
            started.kill()
            started.communicate()
        return " ".join(str(error).split())
    if started is None and _passed_before(run_directory):
        return None
    with started or _check_process(run_directory) as process:
        try:
            output, errors = process.communicate()
        except BaseException:
            # An interrupt does not wait until it ends.
            process.kill()
            raise
    try:
        answer = json.loads(output.splitlines()[-1])
        return None if answer["passed"] else str(answer["problem"])
    except (ValueError, LookupError, TypeError):
        last = errors.strip().splitlines()[-1:] or ["it printed nothing"]
        return f"the final check ended with code {process.returncode}: {last[0]}"


_STARTED: dict[Path, subprocess.Popen[str]] = {}


def _check_process(run_directory: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "gr00t_assets.trainers.run_checks"]
    return subprocess.Popen(
        [*command, str(run_directory)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )


def _passed_before(run_directory: Path) -> bool:
    manifest = load_manifest(run_directory)
    if manifest is None or not manifest.checks.get(WEIGHTS):
        return False
    written = [path.stat().st_mtime for path in (run_directory / MODEL).rglob("*")]
    return bool(written) and max(written) <= (run_directory / MANIFEST).stat().st_mtime


def final_weights_problem(run_directory: Path) -> Problem:
    """Whether the final weights load and predict finite actions, told by this process.

    The samples are spread evenly over each dataset that the run was trained on.
    """
    from gr00t_assets.datasets.frames.demonstrations import Demonstrations
    from gr00t_assets.datasets.frames.frame_cache import FrameCache
    from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset

    wrong: list[str] = []
    try:
        spec = load_spec(run_directory / SPEC)
        policy = trainer_named(spec.experiment.trainer).open_policy(run_directory / MODEL)
        for dataset in spec.datasets:
            config = dataset.config
            files = LeRobotDataset.open(dataset.directory, dataset.name)
            frames = FrameCache.open(dataset.frame_cache, config.frame_size)
            data = Demonstrations(files, frames, config)
            rows = np.linspace(0, len(data) - 1, SAMPLES).astype(int)
            observations = Observations(
                data.frames(rows), data.states(rows), data.texts(rows), data.anchors(rows)
            )
            actions = policy.for_config(config).actions(observations)
            wrong += [name for name, values in actions.items() if not np.isfinite(values).all()]
    except Gr00tAssetsError as error:
        return " ".join(error.explain().split())
    return f"predicted actions are not finite: {', '.join(wrong)}" if wrong else None


def config_problem(run_directory: Path) -> Problem:
    """Whether spec and manifest are of the configuration that the directory is named for."""
    expected = run_directory.name
    manifest = load_manifest(run_directory)
    if manifest is None:
        return "the run has no manifest"
    try:
        spec = load_spec(run_directory / SPEC)
    except Gr00tAssetsError as error:
        return " ".join(str(error).split())
    hashes = {SPEC: spec.config_hash, MANIFEST: manifest.config_hash}
    wrong = [f"{file} is of {value}" for file, value in hashes.items() if value != expected]
    return f"expected config hash {expected}; {', '.join(wrong)}" if wrong else None


def record_check(run_directory: Path, name: str, passed: bool) -> None:
    """Put a check's outcome into the manifest, which is what the comparison reads."""
    try:
        manifest = load_manifest(run_directory)
    except Gr00tAssetsError:
        return
    if manifest is not None and manifest.checks.get(name) != passed:
        checks = {**manifest.checks, name: passed}
        save_manifest(manifest.model_copy(update={"checks": checks}), run_directory)


if __name__ == "__main__":
    found = final_weights_problem(Path(sys.argv[1]))
    sys.stdout.write(json.dumps({"passed": found is None, "problem": found}) + "\n")
