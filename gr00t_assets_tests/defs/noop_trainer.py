"""A trainer that trains nothing, for tests and benchmarks of the queue; standard library alone.

``python noop_trainer.py SPEC.json MODALITY_HASH`` counts to ``max_steps``, one step every
``NOOP_STEP_SECONDS`` (0 where unset), and leaves metrics, a model and a manifest as a trainer does.
It appends a line to the file ``NOOP_LOG`` when it starts and when it ends. SIGINT or SIGTERM ends
it with 130 and a manifest that says interrupted; called again it goes on from the last step in
metrics.jsonl. While the folder ``NOOP_GATES`` has a file of the experiment's name it stands still.

The loss of its manifest is as many times higher as the learning rate is higher than 1e-4, and a few
percent higher or lower with each seed and rate.
"""

import json
import math
import os
import re
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LOG = "NOOP_LOG"
STEP_SECONDS = "NOOP_STEP_SECONDS"
GATES = "NOOP_GATES"


def main() -> int:
    """Train one spec; 0 when finished, 130 when stopped."""
    spec = json.loads(Path(sys.argv[1]).read_text())
    directory = Path(sys.argv[1]).parent
    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: stopped.append(number))
    started = datetime.now(UTC).isoformat()
    attempts = _attempts(directory, started)
    name, steps = spec["experiment"]["name"], spec["experiment"]["hyperparameters"]["max_steps"]
    seconds = float(os.environ.get(STEP_SECONDS, "0"))
    gate = Path(os.environ.get(GATES, os.devnull)) / name
    step = _last_step(directory)
    _log("start", name, step)
    began = time.monotonic()
    with (directory / "metrics.jsonl").open("a") as metrics:
        while step < steps and not stopped:
            time.sleep(seconds)
            if gate.exists():
                time.sleep(0.05)
                continue
            step += 1
            metrics.write(json.dumps(_metric(step, steps, time.monotonic() - began)) + "\n")
            metrics.flush()
    if not stopped:
        _write(directory / "model" / "config.json", {"steps": step})
    _write(directory / "manifest.json", _manifest(spec, step, attempts))
    _log("end", name, step)
    return 130 if stopped else 0


def _log(event: str, experiment: str, step: int) -> None:
    """One line of JSON, appended in one write, so that lines of many processes never mix."""
    path = os.environ.get(LOG)
    if not path:
        return
    record = {
        "event": event,
        "time": time.time(),
        "pid": os.getpid(),
        "experiment": experiment,
        "step": step,
        "devices": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "slots": _slots(),
    }
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        os.write(descriptor, (json.dumps(record) + "\n").encode())
    finally:
        os.close(descriptor)


def _slots() -> list[str]:
    """Slot files that this process inherited open: ``cpu-0``; empty where there is no /proc."""
    found = set()
    for link in Path("/proc/self/fd").glob("*"):
        try:
            name = link.readlink().name
        except OSError:
            continue
        if re.fullmatch(r".+-\d+\.lock", name):
            found.add(name.removesuffix(".lock"))
    return sorted(found)


def _attempts(directory: Path, started: str) -> list[str]:
    path = directory / "attempts.jsonl"
    with path.open("a") as file:
        file.write(json.dumps({"started_at": started}) + "\n")
    return [json.loads(line)["started_at"] for line in path.read_text().splitlines()]


def _last_step(directory: Path) -> int:
    path = directory / "metrics.jsonl"
    if not path.is_file():
        return 0
    whole, _, cut_off = path.read_text().rpartition("\n")
    if cut_off:
        path.write_text(whole + "\n" if whole else "")
    return json.loads(whole.splitlines()[-1])["step"] if whole else 0


def _metric(step: int, steps: int, wall: float) -> dict[str, Any]:
    loss = 1.0 / step
    return {
        "step": step,
        "samples_seen": step,
        "epoch": step / steps,
        "loss": loss,
        "losses": [loss],
        "grad_norm": 1.0,
        "learning_rate": 1e-4,
        "wall_seconds": wall,
    }


def _manifest(spec: dict[str, Any], step: int, attempts: list[str]) -> dict[str, Any]:
    experiment, modality = spec["experiment"], spec["modality_config"]
    settings = experiment["hyperparameters"]
    steps, rate = settings["max_steps"], settings["learning_rate"] / 1e-4
    loss = rate / max(step, 1) * (1 + 0.02 * math.sin(7 * settings["seed"] + rate))
    window = {"mean": loss, "standard_error": 0.0, "steps": 1, "samples": 1}
    return {
        "experiment": experiment["name"],
        "sweep": experiment["sweep"],
        "config_hash": spec["config_hash"],
        "status": "finished" if step >= steps else "interrupted",
        "trainer": experiment["trainer"],
        "trainer_revision": "no-op",
        "base_model": experiment["base_model"],
        "dataset": modality["dataset"],
        "dataset_version": modality["dataset_version"],
        "data_config": modality["data_config"],
        "modality_hash": sys.argv[2],
        "steps": step,
        "max_steps": steps,
        "samples_seen": step,
        "dataset_frames": steps,
        "epochs": step / steps,
        "first_loss": window,
        "final_loss": window,
        "wall_seconds": 1.0,
        "gpu_seconds": 0.0,
        "peak_memory_bytes": 1,
        "samples_per_second": 1.0,
        "device": "none",
        "versions": {},
        "parameters": 1,
        "trainable_parameters": {},
        "frames_verified": True,
        "attempts": len(attempts),
        "started_at": attempts[0],
        "finished_at": datetime.now(UTC).isoformat(),
    }


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(value))
    partial.replace(path)


if __name__ == "__main__":
    sys.exit(main())
