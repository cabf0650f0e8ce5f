"""Runs of the fault trainer on an engine, followed as a run of Dagster follows them.

``python -m gr00t_assets_tests.engines.runs_on_engine SPEC.json`` follows one in a process that a
test can kill; it prints ``code N`` or the error at the end.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from gr00t_assets.core.errors import EngineError
from gr00t_assets.core.project import Store
from gr00t_assets.engines.job import JobFailure, JobRequest
from gr00t_assets.engines.start import engine_of_run, started
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.runs.run_directory import SPEC, place_spec
from gr00t_assets.runs.spec import TrainingSpec, load_spec
from gr00t_assets_tests.defs import fault_trainer
from gr00t_assets_tests.defs.specs import a_spec

STEPS = 80
TRAINER = "gr00t_assets_tests.defs.fault_trainer"


def write_engines(project: Path, **engines: dict[str, Any]) -> None:
    """Write ``data/engines.yaml``; the default is the first of them."""
    file = project / "data" / "engines.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {"default": next(iter(engines)), "engines": engines}
    file.write_text(yaml.safe_dump(content, sort_keys=False))


def fault_spec(store: Path, name: str, engine: str | None = None, **settings: int) -> TrainingSpec:
    """A run of the fault trainer, in place; ``settings`` are hyperparameters."""
    hyperparameters = {"max_steps": STEPS, "batch_size": 1, "save_steps": 4, **settings}
    spec = a_spec(store, name=name, engine=engine, hyperparameters=hyperparameters)
    place_spec(spec)
    return spec


def fault_command(spec: TrainingSpec) -> list[str]:
    """The command that trains it."""
    content_hash = spec.modality_config.content_hash()
    return [sys.executable, "-m", TRAINER, str(spec.run_directory / SPEC), content_hash]


class Follower(threading.Thread):
    """Follows a run in this process: what it said, its exit code, failure or error."""

    def __init__(
        self,
        spec: TrainingSpec,
        priority: int = 0,
        command: Callable[[TrainingSpec], list[str]] = fault_command,
    ) -> None:
        super().__init__(daemon=True)
        self.command = command
        self.spec, self.priority = spec, priority
        self.said: list[str] = []
        self.code: int | None = None
        self.failure: JobFailure | None = None
        self.error: EngineError | None = None
        self.last_lines: list[str] = []
        self.stopping, self.leaving = threading.Event(), threading.Event()
        self.start()

    def run(self) -> None:
        """Follow it to its end, or until it is to stop it or to leave it alone."""
        request = JobRequest(
            self.command(self.spec),
            self.spec,
            Store(Path(self.spec.store)),
            priority=self.priority,
            log=self.said.append,
        )
        try:
            with started(request, engine_of_run(request)) as job:
                while not job.ended_within() and not self.leaving.is_set():
                    if self.stopping.is_set():
                        job.stop()
                        break
            self.code, self.failure = job.code, job.failure
            self.last_lines = job.last_lines
        except EngineError as error:
            self.error = error

    def ended(self, seconds: float = 90) -> "Follower":
        """Wait for its end."""
        self.join(seconds)
        assert not self.is_alive(), (self.said, self.log)
        return self

    @property
    def log(self) -> str:
        """What the run's log has."""
        return (self.spec.run_directory / "log.txt").read_text()


def follow_in_process(spec: TrainingSpec, **variables: str) -> "subprocess.Popen[str]":
    """Follow a run in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", __name__, str(spec.run_directory / SPEC)],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def steps_saved(spec: TrainingSpec) -> int:
    """Steps of the last whole checkpoint; 0 where there is none."""
    whole = sorted(spec.run_directory.glob("checkpoints/step-*/complete.json"))
    return int(whole[-1].parent.name.removeprefix("step-")) if whole else 0


def starts(spec: TrainingSpec) -> list[int]:
    """The step that each attempt began at, by the run's log."""
    lines = (spec.run_directory / "log.txt").read_text().splitlines()
    return [int(line.split()[2]) for line in lines if line.startswith("from step ")]


def trained_once(spec: TrainingSpec) -> bool:
    """Whether each step was trained once, to the losses of a run that nothing happened to."""
    settings = spec.experiment.hyperparameters
    losses = read_metrics(spec.run_directory).losses.tolist()
    return losses == fault_trainer.unbroken(settings.max_steps, settings.seed)


if __name__ == "__main__":
    follower = Follower(load_spec(Path(sys.argv[1])))
    follower.join()
    sys.stdout.write("\n".join([*follower.said, f"code {follower.code}", str(follower.error)]))
