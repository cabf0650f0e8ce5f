"""What can be wrong with a finished run, found in its run directory."""

import json
import math
import subprocess
import sys
from pathlib import Path

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.runs.manifest import MANIFEST, load_manifest, save_manifest
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.runs.run_directory import MODEL, SPEC
from gr00t_assets.runs.spec import load_spec

WEIGHTS = "weights_load_and_act"
"""Name of the check that loads the final weights."""

Problem = str | None
"""What is wrong, in a sentence; ``None`` where nothing is."""


def loss_problem(run_directory: Path) -> Problem:
    """Whether every logged loss and the final one are finite numbers."""
    manifest = load_manifest(run_directory)
    if manifest is None or manifest.final_loss is None:
        return "the run has no final loss"
    window = manifest.final_loss
    if not (math.isfinite(window.mean) and math.isfinite(window.standard_error)):
        return f"the final loss is {window.mean} with standard error {window.standard_error}"
    for metric in read_metrics(run_directory):
        if not all(math.isfinite(loss) for loss in (metric.loss, *metric.losses)):
            return f"a loss logged at step {metric.step} is not a finite number"
    return None


def begin_weights_check(run_directory: Path) -> None:
    """Start what :func:`weights_problem` waits for, so that other work goes on beside it.

    To import torch and transformers takes most of its seconds.
    """
    if run_directory not in _BEGUN and not _passed_before(run_directory):
        _BEGUN[run_directory] = _final_check(run_directory)


def weights_problem(run_directory: Path) -> Problem:
    """Whether the final weights load and predict finite actions, found in another process.

    Weights that passed before and were not written since are not loaded again.
    """
    begun = _BEGUN.pop(run_directory, None)
    if begun is None and _passed_before(run_directory):
        return None
    with begun or _final_check(run_directory) as process:
        said, complained = process.communicate()
    try:
        answer = json.loads(said.splitlines()[-1])
        return None if answer["passed"] else str(answer["problem"])
    except (ValueError, LookupError, TypeError):
        last = complained.strip().splitlines()[-1:] or ["it said nothing"]
        return f"the final check ended with code {process.returncode}: {last[0]}"


_BEGUN: dict[Path, subprocess.Popen[str]] = {}


def _final_check(run_directory: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "gr00t_assets.trainers.native.final_check"]
    return subprocess.Popen(
        [*command, str(run_directory)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _passed_before(run_directory: Path) -> bool:
    manifest = load_manifest(run_directory)
    if manifest is None or not manifest.checks.get(WEIGHTS):
        return False
    written = [path.stat().st_mtime for path in (run_directory / MODEL).rglob("*")]
    return bool(written) and max(written) <= (run_directory / MANIFEST).stat().st_mtime


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
    found = {SPEC: spec.config_hash, MANIFEST: manifest.config_hash}
    wrong = [f"{file} is of {value}" for file, value in found.items() if value != expected]
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
