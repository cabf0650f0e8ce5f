"""Folders of real data that tests read; where they are missing the test says which and skips."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gr00t_assets_tests import parity_cut
from gr00t_assets_tests.harness import leftovers

# One torch thread, as a training has: with several, memory and last digits are others.
os.environ.setdefault("OMP_NUM_THREADS", "1")

TESTS = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("GR00T_ASSETS_SHARED", Path(__file__).resolve().parents[2] / "shared"))


collect_ignore = ["defs/fault_definitions.py", "defs/noop_definitions.py"]
"""Definitions that put another trainer in the place of ours when they are imported."""

FAULTS = {
    "defs/test_demo_killed.py",
    "defs/test_faults.py",
    "defs/test_recovery.py",
    "defs/test_rematerialize.py",
    "defs/test_soak.py",
    "defs/test_waiting.py",
    "runs/retention/test_prune_killed.py",
    "sizes/test_datasets.py",
    "sizes/test_models.py",
    "sizes/test_runs.py",
    "sizes/test_yaml.py",
    "test_security_page.py",
    "test_security_secrets.py",
    "trainers/isaac_gr00t/test_isaac_power_cut.py",
    "trainers/test_full_ext4.py",
    "trainers/test_power_cut_disk.py",
}
"""Files that start whole systems and kill them: minutes each, by ``make test-faults``."""


_LEFT = pytest.StashKey[list[str]]()
_MARK = pytest.StashKey[str]()
_TEMPORARY = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Take SIGINT, which a shell has background jobs and all their children ignore.

    What the tests start is marked, and what they write elsewhere goes to a folder of the session.
    """
    config.stash[_LEFT] = []
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None:
        config.stash[_TEMPORARY] = leftovers.own_temporary_folder()
    config.stash[_MARK] = leftovers.mark_session(worker)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail where a process, a slot or a file is left; a worker of pytest-xdist tells its own."""
    stash = session.config.stash
    left = [*leftovers.processes_left(stash[_MARK]), *leftovers.slots_left()]
    if _TEMPORARY in stash:
        left += leftovers.files_left(stash[_TEMPORARY])
        stash[_LEFT] += left
        if stash[_LEFT] and session.exitstatus in (0, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
    else:
        worker = os.environ["PYTEST_XDIST_WORKER"]
        session.config.workeroutput["left"] = [f"{line} ({worker})" for line in left]  # type: ignore[attr-defined]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a worker of pytest-xdist says it has left."""
    node.config.stash[_LEFT] += getattr(node, "workeroutput", {}).get("left", [])


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Name what is left."""
    for line in config.stash[_LEFT]:
        terminalreporter.write_line(f"LEFT BEHIND by the tests: {line}", red=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts whole systems."""
    for item in items:
        name = item.path.relative_to(TESTS).as_posix() if TESTS in item.path.parents else ""
        if name in FAULTS or "daemon_that" in item.name:
            item.add_marker(pytest.mark.faults)


def _folder(relative: str) -> Path:
    path = SHARED / relative
    if not path.is_dir():
        pytest.skip(f"{relative} is not in {SHARED}; set GR00T_ASSETS_SHARED to the folder with it")
    return path


@pytest.fixture(autouse=True)
def usual_scheduling() -> Iterator[None]:
    """The AV1 encoder gives whoever calls it as root a real-time priority, which children inherit.

    Two such processes leave nothing of two cores to anybody else.
    """
    yield
    if sys.platform == "linux" and os.sched_getscheduler(0) != os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@pytest.fixture(scope="session", autouse=True)
def no_wandb() -> None:
    """No test starts W&B unless it says so itself, or whoever runs the tests does."""
    os.environ.setdefault("WANDB_MODE", "disabled")


@pytest.fixture(scope="session")
def demo_dataset() -> Path:
    """NVIDIA's ``robot_sim.PickNPlace``, 5 episodes."""
    return _folder("datasets/robot_sim.PickNPlace")


@pytest.fixture(scope="session", params=["cut", "whole"])
def parity(request: pytest.FixtureRequest) -> tuple[Path, Path]:
    """A dataset and samples of NVIDIA's data pipeline of it.

    The cut, 92 rows and 3 samples, lies beside the tests; the whole is 2,096 rows and 20 samples.
    """
    if request.param == "cut":
        folder = TESTS / "data" / "parity"
        return folder / "robot_sim.PickNPlace", folder / "data"
    return _folder("datasets/robot_sim.PickNPlace"), _folder("parity/data")


@pytest.fixture(scope="session")
def parity_dataset(parity: tuple[Path, Path]) -> Path:
    """``robot_sim.PickNPlace``, or its cut."""
    return parity[0]


@pytest.fixture(scope="session")
def parity_data(parity: tuple[Path, Path]) -> Path:
    """Samples of NVIDIA's data pipeline."""
    return parity[1]


@pytest.fixture(scope="session")
def whole_parity_data() -> Path:
    """20 samples of NVIDIA's data pipeline."""
    return _folder("parity/data")


@pytest.fixture(scope="session", params=["cut", "whole"])
def parity_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model of NVIDIA's class, its inputs and its outputs; or a cut of them."""
    if request.param == "cut":
        return parity_cut.unpack(parity_cut.CUT, tmp_path_factory.mktemp("parity") / "model")
    return _folder("parity/model")


@pytest.fixture(scope="session")
def lerobot_python() -> Path:
    """A Python that has LeRobot, which writes datasets for tests of what it writes."""
    named = os.environ.get("GR00T_ASSETS_LEROBOT_PYTHON")
    if not named:
        pytest.skip(
            "GR00T_ASSETS_LEROBOT_PYTHON names no Python with LeRobot; `make lerobot` builds one: "
            "python3.12 -m venv .lerobot, .lerobot/bin/pip install 'lerobot[dataset]==0.6.1'"
        )
    python = shutil.which(named)
    if python is None:
        pytest.fail(f"GR00T_ASSETS_LEROBOT_PYTHON is {named}; there is no such program")
    return Path(python).absolute()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Makes a file system of so many megabytes."""
    folder = tmp_path / "disk"

    def mounted(megabytes: int) -> Path:
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("mounting a small file system needs root on Linux")
        return folder

    yield mounted
    for _ in range(20):
        if not folder.is_mount() or not subprocess.run(["umount", str(folder)]).returncode:
            return
        time.sleep(0.2)
