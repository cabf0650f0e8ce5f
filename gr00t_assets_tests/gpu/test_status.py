"""``gr00t-assets gpu status``: what the slot files and the driver say, by the real command."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gr00t_assets.core.project import Store
from gr00t_assets.gpu.slots import acquire
from gr00t_assets_tests.gpu.fake_driver import MIB, UUID, FakeDriver

HOLDER = """
import sys
from pathlib import Path
from gr00t_assets.gpu.slots import acquire
from gr00t_assets.core.project import Store
with acquire(int(sys.argv[2]), Store(Path(sys.argv[1])), what=sys.argv[3], run_id="abc"):
    print("held", flush=True)
    sys.stdin.read()
"""


def status(root: Path, *options: str) -> str:
    command = [sys.executable, "-m", "gr00t_assets.cli.main", "gpu", "status", *options]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=480)
    assert done.returncode == 0, done.stderr
    return done.stdout


def as_json(root: Path) -> dict[str, Any]:
    return json.loads(status(root, "--json"))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    monkeypatch.setenv("GR00T_ASSETS_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return tmp_path


def test_slots_of_a_cpu_show_their_holder(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GR00T_ASSETS_GPUS", "")
    monkeypatch.setenv("GR00T_ASSETS_CPU_SLOTS", "2")
    with acquire(store=Store(root / "store"), what="lr1e-3", run_id="abc"):
        (device,) = as_json(root)["machine"]["devices"]
        shown = status(root)
    (holder,) = device["holders"]
    assert (device["name"], device["slots"]) == ("cpu", 2)
    assert (holder["slot"], holder["experiment"], holder["run_id"]) == (0, "lr1e-3", "abc")
    assert "lr1e-3" in shown and holder["since"][:16] in shown and "free" in shown
    (device,) = as_json(root)["machine"]["devices"]
    assert device["holders"] == []


def test_a_gpu_shows_memory_and_who_does_not_belong_there(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    driver = FakeDriver(tmp_path / "driver", gpus=2)
    driver.install(monkeypatch)
    foreign = subprocess.Popen(["sleep", "300"])
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(root / "store"), "1", "lr1e-3"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        driver.shows({0: 5000, 1: 900}, [(0, holder.pid, 5000), (1, foreign.pid, 900)])
        found = {device["name"]: device for device in as_json(root)["machine"]["devices"]}
        shown = status(root)
    finally:
        for process in (foreign, holder):
            process.kill()
            process.wait()
    assert found["0"]["uuid"] == UUID.format(0)
    assert found["0"]["used_bytes"] == 5000 * MIB
    assert found["0"]["total_bytes"] == 24576 * MIB
    assert [each["experiment"] for each in found["0"]["holders"]] == ["lr1e-3"]
    assert found["0"]["foreign_processes"] == [] and found["0"]["foreign_bytes"] == 0
    assert found["1"]["foreign_processes"] == [{"pid": foreign.pid, "used_bytes": 900 * MIB}]
    assert found["1"]["holders"] == []
    assert f"process {foreign.pid} of no slot holds 0.9 GB" in shown


def test_a_file_of_another_version_is_shown_with_what_it_says(
    root: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GR00T_ASSETS_GPUS", "")
    with acquire(store=Store(root / "store"), what="lr1e-3"):
        (file,) = (root / "store" / "slots").rglob("cpu-0.lock")
        file.write_text("process 12, in words\n")
        (device,) = as_json(root)["machine"]["devices"]
    assert [each["experiment"] for each in device["holders"]] == ["unknown"]


def test_without_dagster_yaml_the_queue_is_not_known(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GR00T_ASSETS_GPUS", "")
    assert as_json(root)["queue"] is None
    assert "the queue is not known" in status(root)
