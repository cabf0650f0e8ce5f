"""All of the native trainer that needs a GPU, in less than nine minutes, without a network.

``make gpu-check``, or ``python -m benchmarks.gpu_check [--out DIR] [--device cuda|cpu]``. Each
check of ``benchmarks/gpu_checks.py`` runs in a process of its own with a time limit; the next one
runs whatever became of it. Figures go to ``DIR/gpu_check.json``, a table to the terminal. It ends
with 1 where a check failed. On a CPU all is done on ``tiny``, and what needs a card is skipped.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

LIMITS = {
    "parity_float32": 40,
    "parity_bfloat16": 40,
    "same_seed": 120,
    "resume": 120,
    "resume_bfloat16": 120,
    "resume_8bit": 120,
    "lora": 45,
    "compile": 90,
    "frozen_features": 60,
    "two_processes": 45,
    "slots": 20,
    "full_size_1": 60,
    "full_size_8": 60,
    "full_size_32": 75,
    "full_size_64": 90,
}
"""Seconds that each check may take, in the order in which they run."""

ALL = 540
"""Seconds for all of them; what is left then is skipped."""


def main() -> int:
    """Run the checks, print the table and write the JSON; 1 where a check failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("build/gpu-check"))
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--only", nargs="*", choices=LIMITS, default=list(LIMITS))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    began, results = time.monotonic(), dict[str, dict[str, Any]]()
    for name in options.only:
        left = ALL - (time.monotonic() - began)
        results[name] = _checked(name, options.device, options.out, min(LIMITS[name], left))
        print(_line(name, results[name]), flush=True)
        content = {"device": options.device, "checks": results}
        (options.out / "gpu_check.json").write_text(json.dumps(content, indent=1) + "\n")
    counts = dict.fromkeys(("passed", "skipped", "failed"), 0)
    for result in results.values():
        counts[result["status"]] += 1
    print(", ".join(f"{count} {kind}" for kind, count in counts.items()))
    return 1 if counts["failed"] else 0


def _checked(name: str, device: str, out: Path, limit: float) -> dict[str, Any]:
    """The outcome of one check in a process of its own."""
    if limit <= 0:
        return {"status": "skipped", "why": f"{ALL} seconds were over", "seconds": 0.0}
    command = [sys.executable, "-m", "benchmarks.gpu_checks", name, device]
    variables = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    variables |= {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    if device == "cpu":
        variables["CUDA_VISIBLE_DEVICES"] = ""
    began = time.monotonic()
    with (out / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **variables},
            start_new_session=True,
        )
        try:
            last = (process.communicate(timeout=limit)[0].splitlines() or [""])[-1]
            result = json.loads(last) if last.startswith("{") else None
            why = f"ended with {process.returncode}, see {name}.log"
        except subprocess.TimeoutExpired:
            # The trainings that it has started as well.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            result, why = None, f"not done in {limit:.0f} s"
    result = result or {"status": "failed", "why": why}
    return {**result, "seconds": round(time.monotonic() - began, 1)}


def _line(name: str, result: dict[str, Any]) -> str:
    figures = {key: value for key, value in result.items() if key not in ("status", "seconds")}
    text = ", ".join(f"{key} {_shown(value)}" for key, value in figures.items())
    return f"{name:<18} {result['status']:<8} {result['seconds']:>6.1f} s  {text}"


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    raise SystemExit(main())
