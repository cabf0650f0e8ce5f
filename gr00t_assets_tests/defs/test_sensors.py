"""Which failed runs are asked for again, on a real instance with real runs."""

import fcntl
import signal
import time
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import JobFailureData, RunFailureReason

from gr00t_assets.core.errors import StoreError, SweepError, TrainingError
from gr00t_assets.core.project import Store
from gr00t_assets.defs.failures import ExplainedFailureError
from gr00t_assets.defs.sensors import FailedRunsCursor, resume_requests
from gr00t_assets.defs.training_runs import end_of_run
from gr00t_assets.experiments.sweeps import Sweep, Sweeps
from gr00t_assets.modality.config import save_modality_config
from gr00t_assets.runs.manifest import save_manifest
from gr00t_assets_tests.defs.died import NAMES, died, failed, killed_by, made, trainer_ended
from gr00t_assets_tests.defs.specs import a_manifest, a_modality_config, a_spec

DISK_FULL = "raise OSError(28, 'No space left on device', 'checkpoint')"


class Sensor:
    """The sensor with its cursor, which goes through JSON between two ticks as Dagster's does."""

    def __init__(self, store: Store, instance: dg.DagsterInstance, max_retries: int = 3) -> None:
        experiments = tuple(a_spec(store.root, name=name).experiment for name in NAMES)
        sweep = Sweep("demo", Path("demo.yaml"), "", None, experiments, max_retries=max_retries)
        self.sweeps = Sweeps({"demo": sweep})
        self.store, self.instance = store, instance
        self.cursor: str | None = None
        self.lines: list[str] = []

    def tick(self, *, submit: bool = True) -> list[dg.RunRequest]:
        seen = FailedRunsCursor.model_validate_json(self.cursor or "{}")
        requests, self.lines = resume_requests(self.sweeps, self.store, self.instance, seen)
        self.cursor = seen.model_dump_json()
        for request in requests if submit else ():
            assert request.partition_key is not None
            queued = dg.DagsterRunStatus.NOT_STARTED
            made(self.instance, request.partition_key, queued, request.tags)
        return requests


@pytest.fixture
def sensor(store: Store, instance: dg.DagsterInstance) -> Sensor:
    return Sensor(store, instance)


def asked(requests: list[dg.RunRequest]) -> list[str | None]:
    return [request.partition_key for request in requests]


@pytest.mark.parametrize("page", [False, True])
def test_a_run_that_died_is_asked_for_once(sensor: Sensor, page: bool):
    run = died(sensor.instance, page=page)
    (request,) = sensor.tick()
    config_hash = a_spec(sensor.store.root, name="first").config_hash
    assert request.partition_key == "first"
    assert request.run_key == f"{run.run_id}:died"
    assert request.tags == {
        "sweep": "demo",
        "dagster/priority": "0",
        "gr00t/config_hash": config_hash,
        "gr00t/retry_of": run.run_id,
        "gr00t/retry_number": "1",
    }
    for _ in range(3):
        assert sensor.tick() == []


def test_each_of_those_that_lost_power_is_asked_for(sensor: Sensor):
    for name in NAMES:
        died(sensor.instance, name)
    assert sorted(map(str, asked(sensor.tick()))) == sorted(NAMES)


def test_the_limit_is_kept(store: Store, instance: dg.DagsterInstance):
    sensor = Sensor(store, instance, max_retries=2)
    run, numbers = died(instance), []
    for _ in range(4):
        for request in sensor.tick(submit=False):
            numbers.append(request.tags["gr00t/retry_number"])
            run = died(instance, tags=request.tags)
    assert numbers == ["1", "2"]
    assert sensor.lines == [
        f"first, run {run.run_id[:8]}: it died 3 times ({GONE_LINE}); max_retries is 2"
    ]


GONE_LINE = "Detected run worker status FAILED: 'process 1 is gone'"


def test_another_configuration_is_counted_anew(sensor: Sensor):
    tags = {"gr00t/retry_number": "3", "gr00t/config_hash": "that of before"}
    died(sensor.instance, tags=tags)
    (request,) = sensor.tick()
    assert request.tags["gr00t/retry_number"] == "1"


def test_what_is_queued_again_or_trained_by_now_is_left_alone(sensor: Sensor):
    died(sensor.instance, "first")
    made(sensor.instance, "first", dg.DagsterRunStatus.NOT_STARTED)
    died(sensor.instance, "second")
    spec = a_spec(sensor.store.root, name="second")
    save_manifest(a_manifest(spec), spec.run_directory)
    assert sensor.tick() == []


def test_an_older_run_that_still_trains_is_waited_for(sensor: Sensor):
    older = made(sensor.instance)
    died(sensor.instance)
    assert sensor.tick() == []
    assert sensor.lines[0].endswith(f"run {older.run_id[:8]} is started")
    sensor.instance.report_run_failed(older, "gone as well")
    assert asked(sensor.tick()) == ["first"]


def test_a_trainer_that_still_saves_is_waited_for(sensor: Sensor):
    died(sensor.instance)
    directory = a_spec(sensor.store.root, name="first").run_directory
    directory.mkdir(parents=True)
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711")
        lock.flush()
        assert sensor.tick() == []
        assert sensor.lines[0].endswith("process 4711 still writes")
    assert asked(sensor.tick()) == ["first"]


def test_a_cancelled_run_is_somebodys_wish(sensor: Sensor):
    made(sensor.instance, status=dg.DagsterRunStatus.CANCELED)
    assert sensor.tick() == []


