import os
from pathlib import Path

import pytest

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.gpu.devices import devices, parse_devices


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An environment without GPU variables and with an empty PATH; its folder."""
    for name in ("GR00T_ASSETS_GPUS", "CUDA_VISIBLE_DEVICES", "GR00T_ASSETS_CPU_SLOTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def nvidia_smi(folder: Path, script: str) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_without_a_gpu_it_is_half_the_cores(bare: Path):
    assert devices() == {"cpu": max(1, (os.cpu_count() or 1) // 2)}


def test_cpu_slots_can_be_set(bare: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GR00T_ASSETS_CPU_SLOTS", "5")
    assert devices() == {"cpu": 5}
    monkeypatch.setenv("GR00T_ASSETS_CPU_SLOTS", "none")
    with pytest.raises(TrainingError, match="'none' is not a number of slots"):
        devices()


def test_nvidia_smi_lists_the_gpus(bare: Path):
    lines = "GPU 0: NVIDIA H200 (UUID: GPU-a)\nGPU 1: NVIDIA H200 (UUID: GPU-b)"
    nvidia_smi(bare, f"echo '{lines}'")
    assert devices() == {"0": 1, "1": 1}


def test_a_driver_that_does_not_answer_is_no_gpu(bare: Path):
    nvidia_smi(bare, "echo 'NVIDIA-SMI has failed'; exit 9")
    assert "cpu" in devices()


def test_variables_come_before_the_listing(bare: Path, monkeypatch: pytest.MonkeyPatch):
    nvidia_smi(bare, "echo 'GPU 0: NVIDIA H200 (UUID: GPU-a)'")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-b")
    assert devices() == {"2": 1, "GPU-b": 1}
    monkeypatch.setenv("GR00T_ASSETS_GPUS", "0:3,1")
    assert devices() == {"0": 3, "1": 1}
    monkeypatch.setenv("GR00T_ASSETS_GPUS", "")
    assert "cpu" in devices()


@pytest.mark.parametrize("text", ["0:0", "0:x", "0,0", "0 1", "0:1:2"])
def test_what_is_no_list_is_refused(text: str):
    with pytest.raises(TrainingError, match=r"GR00T_ASSETS_GPUS: '.*' is not a list of GPUs"):
        parse_devices(text)
