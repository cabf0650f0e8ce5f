"""What the files of slots say, and who of those who wait is given which slot."""

import os

import pytest

from gr00t_assets.core.processes import start_time
from gr00t_assets.core.project import Store
from gr00t_assets.gpu.slot_files import Holder, holders, slots_folder
from gr00t_assets.gpu.slots import acquire, machine_status
from gr00t_assets.gpu.wait_queue import (
    MemoryHeadroom,
    Ticket,
    Waiter,
    allot_slots,
    queue_locked,
    waiting,
)


def test_the_record_is_json_that_says_who_and_since_when(store: Store, gpus):
    gpus("0:2")
    with acquire(store=store, what="lr1e-3", run_id="1a2b", vram_bytes=5) as lease:
        lease.record(4711)
        (held,) = holders(store)
    assert (held.device, held.slot) == ("0", 0)
    assert (held.experiment, held.run_id) == ("lr1e-3", "1a2b")
    assert (held.pid, held.starter, held.vram_bytes) == (4711, os.getpid(), 5)
    assert held.since is not None and held.since.endswith("+00:00")
    assert held.host == slots_folder(store).name
    assert holders(store) == []


@pytest.mark.parametrize("text", ["", "process 5, old", '{"pid": "x"}', '{"pid": 7, "new": 1}{'])
def test_a_record_that_cannot_be_read_is_still_a_holder(store: Store, gpus, text: str):
    gpus("0")
    with acquire(store=store):
        (slots_folder(store) / "0-0.lock").write_text(text)
        (held,) = holders(store)
    expected = Holder(device="0", pid=7 if "new" in text else os.getpid())
    assert held == expected, "a lock itself says whose it is"


def test_two_machines_on_one_store_do_not_wait_for_each_other(
    store: Store, gpus, monkeypatch: pytest.MonkeyPatch
):
    gpus("0")
    monkeypatch.setenv("GR00T_ASSETS_HOST", "first/machine")
    with acquire(store=store):
        monkeypatch.setenv("GR00T_ASSETS_HOST", "second")
        with acquire(store=store) as lease:
            assert lease.devices == ("0",)
            assert [held.host for held in holders(store)] == ["second"]
        monkeypatch.setenv("GR00T_ASSETS_HOST", "first_machine")
        assert [held.host for held in holders(store)] == ["first_machine"]


def waiter(wanted: int = 1, gigabytes: int = 0, devices: str = "01") -> Waiter:
    slots = dict.fromkeys(devices, 2)
    return Waiter(wanted=wanted, vram_bytes=gigabytes, devices=slots)


def test_a_big_one_that_waits_for_small_ones_is_not_passed_by():
    headrooms = {"0": MemoryHeadroom(24, own=10), "1": MemoryHeadroom(24, foreign=20)}
    free = {("0", 1), ("1", 0), ("1", 1)}
    assert allot_slots(waiter(gigabytes=4), [waiter(gigabytes=20)], free, headrooms) == [("1", 0)]
    assert allot_slots(waiter(gigabytes=8), [waiter(gigabytes=20)], free, headrooms) is None


def test_nobody_waits_for_one_who_waits_for_a_foreign_process():
    headrooms = {"0": MemoryHeadroom(24), "1": MemoryHeadroom(24, foreign=20)}
    pair = waiter(wanted=2, gigabytes=20)
    assert allot_slots(waiter(gigabytes=8), [pair], {("0", 0), ("1", 0)}, headrooms) == [("0", 0)]
    headrooms["1"] = MemoryHeadroom(24)
    assert allot_slots(waiter(gigabytes=8), [pair], {("0", 0), ("1", 0)}, headrooms) is None


def test_those_before_take_their_slots_first():
    free = {("0", 0), ("0", 1), ("1", 0)}
    assert allot_slots(waiter(), [waiter()], free, {}) == [("1", 0)]
    assert allot_slots(waiter(), [waiter(), waiter()], free, {}) == [("0", 1)]
    assert allot_slots(waiter(), [waiter(wanted=2), waiter()], free, {}) is None


def test_a_higher_priority_is_ahead_of_who_came_before(store: Store, gpus):
    gpus("0")
    folder = slots_folder(store)
    folder.mkdir(parents=True)
    with queue_locked(folder):
        tickets = [Ticket(folder, Waiter(experiment=str(n), priority=n % 2)) for n in range(4)]
    assert [waiter.experiment for waiter in waiting(store)] == ["1", "3", "0", "2"]
    assert [other.experiment for other in tickets[0].ahead()] == ["1", "3"]
    assert [other.experiment for other in tickets[3].ahead()] == ["1"]
    for ticket in tickets:
        ticket.close()


def test_a_record_of_version_0_1_still_names_its_processes(store: Store, gpus):
    gpus("0")
    with acquire(store=store):
        (slots_folder(store) / "0-0.lock").write_text('{"mark": "abc", "pid": 7}')
        (holder,) = holders(store)
    assert (holder.process_tag, holder.pid) == ("abc", 7)


def test_a_process_that_was_given_a_dead_ones_id_is_no_guardian():
    started = start_time(os.getpid())
    assert started is not None
    assert Holder(pid=os.getpid(), pid_started=started).has_guardian()
    assert not Holder(pid=os.getpid(), pid_started=started - 3600).has_guardian()
    assert not Holder(pid=999_999_999).has_guardian()


def test_a_device_whose_name_has_slashes_is_that_of_its_holder(store: Store, gpus):
    name = "MIG-GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a70/1/0"
    gpus(name)
    with acquire(store=store):
        assert [holder.device for holder in holders(store)] == [name]
        assert [device.name for device in machine_status(store).devices] == [name]
