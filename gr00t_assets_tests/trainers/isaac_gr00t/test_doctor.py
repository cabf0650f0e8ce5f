"""The doctor names all that is missing, and nothing that is not asked for."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gr00t_assets.core.finding import Finding, Findings
from gr00t_assets.core.project import Store
from gr00t_assets.trainers.isaac_gr00t.doctor import doctor
from gr00t_assets.trainers.isaac_gr00t.doctor.diagnosis import Probe, probe
from gr00t_assets.trainers.isaac_gr00t.doctor.doctor import examine, file_bytes, wants_gpu
from gr00t_assets.trainers.isaac_gr00t.environment import N15, IsaacEnvironment
from gr00t_assets_tests.gpu.fake_driver import FakeDriver
from gr00t_assets_tests.trainers.isaac_gr00t.environments import (
    PACKAGES,
    commit_all,
    gpu,
    make_checkout,
    make_environment,
    python310,
    run_doctor,
    site_packages,
)

PATH = os.environ["PATH"]
pytestmark = pytest.mark.usefixtures("driver")


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> IsaacEnvironment:
    environment = make_environment(tmp_path_factory.mktemp("isaac"))
    commit_all(environment.checkout, "all of it")
    return environment


def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def look(environment: IsaacEnvironment, tmp_path: Path, gpu: bool = True) -> Findings:
    return examine(environment, gpu=gpu, store=store(tmp_path)).findings


def of(findings: Findings, code: str) -> Finding:
    return next(item for item in findings if item.code == code)


def codes(findings: Findings, severity: str) -> set[str]:
    return {item.code for item in findings if item.severity == severity}


def test_a_machine_without_anything_is_told_all_that_is_missing(tmp_path: Path):
    variables = {"HOME": str(tmp_path), "GR00T_ASSETS_STORE": str(tmp_path / "store")}
    result = run_doctor(str(tmp_path / "isaac"), "--json", **variables)
    assert result.returncode == 1, result.stderr
    answer = json.loads(result.stdout)
    severity = {item["code"]: item["severity"] for item in answer["findings"]}
    for code in (
        *("checkout", "python", "torch", "torch-cuda", "transformers", "flash-attn"),
        *("pytorch3d", "decord", "gpu"),
    ):
        assert severity[code] == "error", code
    for code in ("torchcodec", "wandb-key", "hub-token", "base-model"):
        assert severity[code] == "warning", code
    assert {"host-memory", "disk"} <= severity.keys()
    assert not answer["ok"] and answer["errors"] >= 9
    wrong = [item for item in answer["findings"] if item["severity"] != "ok"]
    assert all(item["found"] and item["expected"] and item["remedy"] for item in wrong)
    shown = run_doctor(str(tmp_path / "isaac"), **variables)
    assert shown.returncode == 1
    changing = {"disk", "host-memory"}
    for item in (item for item in wrong if item["code"] not in changing):
        assert f"{item['code']}  {item['found']}" in shown.stdout
        assert item["remedy"] in shown.stdout
    assert "Traceback" not in shown.stdout + shown.stderr


def test_a_complete_environment_has_no_error(
    complete: IsaacEnvironment, driver: FakeDriver, tmp_path: Path
):
    driver.describes(gpu())
    findings = look(complete, tmp_path)
    errors = codes(findings, "error") - {"disk", "host-memory"}
    assert errors == set()
    assert of(findings, "torch").found == "torch 2.5.1"
    assert of(findings, "torch-cuda").found == "torch is built for CUDA 12.4"
    assert of(findings, "gpu").found == "GPU 0, NVIDIA H100 80GB HBM3: 85 of 86 GB free"
    for code in ("future-tokens", "resume", "torchvision-av", "pytorch3d", "other-packages"):
        assert of(findings, code).severity == "ok", code


def test_without_a_gpu_nothing_of_a_gpu_is_asked_for(complete: IsaacEnvironment, tmp_path: Path):
    findings = look(complete, tmp_path, gpu=False)
    assert codes(findings, "error") == set()
    asked = {item.code for item in findings}
    assert not asked & {"gpu", "driver", "torch-cuda", "flash-attn", "disk", "base-model"}


def test_an_environment_with_fewer_packages_is_told_which(tmp_path: Path):
    kept = {name: PACKAGES[name] for name in ("torch", "decord", "dm_tree")}
    environment = make_environment(tmp_path / "isaac", {**kept, "transformers": "4.57.0"})
    findings = look(environment, tmp_path, gpu=False)
    assert codes(findings, "error") == {"transformers", "pytorch3d", "other-packages"}
    assert of(findings, "transformers").found == "transformers 4.57.0"
    assert "'transformers==4.51.3'" in of(findings, "transformers").remedy
    assert of(findings, "other-packages").found.endswith("not installed: albumentations")


def test_pytorch3d_in_place_of_pipablepytorch3d_is_named(tmp_path: Path):
    packages = {**PACKAGES, "pytorch3d": "0.7.8"}
    environment = make_environment(tmp_path / "isaac", packages)
    beside = of(look(environment, tmp_path, gpu=False), "pytorch3d")
    assert beside.severity == "warning" and "pytorch3d 0.7.8 beside" in beside.found
    shutil.rmtree(site_packages(environment) / "pipablepytorch3d-0.7.6.dist-info")
    alone = of(look(environment, tmp_path, gpu=False), "pytorch3d")
    assert alone.severity == "warning"
    assert "pip uninstall pytorch3d" in alone.remedy


def test_flash_attention_without_its_compiled_part_is_no_flash_attention(tmp_path: Path):
    environment = make_environment(tmp_path / "isaac")
    assert of(look(environment, tmp_path), "flash-attn").severity == "ok"
    (site_packages(environment) / "flash_attn_2_cuda.py").unlink()
    finding = of(look(environment, tmp_path), "flash-attn")
    assert finding.severity == "error" and "flash_attn_2_cuda" in finding.found


def test_a_torch_without_cuda_is_an_error_on_a_gpu(tmp_path: Path):
    version = {"torch/version.py": "__version__ = '2.5.1+cpu'\ncuda = None\n"}
    environment = make_environment(tmp_path / "isaac", modules=version)
    assert of(look(environment, tmp_path), "torch-cuda").severity == "error"


def test_a_python_that_does_not_start_is_one_of_the_findings(tmp_path: Path):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no such library >&2\nexit 127\n")
    broken.chmod(0o755)
    checkout = make_checkout(tmp_path / "Isaac-GR00T")
    findings = look(IsaacEnvironment(checkout, broken), tmp_path, gpu=False)
    assert of(findings, "python").found.endswith("cannot be asked: no such library")
    assert "torch" in codes(findings, "error")


@pytest.mark.skipif(python310().name == Path(sys.executable).name, reason="needs a Python 3.10")
def test_another_python_than_3_10_is_a_warning(tmp_path: Path):
    environment = IsaacEnvironment(make_checkout(tmp_path / "c"), Path(sys.executable))
    assert of(look(environment, tmp_path, gpu=False), "python").severity == "warning"


def test_the_release_is_a_warning_for_each_of_its_faults(tmp_path: Path):
    release = dict.fromkeys(
        ("gr00t/model/action_head/flow_matching_action_head.py", "gr00t/experiment/trainer.py"),
        "pass\n",
    )
    sources = {**release, "gr00t/utils/video.py": "import decord\n"}
    checkout = make_checkout(tmp_path / "Isaac-GR00T", sources)
    findings = look(IsaacEnvironment(checkout, python310()), tmp_path, gpu=False)
    for code in ("future-tokens", "resume", "torchvision-av"):
        assert of(findings, code).severity == "warning", code
    assert "not the same model" in of(findings, "future-tokens").found
    assert of(findings, "decord").expected == "decord, which the checkout imports anyway"


def test_changes_in_the_checkout_are_a_warning(tmp_path: Path):
    checkout = make_checkout(tmp_path / "Isaac-GR00T")
    commit_all(checkout, "as it is")
    environment = IsaacEnvironment(checkout, python310())
    findings = look(environment, tmp_path, gpu=False)
    assert "changed-files" not in {item.code for item in findings}
    (checkout / "pyproject.toml").write_text("")
    finding = of(look(environment, tmp_path, gpu=False), "changed-files")
    assert finding.severity == "warning" and "pyproject.toml" in finding.found


@pytest.mark.parametrize(
    ("described", "cuda", "code", "severity", "text"),
    [
        (gpu(), 12040, "gpu", "ok", "85 of 86 GB free"),
        (gpu(free=20_000), 12040, "gpu", "warning", "21 of 86 GB free"),
        (gpu(16_384, 16_000, (8, 6)), 12040, "gpu", "warning", "17 of 17 GB free"),
        (gpu(8_192, 8_000, (8, 6)), 12040, "gpu", "error", "8 of 9 GB free"),
        (gpu(capability=(7, 0)), 12040, "gpu", "error", "compute capability 7.0"),
        (gpu(capability=(12, 0)), 13000, "gpu", "error", "compute capability 12.0"),
        (gpu(), 11080, "driver", "error", "runs CUDA up to 11.8"),
        (gpu(), 12020, "driver", "ok", "CUDA up to 12.2"),
    ],
)
def test_each_gpu_is_compared_with_what_the_model_needs(
    complete: IsaacEnvironment,
    driver: FakeDriver,
    tmp_path: Path,
    described: dict[str, Any],
    cuda: int,
    code: str,
    severity: str,
    text: str,
):
    driver.describes(described, cuda=cuda)
    finding = of(look(complete, tmp_path), code)
    assert (finding.severity, text in finding.found) == (severity, True), finding


def test_gpus_that_slots_are_not_given_on_are_passed_over(
    complete: IsaacEnvironment, driver: FakeDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    driver.describes(gpu(), gpu(8_192, 8_000))
    monkeypatch.setenv("GR00T_ASSETS_GPUS", "0")
    assert "gpu" not in codes(look(complete, tmp_path), "error")
    monkeypatch.setenv("GR00T_ASSETS_GPUS", "0,1")
    assert "gpu" in codes(look(complete, tmp_path), "error")
    monkeypatch.setenv("GR00T_ASSETS_GPUS", "7")
    assert "names 7; the driver lists 2" in of(look(complete, tmp_path), "gpu").found
    assert wants_gpu()
    monkeypatch.setenv("GR00T_ASSETS_GPUS", "")
    assert not wants_gpu()


def test_a_full_disk_is_an_error_with_the_size_of_a_checkpoint(
    complete: IsaacEnvironment, small_disk: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", PATH)
    findings = examine(complete, gpu=True, store=Store(small_disk(8) / "store")).findings
    finding = of(findings, "disk")
    assert finding.severity == "error"
    assert "18.2 GB" in finding.expected
    assert file_bytes(N15)[1] == pytest.approx(18.2e9, rel=0.01)


def test_the_same_environment_is_asked_once_and_a_changed_one_again(
    complete: IsaacEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked: list[Path] = []

    def counted(python: Path) -> Probe:
        asked.append(python)
        return probe(python)

    monkeypatch.setattr(doctor, "probe", counted)
    monkeypatch.setattr(doctor, "_PROBES", {})
    first = look(complete, tmp_path)
    assert list(look(complete, tmp_path)) == list(first) and len(asked) == 1
    (site_packages(complete) / "another-1.0.dist-info").mkdir()
    look(complete, tmp_path)
    assert len(asked) == 2