def test_without_data_it_waits(sensor: Sensor):
    died(sensor.instance)
    path = sensor.store.modality_config("demo")
    content = path.read_bytes()
    path.unlink()
    assert sensor.tick() == []
    assert "no validated modality config" in sensor.lines[0]
    path.write_bytes(content)
    assert asked(sensor.tick()) == ["first"]


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGSEGV], ids=str
)
def test_a_trainer_that_was_killed_is_a_crash(sensor: Sensor, number: int):
    failed(sensor.instance, trainer_ended(sensor.store, killed_by(number)))
    assert asked(sensor.tick()) == ["first"]


def test_losses_that_are_missing_in_the_end_are_trained_again(sensor: Sensor):
    said = "TrainingError: first: losses of 2 of 4 steps are missing, the first one that of step 3."
    failed(sensor.instance, trainer_ended(sensor.store, f"import sys; sys.exit({said!r})"))
    assert asked(sensor.tick()) == ["first"]


@pytest.mark.parametrize(
    "program",
    [
        "raise ValueError('learning_rate')",
        "import sys; sys.exit(2)",
        "raise FileNotFoundError('data/chunk-000')",
        "raise RuntimeError('the loss is not a finite number')",
    ],
)
def test_what_would_fail_again_is_not_asked_for(sensor: Sensor, program: str):
    run = failed(sensor.instance, trainer_ended(sensor.store, program))
    assert end_of_run(sensor.instance, run).end == "repeats"
    assert sensor.tick() == []


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError("a mistake in this program"),
        ExplainedFailureError(TrainingError("first", "isaac-gr00t is not set up.")),
    ],
    ids=["a mistake", "explained"],
)
def test_an_error_of_the_asset_is_not_asked_for(sensor: Sensor, error: BaseException):
    failed(sensor.instance, error)
    assert sensor.tick() == []


BROKEN = SweepError("data/sweeps/demo.yaml:3", "this is not YAML.", ["found a tab"])


def test_what_met_a_file_with_a_fault_is_asked_for_once_it_is_mended(sensor: Sensor):
    run = failed(sensor.instance, ExplainedFailureError(BROKEN))
    sound, fault = sensor.sweeps, {Path("data/sweeps/demo.yaml"): BROKEN}
    sensor.sweeps = Sweeps({}, fault, dict.fromkeys(NAMES, Path("data/sweeps/demo.yaml")))
    for _ in range(2):
        assert sensor.tick() == []
        assert sensor.lines == [f"first, run {run.run_id[:8]}: {BROKEN.headline}"]
    sensor.sweeps = sound
    (request,) = sensor.tick()
    assert request.run_key == f"{run.run_id}:mended"
    assert request.tags["gr00t/retry_number"] == "0", "it is none of those that died"
    assert sensor.tick() == []


def test_a_run_that_died_waits_for_its_file_to_be_mended(sensor: Sensor):
    died(sensor.instance)
    sound, fault = sensor.sweeps, {Path("data/sweeps/demo.yaml"): BROKEN}
    sensor.sweeps = Sweeps({}, fault, dict.fromkeys(NAMES, Path("data/sweeps/demo.yaml")))
    assert sensor.tick() == []
    sensor.sweeps = sound
    assert asked(sensor.tick()) == ["first"]


def test_definitions_that_do_not_load_are_not_asked_for(sensor: Sensor):
    run = made(sensor.instance)
    reason = RunFailureReason.JOB_INITIALIZATION_FAILURE
    data = JobFailureData(error=None, failure_reason=reason)
    sensor.instance.report_run_failed(run, "SweepError: demo.yaml:3", data)
    assert sensor.tick() == []


@pytest.mark.parametrize(("terminal", "expected"), [(False, ["first"]), (True, [])])
def test_ctrl_c_at_a_terminal_is_a_wish_and_sigterm_of_a_worker_is_not(
    sensor: Sensor, terminal: bool, expected: list[str]
):
    tags = {} if terminal else {".dagster/grpc_info": "{}"}
    run = made(sensor.instance, tags=tags)
    reason = RunFailureReason.UNEXPECTED_TERMINATION
    data = JobFailureData(error=None, failure_reason=reason)
    sensor.instance.report_run_failed(run, "interrupted", data)
    assert asked(sensor.tick()) == expected


def test_a_full_disk_is_waited_for(small_disk, instance: dg.DagsterInstance):
    store = Store(small_disk(300))
    save_modality_config(a_modality_config(), store)
    sensor = Sensor(store, instance)
    checkpoint = a_spec(store.root, name="first").run_directory / "checkpoints" / "step-2"
    checkpoint.mkdir(parents=True)
    (checkpoint / "model.safetensors").write_bytes(bytes(60_000_000))
    (store.root / "foreign").write_bytes(bytes(180_000_000))
    failed(instance, trainer_ended(store, DISK_FULL))
    failed(
        instance, ExplainedFailureError(StoreError("x", "the disk is full (1 MB free).")), "second"
    )
    for _ in range(2):
        assert sensor.tick() == []
        assert "the disk is full: " in sensor.lines[0] and "120 MB are needed" in sensor.lines[0]
        assert sensor.lines[1].startswith("second, ")
    (store.root / "foreign").unlink()
    requests = sensor.tick()
    assert asked(requests) == ["first", "second"]
    assert requests[0].tags["gr00t/retry_number"] == "0", "waiting for room uses up no attempt"
    assert sensor.tick() == []


def test_what_failed_long_ago_is_left_alone(sensor: Sensor, monkeypatch: pytest.MonkeyPatch):
    run = died(sensor.instance)
    later = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: later)
    sensor.cursor = FailedRunsCursor(since=later - 60).model_dump_json()
    assert sensor.tick() == []
    assert run.run_id not in (sensor.cursor or "")
