"""Slots between real processes."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gr00t_assets.errors import TrainingError
from gr00t_assets.gpu.guard import guarded
from gr00t_assets.gpu.slots import acquire
from gr00t_assets.project import Store

HOLDER = """
import sys, time
from pathlib import Path
from gr00t_assets.gpu.slots import acquire
from gr00t_assets.project import Store
with acquire(int(sys.argv[2]), Store(Path(sys.argv[1])), what=sys.argv[3]) as lease:
    print(",".join(lease.devices), flush=True)
    time.sleep(float(sys.argv[4]))
"""

TRAINER = """
import subprocess, sys, time
from pathlib import Path
from gr00t_assets.gpu.guard import guarded
from gr00t_assets.gpu.slots import acquire
from gr00t_assets.project import Store
script = "trap '' INT; echo up; sleep 500"
with acquire(1, Store(Path(sys.argv[1])), what="lr1e-3") as lease:
    command = guarded(["sh", "-c", script], grace=2)
    subprocess.run(command, pass_fds=lease.descriptors)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch):
    def set_to(text: str) -> None:
        monkeypatch.setenv("GR00T_ASSETS_GPUS", text)

    return set_to


def hold(store: Store, wanted: int = 1, what: str = "lr1e-3", seconds: float = 60):
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(store.root), str(wanted), what, str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
    )


def held_devices(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    return process.stdout.readline().strip().split(",")


def test_the_lease_shows_one_device(store: Store, gpus):
    gpus("3,1")
    with acquire(store=store) as first, acquire(store=store) as second:
        assert first.environment()["CUDA_VISIBLE_DEVICES"] == "3"
        assert second.environment()["CUDA_VISIBLE_DEVICES"] == "1"
    with acquire(2, store) as both:
        assert both.environment()["CUDA_VISIBLE_DEVICES"] == "3,1"


def test_trainings_spread_over_devices_before_they_share_one(store: Store, gpus):
    gpus("0:2,1:2")
    with acquire(store=store) as a, acquire(store=store) as b, acquire(store=store) as c:
        assert [a.devices, b.devices, c.devices] == [("0",), ("1",), ("0",)]


def test_who_has_a_cpu_sees_no_gpu(store: Store, gpus):
    gpus("")
    with acquire(store=store) as lease:
        assert lease.devices == ("cpu",)
        assert lease.environment() == {"CUDA_VISIBLE_DEVICES": ""}


def test_more_than_the_machine_has_is_refused_at_once(store: Store, gpus):
    gpus("0,1")
    with (
        pytest.raises(TrainingError, match="demo: 3 GPUs are wanted and 2 are there"),
        acquire(3, store, what="demo"),
    ):
        pass
    gpus("")
    with pytest.raises(TrainingError, match="2 GPUs are wanted and 0 are there"), acquire(2, store):
        pass


def test_who_waits_is_told_who_holds_it(store: Store, gpus):
    gpus("0")
    holder = hold(store, seconds=1.5)
    assert held_devices(holder) == ["0"]
    lines: list[str] = []
    start = time.monotonic()
    with acquire(store=store, log=lines.append):
        assert time.monotonic() - start > 0.5
    assert lines == [f"waiting for 1 of 1 slots; held by 0-0: process {holder.pid}, lr1e-3"]
    assert holder.wait(5) == 0


def test_kill_9_frees_the_slot_at_once(store: Store, gpus):
    gpus("0")
    holder = hold(store)
    assert held_devices(holder) == ["0"]
    holder.kill()
    holder.wait(5)
    start = time.monotonic()
    with acquire(store=store):
        assert time.monotonic() - start < 0.3


def test_the_slot_is_taken_until_the_last_training_process_is_dead(store: Store, gpus):
    gpus("0")
    trainer = subprocess.Popen(
        [sys.executable, "-c", TRAINER, str(store.root)], stdout=subprocess.PIPE, text=True
    )
    assert trainer.stdout is not None
    assert trainer.stdout.readline() == "up\n"
    os.kill(trainer.pid, signal.SIGKILL)
    trainer.wait(5)
    start = time.monotonic()
    with acquire(store=store):
        waited = time.monotonic() - start
    assert 1.0 < waited < 6, "the training ignores SIGINT and is killed 2 s later"
    assert trainer.stdout.read() == "", "nobody has the other end of the pipe any more"


def test_guard_and_command_inherit_the_lock(store: Store, gpus):
    gpus("0")
    with acquire(store=store) as lease:
        command = guarded(["sh", "-c", "ls -l /proc/self/fd"])
        listing = subprocess.run(command, pass_fds=lease.descriptors, capture_output=True)
    assert b"0-0.lock" in listing.stdout


def test_who_wants_several_is_neither_starved_nor_stuck(store: Store, gpus):
    gpus("0,1,2")
    singles = [hold(store, 1, f"single{i}", 0.3) for i in range(6)]
    pairs = [hold(store, 2, f"pair{i}", 0.3) for i in range(4)]
    for process in [*singles, *pairs]:
        assert process.wait(240) == 0


def test_no_slot_is_ever_given_twice(store: Store, gpus):
    gpus("0:2")
    now, most, lock = 0, 0, threading.Lock()

    def train() -> None:
        nonlocal now, most
        with acquire(store=store):
            with lock:
                now += 1
                most = max(most, now)
            time.sleep(0.2)
            with lock:
                now -= 1

    threads = [threading.Thread(target=train) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (now, most) == (0, 2)
