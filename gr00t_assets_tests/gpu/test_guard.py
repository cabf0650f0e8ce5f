"""The guard ends whole process trees: real processes, real signals."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gr00t_assets.gpu.guard import guarded

STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
away = subprocess.Popen(["sleep", "500"], start_new_session=True)
child = subprocess.Popen(["sleep", "500"])
with open(sys.argv[1], "a") as file:
    file.write(f"{os.getpid()}\\n{away.pid}\\n{child.pid}\\n")
subprocess.run(["sh", "-c", f"setsid sleep 500 & echo $! >> {sys.argv[1]}"])
with open(sys.argv[1], "a") as file:
    file.write("ready\\n")
time.sleep(500)
"""

PARENT = """
import subprocess, sys, time
from gr00t_assets.gpu.guard import guarded
guard = subprocess.Popen(guarded(sys.argv[1:], grace=0.5))
print(guard.pid, flush=True)
time.sleep(500)
"""


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until(condition, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())


def stubborn_processes(record: Path) -> list[int]:
    assert wait_until(lambda: record.is_file() and "ready" in record.read_text())
    return [int(line) for line in record.read_text().split() if line != "ready"]


def run_guard(*command: str, grace: float = 0.5) -> subprocess.Popen[str]:
    return subprocess.Popen(
        guarded(command, grace=grace), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("code", [0, 3])
def test_it_exits_with_the_commands_code(code: int):
    assert run_guard("sh", "-c", f"exit {code}").wait(60) == code


def test_a_command_that_ends_at_once_is_not_missed():
    for _ in range(8):
        guards = [run_guard("true") for _ in range(6)]
        assert [guard.wait(120) for guard in guards] == [0] * 6


def test_a_signal_becomes_128_plus_its_number():
    assert run_guard("sh", "-c", "kill -SEGV $$").wait(60) == 128 + signal.SIGSEGV


def test_output_passes_through():
    out, err = run_guard("sh", "-c", "echo seen; echo wrong >&2").communicate(timeout=60)
    assert (out, err) == ("seen\n", "wrong\n")


def test_a_missing_program_is_named():
    guard = run_guard("no-such-program")
    _, err = guard.communicate(timeout=60)
    assert guard.returncode == 127
    assert err == "guard: no-such-program cannot be started: No such file or directory\n"


def test_kill_9_of_the_parent_ends_the_whole_tree(tmp_path: Path):
    record = tmp_path / "processes"
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, sys.executable, "-c", STUBBORN, str(record)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    guard = int(parent.stdout.readline())
    processes = [guard, *stubborn_processes(record)]
    assert len(processes) == 5
    assert all(alive(process) for process in processes)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait(5)
    assert wait_until(lambda: not any(alive(process) for process in processes), 5)


def test_kill_9_of_the_guard_ends_the_command(tmp_path: Path):
    record = tmp_path / "processes"
    guard = run_guard(sys.executable, "-c", STUBBORN, str(record))
    processes = stubborn_processes(record)
    guard.kill()
    try:
        assert wait_until(lambda: not alive(processes[0]), 5)
    finally:
        for process in processes[1:]:
            os.kill(process, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_gives_the_command_time_to_save(tmp_path: Path, number: int):
    saved, ready = tmp_path / "saved", tmp_path / "ready"
    script = (
        f"trap 'sleep 0.7; touch {saved}; exit 130' INT; touch {ready}; "
        "while true; do sleep 0.1; done"
    )
    guard = run_guard("sh", "-c", script, grace=30)
    assert wait_until(ready.exists)
    guard.send_signal(number)
    assert guard.wait(60) == 130
    assert saved.exists()


def test_what_does_not_stop_is_killed_after_the_grace(tmp_path: Path):
    record = tmp_path / "processes"
    guard = run_guard(sys.executable, "-c", STUBBORN, str(record))
    processes = stubborn_processes(record)
    guard.terminate()
    assert guard.wait(60) == 128 + signal.SIGKILL
    assert not any(alive(process) for process in processes)


def test_what_a_finished_command_left_behind_is_ended(tmp_path: Path):
    record = tmp_path / "process"
    guard = run_guard("sh", "-c", f"setsid sleep 500 & echo $! > {record}")
    assert guard.wait(60) == 0
    assert not alive(int(record.read_text()))


def test_a_parent_that_is_already_gone_starts_nothing(tmp_path: Path):
    never = tmp_path / "never"
    command = [sys.executable, "-m", "gr00t_assets.gpu.guard", "--parent", "999999999", "--"]
    result = subprocess.run([*command, "touch", str(never)], timeout=60)
    assert result.returncode == 128 + signal.SIGTERM
    assert not never.exists()
