"""Which device has the memory, by a stand-in for NVIDIA's library and real processes."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gr00t_assets.comparison.speed import this_device
from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.project import Store
from gr00t_assets.gpu.devices import GpuProcess, gpus_by_name, read_gpus, slots_by_device
from gr00t_assets.gpu.slot_files import Holder, holders
from gr00t_assets.gpu.slots import acquire
from gr00t_assets.gpu.wait_queue import MemoryHeadroom, read_headroom
from gr00t_assets_tests.gpu.fake_driver import MIB, MIG, UUID, FakeDriver

GB = 10**9


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    fake = FakeDriver(tmp_path / "driver", gpus=2)
    fake.install(monkeypatch)
    return fake


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def headroom(device: str, *holding: Holder) -> MemoryHeadroom:
    return read_headroom(gpus_by_name().get(device), device, holding)


@pytest.fixture
def stranger() -> Iterator[int]:
    """A process that no slot belongs to."""
    process = subprocess.Popen(["sleep", "500"])
    yield process.pid
    process.kill()
    process.wait()


def test_what_the_driver_says_is_read(driver: FakeDriver):
    driver.shows({0: 12345, 1: None}, [(0, 77, 512), (1, 78, None)])
    first, second = read_gpus()
    assert (first.name, first.uuid, first.model) == ("0", UUID.format(0), "NVIDIA A10")
    assert (first.total_bytes, first.used_bytes) == (24576 * MIB, 12345 * MIB)
    assert first.utilisation_percent == 7
    assert first.processes == (GpuProcess(pid=77, used_bytes=512 * MIB),)
    assert (second.name, second.total_bytes, second.used_bytes) == ("1", None, None)
    assert second.processes == (GpuProcess(pid=78, used_bytes=None),)


def test_mig_devices_stand_for_the_gpu_that_is_divided(driver: FakeDriver):
    driver.shows(mig={0: [5 * GB, 20 * GB]})
    assert slots_by_device() == {MIG.format(0): 1, MIG.format(1): 1, "1": 1}
    fits = [headroom(name).fits(12 * GB) for name in (MIG.format(0), MIG.format(1), "1")]
    assert fits == [False, True, True]


def test_a_driver_that_tells_nothing_checks_nothing(driver: FakeDriver):
    driver.shows({0: None, 1: None})
    assert headroom("0") == MemoryHeadroom()
    driver.fails()
    assert headroom("0").fits(500 * GB)


def test_what_is_declared_counts_before_it_is_taken(driver: FakeDriver):
    holder = Holder(device="0", pid=os.getpid(), vram_bytes=15 * GB)
    assert headroom("0", holder).own == 15 * GB
    driver.shows({0: 19000}, [(0, os.getpid(), 19000)])
    taken = headroom("0", holder)
    assert (taken.own, taken.foreign) == (19000 * MIB, 0), "what it holds, where that is more"


def test_a_child_of_the_guard_is_no_stranger(driver: FakeDriver, stranger: int):
    driver.shows({0: 9000}, [(0, stranger, 9000)])
    own = headroom("0", Holder(device="0", pid=os.getpid()))
    assert (own.own, own.foreign) == (9000 * MIB, 0)
    alone = headroom("0", Holder(device="1", pid=os.getpid()))
    assert (alone.own, alone.foreign) == (0, 9000 * MIB)


def test_of_two_trainings_of_one_starter_each_has_its_own_memory(driver: FakeDriver, stranger: int):
    second = subprocess.Popen(["sleep", "500"])
    try:
        driver.shows({0: 9000}, [(0, stranger, 4000), (0, second.pid, 5000)])
        holding = [
            Holder(device="0", pid=pid, starter=os.getpid(), vram_bytes=4000 * MIB)
            for pid in (stranger, second.pid)
        ]
        assert headroom("0", *holding) == MemoryHeadroom(24576 * MIB, 0, 9000 * MIB)
    finally:
        second.kill()
        second.wait()


def test_memory_that_no_process_is_named_for_is_not_free(driver: FakeDriver):
    driver.shows({0: 20000})
    room = headroom("0")
    assert not room.fits(10 * GB)
    assert "21.0 GB that the driver names no process for" in room.shortage("0", 10 * GB)


def test_a_device_with_a_foreign_process_is_passed_over_for_another(
    driver: FakeDriver, store: Store, stranger: int
):
    driver.shows({0: 20000}, [(0, stranger, 20000)])
    with acquire(store=store, vram_bytes=10 * GB) as lease:
        assert lease.devices == ("1",)
        (held,) = holders(store)
        assert (held.uuid, held.vram_bytes) == (UUID.format(1), 10 * GB)
        with acquire(store=store) as undemanding:
            assert undemanding.devices == ("0",)


def test_the_foreign_process_is_named_and_waited_for(
    driver: FakeDriver, store: Store, stranger: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GR00T_ASSETS_GPUS", "0")
    monkeypatch.setattr("gr00t_assets.gpu.slots._READ_MEMORY_EVERY", 0.1)
    driver.shows({0: 20000}, [(0, stranger, 20000)])
    lines: list[str] = []

    def leave(line: str) -> None:
        lines.append(line)
        if "passed over" in line:
            driver.shows()

    with acquire(store=store, vram_bytes=10 * GB, log=leave):
        pass
    assert lines.pop(0).startswith("training: waiting for 1 of 1 slots since 20")
    assert lines == [
        f"device 0 is passed over: 4.8 of 25.8 GB are free, 10.0 are needed; not of this queue: "
        f"process {stranger} (sleep), 21.0 GB"
    ]


def test_slots_of_one_device_are_added_up(
    driver: FakeDriver, store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GR00T_ASSETS_GPUS", "0:3")
    monkeypatch.setattr("gr00t_assets.gpu.slots._READ_MEMORY_EVERY", 0.1)
    third = threading.Event()
    lines: list[str] = []

    def train() -> None:
        with acquire(store=store, vram_bytes=10 * GB, log=lines.append):
            third.set()

    with acquire(store=store, vram_bytes=10 * GB):
        with acquire(store=store, vram_bytes=10 * GB):
            thread = threading.Thread(target=train)
            thread.start()
            time.sleep(1.5)
            assert not third.is_set(), "two of three slots have all the memory"
        thread.join(30)
    assert third.is_set()
    assert any("device 0 is passed over: 5.8 of 25.8 GB" in line for line in lines)


def test_more_than_any_device_has_is_refused_at_once(driver: FakeDriver, store: Store):
    with (
        pytest.raises(TrainingError, match=r"demo: 80.0 GB of GPU memory are needed on each of 1"),
        acquire(store=store, what="demo", vram_bytes=80 * GB),
    ):
        pass


def test_a_gpu_that_is_named_by_its_uuid_is_known(
    driver: FakeDriver, store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GR00T_ASSETS_GPUS", UUID.format(1))
    assert this_device() == "NVIDIA A10"
    with acquire(store=store) as lease:
        assert lease.holders[0].uuid == UUID.format(1)
