"""A trainer of the standard library that writes checkpoints and goes on from the last whole one.

``python fault_trainer.py SPEC.json MODALITY_HASH`` does what ``noop_trainer.py`` does, and besides:
it holds the run directory's lock, keeps its state in ``checkpoints/step-000002/`` every
``save_steps``, and logs losses that are a sum over all steps so far, so that a step that was left
out, or done twice, changes every loss after it. A tag of the
experiment: ``stubborn`` ignores SIGINT and
SIGTERM, ``daemon`` starts a process that leaves session, group and parents behind, ``worker`` one
that does not.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gr00t_assets_tests.defs import noop_trainer as noop

FAST_AGAIN = "FAULT_FAST_AGAIN"
"""Where it is set only a run's first attempt takes its time."""


def main() -> int:
    """Train one spec; 0 when finished, 130 when stopped."""
    spec = json.loads(Path(sys.argv[1]).read_text())
    directory = Path(sys.argv[1]).parent
    lock = (directory / ".lock").open("a+")
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    asked = _take_requests(spec["experiment"]["tags"])
    attempts = noop._attempts(directory, datetime.now(UTC).isoformat())
    (directory / "manifest.json").unlink(missing_ok=True)
    settings = spec["experiment"]["hyperparameters"]
    steps, every = settings["max_steps"], settings["save_steps"]
    seconds = float(os.environ.get(noop.STEP_SECONDS, "0"))
    if len(attempts) > 1 and FAST_AGAIN in os.environ:
        seconds = 0.0
    state = resume(directory)
    began_at = state["step"]
    sys.stdout.write(f"from step {began_at} of {steps}\n")
    sys.stdout.flush()
    noop._log("start", spec["experiment"]["name"], began_at)
    with (directory / "metrics.jsonl").open("a") as metrics:
        while state["step"] < steps and not asked:
            time.sleep(seconds)
            state = advance(state, settings["seed"])
            line = noop._metric(state["step"], steps, 0.1 * state["step"])
            line |= {"loss": state["loss"], "losses": [state["loss"]]}
            metrics.write(json.dumps(line) + "\n")
            metrics.flush()
            if state["step"] % every == 0:
                save(directory, state, spec["config_hash"])
    save(directory, state, spec["config_hash"])
    if not asked:
        noop._write(directory / "model" / "config.json", state)
    manifest = noop._manifest(spec, state["step"], attempts)
    noop._write(directory / "manifest.json", manifest)
    noop._log("end", spec["experiment"]["name"], state["step"])
    return 130 if asked else 0


def instead_of(native: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """What ``Trainer.command`` is to do: this trainer, or ``native`` where tagged ``real``."""

    def command(trainer: Any, spec: Any) -> list[str]:
        if "real" in spec.experiment.tags:
            return native(trainer, spec)
        spec_file = spec.run_directory / "spec.json"
        module = "gr00t_assets_tests.defs.fault_trainer"
        content_hash = spec.modality_config.content_hash()
        return [sys.executable, "-m", module, str(spec_file), content_hash]

    return command


def advance(state: dict[str, Any], seed: int) -> dict[str, Any]:
    """One step: a loss that depends on all the steps before it."""
    step = state["step"] + 1
    total = (state["sum"] * 31 + step * 7 + seed) % 10007
    return {"step": step, "sum": total, "loss": 1 + total / 10007}


def unbroken(steps: int, seed: int) -> list[float]:
    """The losses of a run that nothing happened to."""
    state: dict[str, Any] = {"step": 0, "sum": 0, "loss": 0.0}
    losses = []
    for _ in range(steps):
        state = advance(state, seed)
        losses.append(state["loss"])
    return losses


def resume(directory: Path) -> dict[str, Any]:
    """The last whole checkpoint; what was half written is removed."""
    folder = directory / "checkpoints"
    folder.mkdir(exist_ok=True)
    for partial in folder.glob(".*"):
        shutil.rmtree(partial)
    whole = sorted(folder.glob("step-*/complete.json"))
    if not whole:
        return {"step": 0, "sum": 0, "loss": 0.0}
    return json.loads((whole[-1].parent / "state.json").read_text())


def save(directory: Path, state: dict[str, Any], config_hash: str) -> None:
    """Publish a checkpoint, whole or not at all, in the native trainer's layout."""
    target = directory / "checkpoints" / f"step-{state['step']:06d}"
    if target.exists():
        return
    partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
    partial.mkdir()
    (partial / "state.json").write_text(json.dumps(state))
    record = {"step": state["step"], "config_hash": config_hash}
    (partial / "complete.json").write_text(json.dumps(record))
    partial.rename(target)


def _take_requests(tags: list[str]) -> list[int]:
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        if "stubborn" in tags:
            signal.signal(number, signal.SIG_IGN)
        else:
            signal.signal(number, lambda number, _frame: asked.append(number))
    if "worker" in tags:
        subprocess.Popen(["sleep", "600"], close_fds=False)
    if "daemon" in tags and os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execvp("sleep", ["sleep", "600"])
        os._exit(0)
    return asked


if __name__ == "__main__":
    sys.exit(main())
