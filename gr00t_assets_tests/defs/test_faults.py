"""Every way in which a training can die under ``gr00t-assets dev``, and what is left of it."""

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from gr00t_assets_tests.defs import fault_trainer, faults
from gr00t_assets_tests.defs.faults import Page, until
from gr00t_assets_tests.defs.noop_project import noop_project, noop_sweep
from gr00t_assets_tests.defs.project import Project

STEPS = 400
NAMES: dict[str, tuple[str, ...]] = {
    "run-worker": (),
    "run-worker-daemon": ("daemon",),
    "trainer": ("worker",),
    "guard": ("worker",),
    "guard-daemon": ("daemon",),
    "both": ("daemon",),
    "cancelled": ("worker",),
    "cancelled-stubborn": ("stubborn", "daemon"),
    "dev-SIGINT": ("daemon",),
    "dev-SIGTERM": ("daemon",),
    "dev-SIGKILL": ("daemon",),
}
SETTINGS = {"max_steps": STEPS, "batch_size": 1, "save_steps": 4}


def make(root: pytest.TempPathFactory) -> Project:
    entries = [
        {"name": name, "tags": list(tags), "hyperparameters": SETTINGS}
        for name, tags in NAMES.items()
    ]
    variables = {
        "NOOP_STEP_SECONDS": "0.1",
        fault_trainer.FAST_AGAIN: "1",
        "GR00T_ASSETS_STOP_GRACE": "3",
        "GR00T_ASSETS_CPU_SLOTS": "1",
    }
    project = noop_project(root.mktemp("faults"), {"faults": noop_sweep(*entries)}, variables)
    faults.watch_often(project)
    return project


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with faults.dev(make(tmp_path_factory)) as found:
        yield found


def train(page: Page, name: str) -> str:
    """Launch an experiment and wait until it has a checkpoint; its run."""
    run = page.launch(name)
    until(lambda: faults.steps_saved(page.project, name) >= 4, page.log)
    return run


def goes_on(page: Page, name: str, at_least: int) -> None:
    """Launched again it goes on from its checkpoint, to the losses of an unbroken run."""
    assert page.ends(page.launch(name)) == "SUCCESS", page.log()
    log = (faults.run_directory(page.project, name) / "log.txt").read_text().splitlines()
    starts = [int(line.split()[2]) for line in log if line.startswith("from step ")]
    assert starts[0] == 0 and starts[-1] >= at_least > 0
    seed = list(NAMES).index(name)
    faults.finished_without_a_trace(page.project, name, STEPS, seed)
    faults.nothing_is_left(page.project)


def run_worker(project: Project) -> None:
    faults.kill(faults.run_workers(project))


def trainer(project: Project) -> None:
    faults.kill(faults.trainers(project))


def guard(project: Project) -> None:
    faults.kill(faults.guards(project))


def both(project: Project) -> None:
    guards = faults.guards(project)
    faults.kill([*faults.run_workers(project), *guards])


@pytest.mark.parametrize(
    ("name", "strike"),
    [
        ("run-worker", run_worker),
        ("run-worker-daemon", run_worker),
        ("trainer", trainer),
        ("guard", guard),
        ("guard-daemon", guard),
    ],
)
def test_killed_with_9(page: Page, name: str, strike: Callable[[Project], None]):
    run = train(page, name)
    before = faults.steps_saved(page.project, name)
    strike(page.project)
    assert page.ends(run) == "FAILURE"
    faults.nothing_is_left(page.project)
    step = faults.is_resumable(page.project, name)
    assert step >= before
    goes_on(page, name, step)


def test_what_a_killed_worker_and_a_killed_guard_leave_is_ended_by_the_next(page: Page):
    run = train(page, "both")
    both(page.project)
    assert page.ends(run) == "FAILURE"
    until(lambda: not faults.trainers(page.project), lambda: "the kernel kills the trainer")
    step = faults.is_resumable(page.project, "both")
    goes_on(page, "both", step)


def test_cancelled_on_the_page_it_saves_first(page: Page):
    run = train(page, "cancelled")
    page.cancel(run)
    assert page.ends(run) == "CANCELED"
    faults.nothing_is_left(page.project)
    directory = faults.run_directory(page.project, "cancelled")
    step = faults.is_resumable(page.project, "cancelled")
    assert len(faults.losses(directory)) == step, "the checkpoint is of the last step"
    goes_on(page, "cancelled", step)


def test_cancelled_on_the_page_what_does_not_stop_is_killed(page: Page):
    run = train(page, "cancelled-stubborn")
    page.cancel(run)
    assert page.ends(run) == "CANCELED"
    faults.nothing_is_left(page.project)
    goes_on(page, "cancelled-stubborn", faults.is_resumable(page.project, "cancelled-stubborn"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_dagster_dev_is_stopped(tmp_path_factory: pytest.TempPathFactory, number: signal.Signals):
    project, name = make(tmp_path_factory), f"dev-{number.name}"
    with faults.dev(project) as page:
        run = train(page, name)
        if number == signal.SIGKILL:
            # Its parent and everything of its session at once, as when a terminal is torn down.
            os.killpg(page.process.pid, number)
        else:
            page.process.send_signal(number)
        page.process.wait(480)
        faults.nothing_is_left(project)
        step = faults.is_resumable(project, name)
        if number != signal.SIGKILL:
            # The run's worker is the last one left, and says how the run ended.
            until(lambda: faults.instance_status(project, run).value == "FAILURE", page.log)
    with faults.dev(project) as page:
        goes_on(page, name, step)
