"""A real ``gr00t-assets dev`` that trains with ``fault_trainer.py``, and a look at what is left."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from gr00t_assets.gpu.guard import PROCESS_TAGS
from gr00t_assets.gpu.slot_files import holders
from gr00t_assets.gpu.wait_queue import waiting
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets_tests.defs import fault_trainer
from gr00t_assets_tests.defs.dagster_dev import Page, change_settings, dagster_dev
from gr00t_assets_tests.defs.project import Project

MODULE = "gr00t_assets_tests.defs.fault_definitions"
TRAINER = "gr00t_assets_tests.defs.fault_trainer"
NATIVE = "gr00t_assets.trainers.native"
SENSORS = "FAULT_SENSORS"
GUARD = "gr00t_assets.gpu.guard"
PATIENCE = 900.0


@dataclass(frozen=True)
class Process:
    """A process of a project: its command line, parent, and whether a guard marked it."""

    pid: int
    parent: int
    command: str
    marked: bool


def until(
    condition: Callable[[], Any], what: Callable[[], object], seconds: float = PATIENCE
) -> Any:
    """Wait until something is true; its value. ``what`` says what is the case where it is not."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"after {seconds:.0f} s: {what()}")


def processes(project: Project) -> list[Process]:
    """Every running process that has the project's store in its environment."""
    wanted = str(project.store.root)
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal() or int(folder.name) == os.getpid():
            continue
        with suppress(OSError):
            environ = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
            variables = {entry.partition("=")[0]: entry.partition("=")[2] for entry in environ}
            if variables.get("GR00T_ASSETS_STORE") != wanted:
                continue
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
            stat = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            words = command.replace("\0", " ").strip()
            found.append(Process(int(folder.name), int(stat[1]), words, PROCESS_TAGS in variables))
    return found


def training(project: Project) -> list[Process]:
    """Guards, and all that they started."""
    return [each for each in processes(project) if each.marked or f" {GUARD} " in each.command]


def trainers(project: Project) -> list[Process]:
    """Trainers themselves, not what they started."""
    names = (f"-m {TRAINER}", f"-m {NATIVE}")
    return [
        each
        for each in processes(project)
        if each.marked and any(name in each.command for name in names)
    ]


def guards(project: Project) -> list[Process]:
    """Guards of trainers."""
    return [each for each in processes(project) if f" -m {GUARD} " in each.command]


def run_workers(project: Project) -> list[Process]:
    """Processes that carry out runs: the parents of guards."""
    parents = {each.parent for each in guards(project)}
    return [each for each in processes(project) if each.pid in parents]


def kill(found: list[Process]) -> None:
    """Kill with -9."""
    assert found, "there is nothing to kill"
    for each in found:
        os.kill(each.pid, signal.SIGKILL)


def end_all(project: Project) -> None:
    """Whatever a test has left, Dagster's own processes included."""
    end = time.monotonic() + 120
    while (left := processes(project)) and time.monotonic() < end:
        for each in left:
            with suppress(ProcessLookupError):
                os.kill(each.pid, signal.SIGKILL)
        time.sleep(0.1)


def run_directory(project: Project, experiment: str) -> Path:
    """The one run directory of an experiment."""
    (found,) = (project.store.root / "runs" / experiment).iterdir()
    return found


def steps_saved(project: Project, experiment: str) -> int:
    """Steps of the last whole checkpoint; 0 where there is none."""
    folder = project.store.root / "runs" / experiment
    whole = sorted(folder.glob("*/checkpoints/step-*/complete.json"))
    return int(whole[-1].parent.name.removeprefix("step-")) if whole else 0


def losses(directory: Path) -> list[float]:
    """Every step's loss in the final history."""
    return read_metrics(directory).losses.tolist()


def nothing_is_left(project: Project) -> None:
    """No process of any training, no slot held, nobody waiting."""

    def left() -> list[object]:
        return [*training(project), *holders(project.store), *waiting(project.store)]

    until(lambda: not left(), left)


def is_resumable(project: Project, experiment: str) -> int:
    """No half file, no model, and a whole checkpoint; its step."""
    directory = run_directory(project, experiment)
    assert not list(directory.glob("checkpoints/step-*/.*")), "a half written file"
    assert not (directory / "model").exists()
    step = steps_saved(project, experiment)
    assert step > 0
    return step


def finished_without_a_trace(project: Project, experiment: str, steps: int, seed: int) -> None:
    """Trained to the end, each step once, to the losses of a run that nothing happened to."""
    directory = run_directory(project, experiment)
    manifest = json.loads((directory / "manifest.json").read_text())
    assert (manifest["status"], manifest["steps"]) == ("finished", steps)
    assert losses(directory) == fault_trainer.unbroken(steps, seed)


@contextmanager
def dev(project: Project) -> Iterator[Page]:
    """``gr00t-assets dev`` with its page and daemon; whatever is left of the project is killed."""
    with dagster_dev(project, MODULE) as page:
        try:
            yield page
        finally:
            end_all(project)


def watch_often(project: Project) -> None:
    """Have Dagster look after its runs every few seconds."""
    change_settings(project, "run_monitoring", poll_interval_seconds=3)


def instance_status(project: Project, run: str) -> dg.DagsterRunStatus:
    """Of a run, without the page."""
    with project.instance() as instance:
        found = instance.get_run_by_id(run)
    assert found is not None
    return found.status
