"""The comparison with NVIDIA's samples: that it passes, and that it sees what is wrong."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from gr00t_assets_tests.datasets.sample_parity import main


def _report(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out)


def test_the_parity_dataset_is_nvidias(
    parity_dataset: Path, parity_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(parity_dataset), str(parity_data)]) == 0
    report = _report(capsys)
    assert report["ok"]
    assert report["samples"] in (3, 20)
    assert report["data_config"] == "fourier_gr1_arms_only"
    assert report["state"]["largest_difference"] < 1e-6
    assert report["action"]["largest_difference"] < 1e-6
    assert report["image"]["largest_difference"] == 0
    for name in ("state_mask", "action_mask", "frames", "instruction", "embodiment_id"):
        assert report[name]["different"] == 0, name


def test_each_difference_is_found(
    parity_dataset: Path, parity_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(parity_data, tmp_path / "vectors")
    tensors = {name: np.array(value) for name, value in load_file(parity_data / SAFE).items()}
    tensors["state"][2, 0, 5] += 1e-4
    tensors["action"][0, 2, 1] = np.nan
    tensors["image"][1] += np.uint8(3)
    tensors["action_mask"][1, 0, 0] = ~tensors["action_mask"][1, 0, 0]
    samples = json.loads((parity_data / "samples.json").read_text())
    samples[0]["frame_sha256"]["video.ego_view"] = "0" * 64
    samples[1]["prompt"] = "something else"
    (tmp_path / "vectors").chmod(0o755)
    for name in (SAFE, "samples.json"):
        (tmp_path / "vectors" / name).unlink()
    save_file(tensors, tmp_path / "vectors" / SAFE)
    (tmp_path / "vectors" / "samples.json").write_text(json.dumps(samples))

    assert main([str(parity_dataset), str(tmp_path / "vectors")]) == 1
    report = _report(capsys)
    assert not report["ok"]
    assert report["state"]["largest_difference"] == pytest.approx(1e-4, rel=1e-2)
    wrong = {name for name, item in report.items() if isinstance(item, dict) and not item["within"]}
    assert wrong == {"state", "action", "image", "action_mask", "frames", "instruction"}
    assert report["action"]["largest_difference"] is None
    assert report["action_mask"]["different"] == 1
    assert report["frames"]["different"] == report["instruction"]["different"] == 1


def test_samples_that_are_not_of_the_dataset(
    parity_dataset: Path, parity_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(parity_dataset), str(tmp_path)]) == 1
    assert "expected samples.json and samples.safetensors" in capsys.readouterr().err
    samples = json.loads((parity_data / "samples.json").read_text())
    samples[0]["frame_index"] = 100_000
    samples[1]["episode_index"] = 99
    (tmp_path / "samples.json").write_text(json.dumps(samples))
    shutil.copy(parity_data / SAFE, tmp_path / SAFE)
    assert main([str(parity_dataset), str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert "frame 100000" in error
    assert "episode 99" in error


SAFE = "samples.safetensors"
