"""What checksums and fsync cost a tiny training: their share of its time, and seconds of its start.

``python benchmarks/reliability.py [--steps N]`` makes the synthetic dataset in a temporary
store and trains the tiny model on one thread. The time is measured inside the functions that
compute checksums or wait for the disk, in the very run that it is a share of; of those that call
each other the outermost counts. The start is everything before the first step.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from training_step import prepare

CHECKS = (
    "sha256", "crc32", "changed_files", "file_hashes", "sealed", "unsealed", "sync_file",
    "sync_directory", "check_stored_data", "check_rows_and_meta", "require_unchanged",
    "require_whole", "sync_metrics", "damaged_prepared",
)  # fmt: skip
"""Functions of the package whose time counts, wherever they are imported to; and ``os.fsync``."""


class Clock:
    """Seconds spent inside of functions, the outermost of them alone."""

    def __init__(self) -> None:
        self.seconds, self.calls, self._depth = 0.0, 0, 0

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with its time counted."""

        @wraps(function)
        def measured(*arguments: Any, **options: Any) -> Any:
            began, self._depth = time.perf_counter(), self._depth + 1
            try:
                return function(*arguments, **options)
            finally:
                self._depth -= 1
                if not self._depth:
                    self.seconds += time.perf_counter() - began
                    self.calls += 1

        return measured

    def watch(self) -> None:
        """Measure every function of ``CHECKS`` wherever a module of the package has it."""
        replaced: dict[Any, Callable[..., Any]] = {}
        for name, module in list(sys.modules.items()):
            for check in CHECKS if name.startswith("gr00t_assets.") else ():
                if function := getattr(module, check, None):
                    setattr(module, check, replaced.setdefault(function, self.timed(function)))
        os.fsync = self.timed(os.fsync)


def main() -> None:
    """Train once and print what the checks took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--save-steps", type=int, default=100)
    options = parser.parse_args()
    os.environ |= {"CUDA_VISIBLE_DEVICES": "", "WANDB_MODE": "disabled"}
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        measure(Path(folder), options.steps, options.save_steps)


def measure(store: Path, steps: int, save_steps: int) -> None:
    """Train in this process, and print what the checks took of it."""
    from gr00t_assets.core.project import Store
    from gr00t_assets.experiments.experiment import Experiment
    from gr00t_assets.experiments.registry import combined_hyperparameters
    from gr00t_assets.runs.run_directory import place_spec
    from gr00t_assets.runs.spec import make_spec
    from gr00t_assets.trainers.attempt import StopRequest
    from gr00t_assets.trainers.native.native_run import run_spec
    from gr00t_assets.trainers.native.training_loop import TrainingLoop

    settings = {"batch_size": 8, "max_steps": steps, "save_steps": save_steps}
    experiment = Experiment(
        name="reliability",
        sweep="benchmark",
        dataset="synthetic-pick-n-place",
        hyperparameters=combined_hyperparameters().model_validate(settings),
    )
    spec = make_spec(experiment, Store(store))
    place_spec(spec)
    clock, start = Clock(), {}
    clock.watch()
    run = TrainingLoop.run

    def noted(self: TrainingLoop, stop: StopRequest) -> bool:
        start["checks"], start["all"] = clock.seconds, time.perf_counter() - began
        return run(self, stop)

    TrainingLoop.run = noted
    began = time.perf_counter()
    run_spec(spec)
    whole = time.perf_counter() - began
    print(f"{steps} steps, a checkpoint every {save_steps}: {whole:.1f} s, {clock.calls} checks")
    print(f"checks of all of it:   {clock.seconds:.2f} s, {clock.seconds / whole:.2%}")
    print(f"checks of its start:   {start['checks']:.2f} s of {start['all']:.1f} s")


if __name__ == "__main__":
    main()
