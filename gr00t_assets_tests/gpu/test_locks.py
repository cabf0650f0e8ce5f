"""Whoever waits for a lock says for what and for whom, and frees what a dead holder left."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gr00t_assets.core.locks import LockRecord, exclusive_lock, free_lock, lock_owners
from gr00t_assets.core.project import Store
from gr00t_assets.gpu.slot_files import slot_file, slots_folder
from gr00t_assets.gpu.slots import acquire
from gr00t_assets_tests.gpu.test_guard import alive, wait_until

HOLDER = """
import os, subprocess, sys, time
from pathlib import Path
from gr00t_assets.core.locks import exclusive_lock
with exclusive_lock(Path(sys.argv[1]), "it", print):
    descriptor = os.open(sys.argv[1], os.O_RDONLY)
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            if number > 2 and os.path.sameopenfile(number, descriptor):
                os.set_inheritable(number, True)
        except OSError:
            pass
    child = subprocess.Popen(["env", "-i", "sleep", "500"], close_fds=False)
    print(child.pid, flush=True)
    time.sleep(500)
"""
"""Takes a lock, and starts a process that has it too, and no tag in its environment."""

STARTER = """
import subprocess, sys, time
from pathlib import Path
from gr00t_assets.core.project import Store
from gr00t_assets.gpu.guard import guarded
from gr00t_assets.gpu.slots import acquire
with acquire(1, Store(Path(sys.argv[1])), what="lr1e-3") as lease:
    command = guarded(["sh", "-c", sys.argv[2]], grace=1, tag=lease.process_tag)
    guard = subprocess.Popen(command, pass_fds=lease.descriptors)
    lease.record(guard.pid)
    print(guard.pid, flush=True)
    guard.wait()
    time.sleep(500)
"""
"""Holds a slot and runs a guarded command in it."""


def started(program: str, *arguments: object) -> tuple[subprocess.Popen[str], int]:
    """A process, and the number that it prints."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait(10)
    if process.stdout is not None:
        process.stdout.close()


linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc/PID/fdinfo")


@linux
@pytest.mark.parametrize("stopped", [False, True])
def test_what_a_dead_holder_started_is_ended_by_who_waits(tmp_path: Path, stopped: bool):
    path = tmp_path / ".lock"
    holder, child = started(HOLDER, path)
    try:
        assert set(lock_owners(path)) == {holder.pid, child}
        assert free_lock(path, pytest.fail) == [], "its holder lives"
        if stopped:
            os.kill(child, signal.SIGSTOP)
        killed(holder)
        lines: list[str] = []
        began = time.monotonic()
        with exclusive_lock(path, "the dataset demo", lines.append):
            assert time.monotonic() - began < 5
            assert LockRecord.read(path).pid == os.getpid()
        assert not alive(child)
    finally:
        if alive(child):
            os.kill(child, signal.SIGKILL)
    assert lines[0].startswith(f"waiting for the dataset demo; held by process {holder.pid}, since")
    assert lines[1] == f".lock: the process that took it is dead; ended what it left: {child}"


@linux
def test_a_stopped_holder_that_lives_is_named_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gr00t_assets.core.locks.REMIND_EVERY", 0.5)
    path = tmp_path / ".lock"
    holder, child = started(HOLDER, path)
    os.kill(holder.pid, signal.SIGSTOP)
    lines: list[str] = []

    def listen(line: str) -> None:
        lines.append(line)
        if len(lines) == 3:
            killed(holder)
            os.kill(child, signal.SIGKILL)

    with exclusive_lock(path, "it", listen):
        pass
    assert f"process {holder.pid} (stopped; kill -CONT {holder.pid} wakes it), since" in lines[0]
    assert len(set(lines)) == 1


@linux
def test_a_training_that_its_stopped_guard_no_longer_ends_gives_its_slot_back(store: Store, gpus):
    gpus("0")
    starter, guard = started(STARTER, store.root, "sleep 500")
    os.kill(guard, signal.SIGSTOP)
    killed(starter)
    lines: list[str] = []
    began = time.monotonic()
    with acquire(store=store, log=lines.append):
        assert time.monotonic() - began < 15
    assert f"process {starter.pid} is dead; woke its guard, process {guard}" in lines
    assert wait_until(lambda: not alive(guard), 10)


@linux
def test_what_left_without_the_tag_gives_the_slot_back(store: Store, gpus, tmp_path: Path):
    gpus("0")
    record = tmp_path / "child"
    script = f"setsid env -i sleep 500 & echo $! > {record}; sleep 500"
    starter, guard = started(STARTER, store.root, script)
    assert wait_until(lambda: record.is_file() and record.read_text().strip().isdecimal())
    child = int(record.read_text())
    path = slot_file(slots_folder(store), ("0", 0))
    assert wait_until(lambda: {starter.pid, guard, child} <= set(lock_owners(path)))
    os.kill(guard, signal.SIGSTOP)
    killed(starter)
    os.kill(guard, signal.SIGKILL)
    assert wait_until(lambda: not alive(guard))
    assert alive(child)
    with acquire(store=store):
        assert not alive(child)


def test_a_lock_that_changes_hands_all_the_time_is_taken_from_nobody(tmp_path: Path):
    """The holder's record is the last one's for an instant; the kernel's is never."""
    path, ended = tmp_path / ".lock", threading.Event()
    script = """
import sys
from pathlib import Path
from gr00t_assets.core.locks import exclusive_lock
for _ in range(400):
    with exclusive_lock(Path(sys.argv[1]), "it", lambda line: None):
        pass
"""
    command = [sys.executable, "-c", script, str(path)]
    processes = [subprocess.Popen(command) for _ in range(2)]

    def free() -> None:
        while not ended.is_set():
            if path.exists():
                free_lock(path, pytest.fail)

    thread = threading.Thread(target=free)
    thread.start()
    try:
        assert [process.wait(120) for process in processes] == [0, 0]
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("content", ["[" * 60_000, "[]", "\x1b", '{"pid": 1e400}'])
def test_a_file_that_is_no_record_says_nothing(tmp_path: Path, content: str):
    (tmp_path / "lock").write_text(content)
    assert LockRecord.read(tmp_path / "lock") == LockRecord()


def test_a_record_does_nothing_to_a_terminal(tmp_path: Path):
    (tmp_path / "lock").write_text(r'{"pid": 1, "experiment": "a\u001b[31m", "user": "b\u001b[0m"}')
    record = LockRecord.read(tmp_path / "lock")
    assert str(record).isprintable() and r"a\x1b[31m" in str(record)


def test_a_record_of_version_0_2_is_a_process_id(tmp_path: Path):
    (tmp_path / ".lock").write_text("4711")
    assert LockRecord.read(tmp_path / ".lock").pid == 4711
