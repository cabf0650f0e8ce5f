"""How far a training is, from run directories as trainers, kills and engines leave them."""

import json
import math
import os
import time
from pathlib import Path

import pytest

from gr00t_assets.core.project import Store
from gr00t_assets.engines.job_record import JobRecord, NodeRecord, now, write_job, write_node
from gr00t_assets.modality.config import save_modality_config
from gr00t_assets.runs.manifest import save_manifest
from gr00t_assets.runs.metrics import Metric, append_metric, last_metrics, read_metrics
from gr00t_assets.runs.progress import Progress, read_progress
from gr00t_assets.runs.run_directory import place_spec, run_lock
from gr00t_assets_tests.defs.specs import a_manifest, a_modality_config, a_spec


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    store = Store(tmp_path / "store")
    save_modality_config(a_modality_config(), store)
    spec = a_spec(store.root, hyperparameters={"max_steps": 1000})
    spec.run_directory.mkdir(parents=True)
    place_spec(spec)
    return spec.run_directory


def log(directory: Path, *steps: int, pace: float = 0.5, every: int = 1, loss: float = 0.0) -> None:
    for step in steps:
        of_step = loss or 1 / step
        metric = Metric(
            step=step,
            samples_seen=step * 8,
            epoch=0.1,
            loss=of_step,
            losses=(of_step,) * every,
            grad_norm=1.0,
            learning_rate=1e-4,
            wall_seconds=step * pace,
        )
        append_metric(metric, directory)


def progress(directory: Path) -> Progress:
    found = read_progress(directory)
    assert found is not None
    return found


def test_a_run_that_has_not_logged_yet_is_at_step_0(directory: Path):
    found = progress(directory)
    assert (found.step, found.steps, found.percent, found.engine) == (0, 1000, 0.0, "local")
    assert found.loss is found.samples_per_second is found.eta_seconds is found.node is None
    assert not found.is_stalled(time.time() + 1e6)


def test_no_spec_is_no_progress(tmp_path: Path):
    assert read_progress(tmp_path) is None
    (tmp_path / "spec.json").write_text("{")
    assert read_progress(tmp_path) is None


def test_step_speed_and_arrival(directory: Path):
    log(directory, *range(1, 251))
    found = progress(directory)
    assert (found.step, found.percent) == (250, 25.0)
    assert found.samples_per_second == pytest.approx(16)
    assert found.eta_seconds == pytest.approx(375)
    assert found.usual_seconds == pytest.approx(0.5)
    # 10 % of the steps so far, as a final loss over them would be.
    assert found.loss == pytest.approx(sum(1 / step for step in range(226, 251)) / 25)


def test_the_speed_is_that_of_the_last_stretch(directory: Path):
    log(directory, *range(1, 101), pace=0.1)
    log(directory, *(step for step in range(101, 161)), pace=10.0)
    assert progress(directory).samples_per_second == pytest.approx(0.8)


def test_what_was_done_again_counts_once(directory: Path):
    log(directory, *range(1, 90))
    log(directory, *range(61, 71), pace=2.0)
    found = progress(directory)
    assert found.step == 70
    assert found.samples_per_second == pytest.approx(4)
    assert found.eta_seconds == pytest.approx(930 * 2)


def test_damaged_lines_are_passed_over(directory: Path):
    log(directory, *range(1, 21))
    with (directory / "metrics.jsonl").open("ab") as file:
        file.write(b"\x00\xff\xfe" * 50 + b"\n{}\n[1]\nnull\n\n")
    log(directory, 21)
    with (directory / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 22, "samp')
    found = progress(directory)
    assert found.step == 21
    assert found.samples_per_second == pytest.approx(16)
    for name in ("job.json", "manifest.json", ".lock"):
        (directory / name).write_bytes(b"\x00\xff{[" * 9)
    assert progress(directory) == found


def test_a_loss_that_is_no_number_is_none(directory: Path):
    log(directory, 1, 2, 3, loss=math.nan)
    found = progress(directory)
    assert (found.step, found.loss) == (3, None)
    json.dumps(found.model_dump(mode="json"), allow_nan=False)


def test_only_the_end_of_a_large_file_is_read(directory: Path):
    log(directory, *range(1, 31))
    path = directory / "metrics.jsonl"
    line = path.read_bytes().splitlines(keepends=True)[-1]
    with path.open("ab") as file:
        file.write(line * (200_000_000 // len(line)))
    log(directory, 31)
    began = time.perf_counter()
    found = progress(directory)
    seconds = time.perf_counter() - began
    assert found.step == 31
    assert seconds < 0.2, f"{path.stat().st_size:,} bytes took {seconds:.2f} s"


def test_lines_longer_than_the_first_look_are_found(directory: Path):
    log(directory, 20_000, 40_000, every=20_000, loss=0.123456789)
    assert (directory / "metrics.jsonl").stat().st_size > 300_000
    assert [line.step for line in last_metrics(directory, 5)] == [20_000, 40_000]
    assert [line.step for line in last_metrics(directory, 1)] == [40_000]


def test_the_last_lines_are_those_of_the_whole_file(directory: Path):
    log(directory, *range(1, 400))
    columns = read_metrics(directory).columns["step"]
    assert [line.step for line in last_metrics(directory, 7)] == columns[-7:].tolist()


def test_a_finished_run_says_what_its_manifest_says(directory: Path):
    log(directory, *range(1, 50))
    store = directory.parents[2]
    spec = a_spec(store, hyperparameters={"max_steps": 1000})
    save_manifest(a_manifest(spec, steps=1000, max_steps=1000), directory)
    found = progress(directory)
    assert (found.step, found.percent, found.loss, found.eta_seconds) == (1000, 100.0, 0.5, 0.0)
    assert not found.is_stalled(time.time() + 1e6)
    save_manifest(a_manifest(spec, status="interrupted", steps=20), directory)
    assert progress(directory).step == 49, "one that was interrupted may be at work again"


def test_the_engine_and_the_node_are_those_of_the_job(directory: Path):
    with run_lock(directory):
        log(directory, 1, 2)
    assert progress(directory).node, "the host of who trained here"
    write_job(JobRecord(engine="lab", kind="slurm", name="a-job", submitted_at=now()), directory)
    found = progress(directory)
    assert (found.engine, found.node) == ("lab", None), "it waits in the engine's queue"
    (directory / "jobs").mkdir()
    node = NodeRecord(name="a-job", id="17", node="node3", version="1", started_at=now())
    write_node(node, directory)
    found = progress(directory)
    assert (found.engine, found.node) == ("lab", "node3")


@pytest.mark.parametrize(
    ("pace", "silent", "stalled"),
    [(0.5, 60, False), (0.5, 121, True), (60, 599, False), (60, 601, True)],
)
def test_ten_times_the_usual_without_a_step_is_stalled(
    directory: Path, pace: float, silent: float, stalled: bool
):
    log(directory, *range(1, 21), pace=pace)
    now = time.time()
    os.utime(directory / "metrics.jsonl", (now, now))
    assert progress(directory).is_stalled(now + silent) is stalled
