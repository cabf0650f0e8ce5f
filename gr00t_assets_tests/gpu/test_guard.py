"""The guard ends whole process trees: real processes, real signals."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.gpu.guard import (
    end_guarded,
    end_tagged,
    guarded,
    new_process_tag,
    tagged_processes,
)
from gr00t_assets.gpu.slot_files import Holder, end_orphans

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

DAEMON = """
import os, sys, time
with open(sys.argv[1], "a") as file:
    file.write(f"{os.getpid()}\\n")
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open(sys.argv[1], "a") as file:
            file.write(f"{os.getpid()}\\nready\\n")
        time.sleep(500)
    os._exit(0)
os.wait()
time.sleep(500)
"""

PARENT = """
import subprocess, sys, time
from gr00t_assets.gpu.guard import guarded
tag, command = None, sys.argv[1:]
if command[0] == "--tag":
    tag, command = command[1], command[2:]
guard = subprocess.Popen(guarded(command, grace=0.5, tag=tag))
print(guard.pid, flush=True)
time.sleep(500)
"""

PLAIN = """
import sys
from gr00t_assets.gpu import guard
guard._LIBC = None
sys.exit(guard.main(sys.argv[1:]))
"""
"""The guard as on a system without prctl(2)."""

ELSEWHERE = f"""
import os, subprocess, sys, time
arguments = ["--grace", "0.5", "--parent", str(os.getpid()), "--", *sys.argv[1:]]
guard = subprocess.Popen([sys.executable, "-c", {PLAIN!r}, *arguments])
print(guard.pid, flush=True)
time.sleep(500)
"""


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until(condition, seconds: float = 120.0) -> bool:
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


@pytest.mark.parametrize("program", [STUBBORN, DAEMON])
def test_kill_9_of_the_guard_leaves_nothing(tmp_path: Path, program: str):
    record, tag = tmp_path / "processes", new_process_tag()
    guard = subprocess.Popen(
        guarded([sys.executable, "-c", program, str(record)], grace=0.5, tag=tag)
    )
    processes = stubborn_processes(record)
    assert set(processes) <= set(tagged_processes(tag))
    guard.kill()
    guard.wait(10)
    assert end_guarded(guard, tag) == 128 + signal.SIGKILL
    assert not any(alive(process) for process in processes)
    assert tagged_processes(tag) == []


def test_the_command_is_killed_by_the_kernel_when_the_guard_is(tmp_path: Path):
    record, tag = tmp_path / "processes", new_process_tag()
    guard = subprocess.Popen(guarded([sys.executable, "-c", STUBBORN, str(record)], tag=tag))
    processes = stubborn_processes(record)
    guard.kill()
    try:
        assert wait_until(lambda: not alive(processes[0]), 30)
    finally:
        end_tagged(tag)
        guard.wait(10)


def test_what_two_killed_guardians_left_is_ended_by_who_looks(tmp_path: Path):
    record, tag = tmp_path / "processes", new_process_tag()
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, "--tag", tag, sys.executable, "-c", DAEMON, str(record)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    guard = int(parent.stdout.readline())
    processes = stubborn_processes(record)
    parent.send_signal(signal.SIGSTOP)
    os.kill(guard, signal.SIGKILL)
    parent.kill()
    parent.wait(10)
    parent.stdout.close()
    assert wait_until(lambda: not alive(guard))
    assert any(alive(process) for process in processes)
    lines: list[str] = []
    holder = Holder(device="0", pid=guard, starter=parent.pid, process_tag=tag, experiment="lr1e-3")
    end_orphans([holder], lines.append)
    assert not any(alive(process) for process in processes)
    end_orphans([holder], lines.append)
    assert len(lines) == 1 and lines[0].startswith(f"lr1e-3: its guard and process {parent.pid} ")


def test_who_has_a_guard_or_a_starter_is_no_orphan(tmp_path: Path):
    record, tag = tmp_path / "processes", new_process_tag()
    guard = subprocess.Popen(guarded([sys.executable, "-c", DAEMON, str(record)], tag=tag))
    processes = stubborn_processes(record)
    for pid, starter in [(guard.pid, 999_999_999), (999_999_999, os.getpid())]:
        end_orphans([Holder(pid=pid, starter=starter, process_tag=tag)], pytest.fail)
    assert all(alive(process) for process in processes)
    end_guarded(guard, tag)
    assert not any(alive(process) for process in processes)


def test_without_prctl_it_watches_its_parent(tmp_path: Path):
    record = tmp_path / "processes"
    parent = subprocess.Popen(
        [sys.executable, "-c", ELSEWHERE, sys.executable, "-c", STUBBORN, str(record)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    guard = int(parent.stdout.readline())
    processes = [guard, *stubborn_processes(record)]
    parent.kill()
    parent.wait(10)
    parent.stdout.close()
    assert wait_until(lambda: not any(alive(process) for process in processes), 30)


def test_without_prctl_a_daemon_of_a_finished_command_is_ended(tmp_path: Path):
    record = tmp_path / "processes"
    command = ["sh", "-c", f"setsid sleep 500 & echo $! > {record}"]
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, "--parent", str(os.getpid()), "--", *command], timeout=60
    )
    assert done.returncode == 0
    assert not alive(int(record.read_text()))


def test_a_second_request_is_passed_on_and_shortens_the_grace(tmp_path: Path):
    asked, ready = tmp_path / "asked", tmp_path / "ready"
    script = f"trap 'echo >> {asked}' INT; touch {ready}; while true; do sleep 0.1; done"
    guard = run_guard("sh", "-c", script, grace=500)
    assert wait_until(ready.exists, 30)
    guard.send_signal(signal.SIGINT)
    guard.send_signal(signal.SIGTERM)
    assert wait_until(asked.exists, 30)
    time.sleep(1.5)
    assert asked.read_text() == "\n", "two signals at once are one request"
    guard.send_signal(signal.SIGINT)
    assert wait_until(lambda: asked.read_text() == "\n\n", 30)
    assert guard.wait(60) == 128 + signal.SIGKILL


def test_the_grace_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GR00T_ASSETS_STOP_GRACE", "7.5")
    assert guarded(["true"])[3:5] == ["--grace", "7.5"]
    monkeypatch.delenv("GR00T_ASSETS_STOP_GRACE")
    assert guarded(["true"])[4] == "60.0"
    for wrong in ("soon", "-1", "inf", "nan"):
        monkeypatch.setenv("GR00T_ASSETS_STOP_GRACE", wrong)
        with pytest.raises(TrainingError, match=f"'{wrong}' is not a number of seconds"):
            guarded(["true"])


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
