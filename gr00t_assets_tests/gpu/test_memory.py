"""Which device has room, told by a stand-in for ``nvidia-smi`` and real processes."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.project import Store
from gr00t_assets.gpu.devices import devices
from gr00t_assets.gpu.memory import Room, read_rooms
from gr00t_assets.gpu.nvidia_smi import Memory, list_devices, read_memory, read_processes
from gr00t_assets.gpu.records import Holder
from gr00t_assets.gpu.slots import acquire, holders
from gr00t_assets_tests.gpu.smi import MIB, MIG, UUID, NvidiaSmi

GB = 10**9


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NvidiaSmi:
    for name in ("GR00T_ASSETS_GPUS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'smi'}:{os.environ['PATH']}")
    return NvidiaSmi(tmp_path / "smi", gpus=2)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def stranger() -> Iterator[int]:
    """A process that no slot belongs to."""
    process = subprocess.Popen(["sleep", "500"])
    yield process.pid
    process.kill()
    process.wait()


def test_the_output_is_read(smi: NvidiaSmi):
    smi.shows({0: "12345", 1: "[Insufficient Permissions]"}, [(0, 77, "512"), (1, 78, "[N/A]")])
    assert [(each.name, each.uuid) for each in list_devices()] == [
        ("0", UUID.format(0)),
        ("1", UUID.format(1)),
    ]
    assert read_memory() == {
        UUID.format(0): Memory(24576 * MIB, 12345 * MIB),
        UUID.format(1): Memory(24576 * MIB, None),
    }
    assert [(each.pid, each.used) for each in read_processes()] == [(77, 512 * MIB), (78, None)]


def test_mig_devices_stand_for_the_gpu_that_is_divided(smi: NvidiaSmi):
    smi.lists(smi.line(0, "1g.5gb", "3g.20gb") + smi.line(1))
    assert devices() == {MIG.format(0): 1, MIG.format(1): 1, "1": 1}
    rooms = read_rooms([MIG.format(0), MIG.format(1), "1"], [])
    assert [room.fits(12 * GB) for room in rooms.values()] == [False, True, True]


def test_a_driver_that_tells_nothing_checks_nothing(smi: NvidiaSmi):
    smi.shows({0: "[N/A]", 1: "[N/A]"})
    assert read_rooms(["0"], [])["0"] == Room()
    (smi.folder / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n")
    assert read_rooms(["0"], [])["0"].fits(500 * GB)


def test_what_is_declared_counts_before_it_is_taken(smi: NvidiaSmi):
    holder = Holder(device="0", pid=os.getpid(), vram_bytes=15 * GB)
    assert read_rooms(["0"], [holder])["0"].own == 15 * GB
    smi.shows({0: "19000"}, [(0, os.getpid(), "19000")])
    taken = read_rooms(["0"], [holder])["0"]
    assert (taken.own, taken.foreign) == (19000 * MIB, 0), "what it holds, where that is more"


def test_a_child_of_the_guard_is_no_stranger(smi: NvidiaSmi, stranger: int):
    smi.shows({0: "9000"}, [(0, stranger, "9000")])
    own = read_rooms(["0"], [Holder(device="0", pid=os.getpid())])["0"]
    assert (own.own, own.foreign) == (9000 * MIB, 0)
    alone = read_rooms(["0"], [Holder(device="1", pid=os.getpid())])["0"]
    assert (alone.own, alone.foreign) == (0, 9000 * MIB)


def test_memory_that_no_process_is_named_for_is_not_free(smi: NvidiaSmi):
    smi.shows({0: "20000"})
    room = read_rooms(["0"], [])["0"]
    assert not room.fits(10 * GB)
    assert "21.0 GB that nvidia-smi names no process for" in room.why_not("0", 10 * GB)


def test_a_device_with_a_foreign_process_is_passed_over_for_another(
    smi: NvidiaSmi, store: Store, stranger: int
):
    smi.shows({0: "20000"}, [(0, stranger, "20000")])
    with acquire(store=store, vram_bytes=10 * GB) as lease:
        assert lease.devices == ("1",)
        (held,) = holders(store)
        assert (held.uuid, held.vram_bytes) == (UUID.format(1), 10 * GB)
        with acquire(store=store) as undemanding:
            assert undemanding.devices == ("0",)


def test_the_foreign_process_is_named_and_waited_for(
    smi: NvidiaSmi, store: Store, stranger: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GR00T_ASSETS_GPUS", "0")
    monkeypatch.setattr("gr00t_assets.gpu.slots._LOOK", 0.1)
    smi.shows({0: "20000"}, [(0, stranger, "20000")])
    lines: list[str] = []

    def leave(line: str) -> None:
        lines.append(line)
        if "passed over" in line:
            smi.shows()

    with acquire(store=store, vram_bytes=10 * GB, log=leave):
        pass
    assert lines == [
        "waiting for 1 of 1 slots",
        f"device 0 is passed over: 4.8 of 25.8 GB are free, 10.0 are needed; not of this queue: "
        f"process {stranger} (sleep), 21.0 GB",
    ]


def test_slots_of_one_device_are_added_up(
    smi: NvidiaSmi, store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GR00T_ASSETS_GPUS", "0:3")
    monkeypatch.setattr("gr00t_assets.gpu.slots._LOOK", 0.1)
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


def test_more_than_any_device_has_is_refused_at_once(smi: NvidiaSmi, store: Store):
    with (
        pytest.raises(TrainingError, match=r"demo: 80.0 GB of GPU memory are needed on each of 1"),
        acquire(store=store, what="demo", vram_bytes=80 * GB),
    ):
        pass
