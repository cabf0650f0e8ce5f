"""Slots between real processes."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.project import Store
from gr00t_assets.gpu.guard import guarded
from gr00t_assets.gpu.slot_files import holders, slots_folder
from gr00t_assets.gpu.slots import acquire
from gr00t_assets.gpu.wait_queue import queue_locked, waiting
from gr00t_assets_tests.gpu.test_guard import wait_until

HOLDER = """
import sys, time
from pathlib import Path
from gr00t_assets.gpu.slots import acquire
from gr00t_assets.core.project import Store
with acquire(int(sys.argv[2]), Store(Path(sys.argv[1])), what=sys.argv[3]) as lease:
    print(",".join(lease.devices), flush=True)
    with open(Path(sys.argv[1]) / "served", "a") as served:
        print(sys.argv[3], file=served)
    time.sleep(float(sys.argv[4]))
"""

TRAINER = """
import subprocess, sys, time
from pathlib import Path
from gr00t_assets.gpu.guard import guarded
from gr00t_assets.gpu.slots import acquire
from gr00t_assets.core.project import Store
script = "trap '' INT; echo up; sleep 500"
with acquire(1, Store(Path(sys.argv[1])), what="lr1e-3") as lease:
    command = guarded(["sh", "-c", script], grace=2)
    subprocess.run(command, pass_fds=lease.descriptors)
"""


def hold(store: Store, wanted: int = 1, what: str = "lr1e-3", seconds: float = 60):
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(store.root), str(wanted), what, str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that are ended whatever becomes of the test."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


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
    (line,) = lines
    assert line.startswith("training: waiting for 1 of 1 slots since 20")
    assert f"; held by 0-0: process {holder.pid}, lr1e-3, since 20" in line
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


def queued(store: Store) -> list[str]:
    return [waiter.experiment for waiter in waiting(store)]


def test_who_came_first_is_served_first_and_the_killed_are_forgotten(store: Store, gpus, started):
    gpus("0")
    started.append(hold(store, what="holder"))
    assert held_devices(started[0]) == ["0"]
    names = [f"w{number}" for number in range(7)]
    for count, name in enumerate(names, 1):
        started.append(hold(store, what=name, seconds=0))
        assert wait_until(lambda count=count: len(waiting(store)) == count, 60)
    assert queued(store) == names
    for killed in (1, 3, 7):
        started[killed].kill()
        started[killed].wait(10)
    assert queued(store) == ["w1", "w3", "w4", "w5"], "a ticket dies with its owner"
    started[0].kill()
    for process in started[2:3] + started[4:7]:
        assert process.wait(60) == 0
    served = (store.root / "served").read_text().split()
    assert served == ["holder", "w1", "w3", "w4", "w5"]
    assert list((slots_folder(store) / "waiting").iterdir()) == [], "no ticket is left"
    assert holders(store) == []


def test_who_wants_two_is_served_though_others_keep_coming(store: Store, gpus, started):
    gpus("0,1")
    started += [hold(store, what=f"old{number}", seconds=2) for number in range(2)]
    assert {held_devices(process)[0] for process in started} == {"0", "1"}
    started.append(hold(store, 2, "pair", seconds=0))
    assert wait_until(lambda: queued(store) == ["pair"], 30)
    started += [hold(store, 1, f"late{number}", seconds=0.5) for number in range(4)]
    for process in started:
        assert process.wait(60) == 0
    served = (store.root / "served").read_text().split()
    assert served.index("pair") == 2, served


def test_a_suspended_waiter_holds_up_nobody(
    store: Store, gpus, started, monkeypatch: pytest.MonkeyPatch
):
    gpus("0")
    monkeypatch.setattr("gr00t_assets.gpu.wait_queue.SKIP_AFTER", 1.0)
    started.append(hold(store, what="holder", seconds=2))
    assert held_devices(started[0]) == ["0"]
    started.append(hold(store, what="suspended"))
    assert wait_until(lambda: queued(store) == ["suspended"], 30)
    started[1].send_signal(signal.SIGSTOP)
    with acquire(store=store, what="next"):
        assert queued(store) == ["suspended"]


def test_one_who_was_suspended_with_the_queue_locked_holds_up_nobody_for_long(
    store: Store, gpus, monkeypatch: pytest.MonkeyPatch
):
    gpus("0")
    monkeypatch.setattr("gr00t_assets.gpu.wait_queue.LOCK_TIMEOUT", 0.5)
    folder = slots_folder(store)
    folder.mkdir(parents=True)
    with queue_locked(folder), acquire(store=store) as lease:
        assert lease.devices == ("0",)
