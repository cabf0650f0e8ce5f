"""A process that the launcher starts: its output, its exit code, and its end."""

import sys
import time
from pathlib import Path

import pytest

from gr00t_assets.core.project import Store
from gr00t_assets.evaluation.worker import evaluation_lease
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.gpu.devices import GPUS
from gr00t_assets.gpu.slots import acquire
from gr00t_assets.trainers.process_launcher import cpu_lease, launched, run_on_terminal

COUNTS = "print('one'); print('two'); import sys; sys.stdout.write('half'); sys.exit(3)"
ENDS_ON_REQUEST = """
import signal, sys, time
signal.signal(signal.SIGINT, lambda *_: (print('asked', flush=True), sys.exit(130)))
print('ready', flush=True)
time.sleep(600)
"""


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_output_is_kept_in_the_file_and_copied(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.txt"
    log.write_text("of an attempt before\n")
    with launched(python(COUNTS), cpu_lease(), log, grace=5) as process:
        while not process.ended_within():
            pass
    assert process.code == 3
    assert process.last_lines == ["one", "two", "half"]
    assert log.read_text() == "of an attempt before\none\ntwo\nhalf"
    assert capfd.readouterr().out == "one\ntwo\n"


def test_an_exception_in_the_block_stops_the_process_first(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    with (
        pytest.raises(RuntimeError),
        launched(python(ENDS_ON_REQUEST), cpu_lease(), log, grace=60) as process,
    ):
        deadline = time.monotonic() + 60
        while "ready" not in process.last_lines and time.monotonic() < deadline:
            process.ended_within()
        raise RuntimeError
    assert process.code == 130
    assert process.last_lines == ["ready", "asked"]


def test_devices_reach_the_process(tmp_path: Path) -> None:
    code = "import os; print('devices', repr(os.environ['CUDA_VISIBLE_DEVICES']))"
    with launched(python(code), cpu_lease(), tmp_path / "log.txt") as process:
        while not process.ended_within():
            pass
    assert process.last_lines == ["devices ''"]


def test_a_command_on_the_terminal_gives_its_exit_code() -> None:
    assert run_on_terminal(python("raise SystemExit(7)"), cpu_lease(), "stopping") == 7
    killed = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert run_on_terminal(python(killed), cpu_lease(), "stopping") == 137


def test_an_evaluation_on_a_cpu_waits_for_no_slot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(GPUS, "")
    store = Store(tmp_path)
    experiment = Experiment(name="a", sweep="s", dataset="d")
    with acquire(1, store, "training"), evaluation_lease(experiment, store, print) as lease:
        assert lease.devices == ("cpu",)
        assert lease.descriptors == ()
