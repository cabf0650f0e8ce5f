import importlib
import inspect
import os
import re
import threading
from pathlib import Path

import pytest

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.gpu import devices
from gr00t_assets.gpu.devices import parse_devices, read_gpus, slots_by_device
from gr00t_assets_tests.gpu.fake_driver import MODULE, FakeDriver


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeDriver:
    """A driver that answers nothing, and an environment without variables of devices."""
    monkeypatch.delenv("GR00T_ASSETS_CPU_SLOTS", raising=False)
    fake = FakeDriver(tmp_path / "driver", gpus=2)
    fake.install(monkeypatch)
    fake.fails()
    return fake


def test_the_real_library_has_every_name_that_is_used():
    used = set(re.findall(r"pynvml\.(\w+)", inspect.getsource(devices)))
    real = importlib.import_module("pynvml")
    assert used and not [name for name in used if not hasattr(real, name)]
    assert all(hasattr(real, name) for name in re.findall(r"^def (nvml\w+)", MODULE, re.MULTILINE))


def test_a_driver_that_hangs_is_given_up(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch):
    driver.shows()
    monkeypatch.setattr(devices, "DRIVER_TIMEOUT", 0.1)
    answer = threading.Event()
    monkeypatch.setattr(devices, "_gpus_at", lambda pynvml, index: [answer.wait(60)])
    assert read_gpus() == []
    answer.set()


def test_without_a_gpu_it_is_half_the_cores(driver: FakeDriver):
    assert slots_by_device() == {"cpu": max(1, (os.cpu_count() or 1) // 2)}


def test_cpu_slots_can_be_set(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GR00T_ASSETS_CPU_SLOTS", "5")
    assert slots_by_device() == {"cpu": 5}
    monkeypatch.setenv("GR00T_ASSETS_CPU_SLOTS", "none")
    with pytest.raises(TrainingError, match="'none' is not a number of slots"):
        slots_by_device()


def test_the_driver_lists_the_gpus(driver: FakeDriver):
    driver.shows()
    assert slots_by_device() == {"0": 1, "1": 1}


def test_a_driver_that_does_not_answer_is_no_gpu(driver: FakeDriver):
    assert "cpu" in slots_by_device()


def test_variables_come_before_the_driver(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch):
    driver.shows()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-b")
    assert slots_by_device() == {"2": 1, "GPU-b": 1}
    monkeypatch.setenv("GR00T_ASSETS_GPUS", "0:3,1")
    assert slots_by_device() == {"0": 3, "1": 1}
    monkeypatch.setenv("GR00T_ASSETS_GPUS", "")
    assert "cpu" in slots_by_device()


@pytest.mark.parametrize("text", ["0:0", "0:x", "0,0", "0 1", "0:1:2"])
def test_what_is_no_list_is_refused(text: str):
    with pytest.raises(TrainingError, match=r"GR00T_ASSETS_GPUS: '.*' is not a list of GPUs"):
        parse_devices(text)
