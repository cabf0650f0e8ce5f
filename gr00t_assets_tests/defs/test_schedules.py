"""What a sweep's schedule asks for, on a real instance; and a real daemon that ticks."""

import fcntl
import sys
from pathlib import Path

import dagster as dg
import pytest

from gr00t_assets.core.errors import SweepError, TrainingError
from gr00t_assets.core.project import Store
from gr00t_assets.defs.failures import ExplainedFailureError
from gr00t_assets.defs.schedules import schedule_name, scheduled_requests
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.runs.manifest import save_manifest
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets_tests.defs.dagster_dev import change_settings
from gr00t_assets_tests.defs.died import died, failed, made
from gr00t_assets_tests.defs.noop_project import MODULE, noop_events, noop_project, noop_sweep
from gr00t_assets_tests.defs.project import Project
from gr00t_assets_tests.defs.recovery_project import powered, quick_monitoring, runs
from gr00t_assets_tests.defs.specs import a_manifest, a_spec
from gr00t_assets_tests.gpu.test_guard import wait_until

CRON = "0 20 * * *"


def experiments(store: Store, **priorities: int) -> tuple[Experiment, ...]:
    names = priorities or {"first": 0, "second": 0}
    return tuple(
        a_spec(store.root, name=name, priority=priority).experiment
        for name, priority in names.items()
    )


def tick(
    store: Store, instance: dg.DagsterInstance, asked: tuple[Experiment, ...] = ()
) -> list[dg.RunRequest] | str | None:
    """What the schedule asks for, or why it asks for nothing."""
    sweep = Sweep("demo", Path("demo.yaml"), "", CRON, asked or experiments(store))
    resources = {"store": store}
    with dg.build_schedule_context(instance=instance, resources=resources) as context:
        found = scheduled_requests(sweep, store, context)
    if isinstance(found, dg.SkipReason):
        return found.skip_message
    assert isinstance(found, list)
    return found


def names(requests: list[dg.RunRequest] | str | None) -> list[str | None]:
    assert isinstance(requests, list), requests
    return [request.partition_key for request in requests]


def test_it_requests_what_is_not_trained(store: Store, instance: dg.DagsterInstance):
    requests = tick(store, instance)
    assert names(requests) == ["first", "second"]
    assert isinstance(requests, list)
    hashes = [a_spec(store.root, name=name).config_hash for name in ("first", "second")]
    keys = [request.run_key for request in requests]
    assert keys == [f"first:{hashes[0]}", f"second:{hashes[1]}"]


def test_those_of_high_priority_come_first(store: Store, instance: dg.DagsterInstance):
    asked = experiments(store, low=-1, plain=0, high=10, also=10)
    requests = tick(store, instance, asked)
    assert names(requests) == ["high", "also", "plain", "low"]
    assert isinstance(requests, list)
    assert [each.tags["dagster/priority"] for each in requests] == ["10", "10", "0", "-1"]


@pytest.mark.parametrize("status", ["failed", "interrupted", "finished"])
def test_only_a_finished_run_is_not_missing(
    store: Store, instance: dg.DagsterInstance, status: str
):
    spec = a_spec(store.root, name="first")
    place_spec(spec)
    save_manifest(a_manifest(spec, status=status), spec.run_directory)
    expected = ["second"] if status == "finished" else ["first", "second"]
    assert names(tick(store, instance)) == expected


@pytest.mark.parametrize("page", [False, True])
@pytest.mark.parametrize("status", ["NOT_STARTED", "STARTING", "STARTED", "CANCELING"])
def test_what_is_asked_for_or_trains_is_not_asked_for_again(
    store: Store, instance: dg.DagsterInstance, status: str, page: bool
):
    run = made(instance, "first", dg.DagsterRunStatus(status), page=page)
    made(instance, "second", dg.DagsterRunStatus(status), page=page)
    words = status.lower().replace("_", " ")
    for _ in range(2):
        reason = tick(store, instance)
        assert isinstance(reason, str)
        assert reason.startswith(f"first: run {run.run_id[:8]} is {words}\nsecond: ")


def test_a_configuration_that_changes_back_is_asked_for_again(
    store: Store, instance: dg.DagsterInstance
):
    before = tick(store, instance)
    assert isinstance(before, list)
    made(instance, "first", dg.DagsterRunStatus.SUCCESS, before[0].tags)
    other = a_spec(store.root, name="first", hyperparameters={"max_steps": 5}).experiment
    assert names(tick(store, instance, (other,))) == ["first"]
    assert "first" in names(tick(store, instance))


def test_a_run_that_died_is_the_sensors(store: Store, instance: dg.DagsterInstance):
    run = died(instance, "first")
    assert names(tick(store, instance)) == ["second"]
    died(instance, "second")
    reason = tick(store, instance)
    assert isinstance(reason, str) and reason.startswith(f"first: run {run.run_id[:8]} died (")
    assert "resume_crashed_runs asks for it again" in reason


def test_a_failure_waits_for_a_person_or_another_configuration(
    store: Store, instance: dg.DagsterInstance
):
    tags = {"gr00t/config_hash": a_spec(store.root, name="first").config_hash}
    failed(instance, ExplainedFailureError(TrainingError("first", "no such camera.")), **tags)
    spec = a_spec(store.root, name="second")
    save_manifest(a_manifest(spec), spec.run_directory)
    reason = tick(store, instance)
    assert isinstance(reason, str)
    assert "TrainingError: first: no such camera." in reason and "launch it from the page" in reason
    assert "\nsecond: it is trained" in reason
    other = a_spec(store.root, name="first", hyperparameters={"max_steps": 5}).experiment
    assert names(tick(store, instance, (other,))) == ["first"]


def test_what_met_a_file_with_a_fault_is_asked_for_again(
    store: Store, instance: dg.DagsterInstance
):
    tags = {"gr00t/config_hash": a_spec(store.root, name="first").config_hash}
    error = SweepError("data/sweeps/demo.yaml:3", "this is not YAML.")
    failed(instance, ExplainedFailureError(error), **tags)
    assert names(tick(store, instance)) == ["first", "second"]


def test_a_cancelled_run_is_asked_for_at_the_next_tick(store: Store, instance: dg.DagsterInstance):
    made(instance, "first", dg.DagsterRunStatus.CANCELED)
    assert names(tick(store, instance)) == ["first", "second"]


def test_a_training_by_hand_is_left_alone(store: Store, instance: dg.DagsterInstance):
    directory = a_spec(store.root, name="first").run_directory
    directory.mkdir(parents=True)
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert names(tick(store, instance)) == ["second"]


def test_what_goes_on_from_another_waits_for_it(store: Store, instance: dg.DagsterInstance):
    longer = a_spec(
        store.root,
        name="longer",
        continue_from="first",
        continued_steps=(4,),
        hyperparameters={"max_steps": 8},
    ).experiment
    asked = (longer, *experiments(store, first=0))
    assert names(tick(store, instance, asked)) == ["first"]
    spec = a_spec(store.root, name="first")
    save_manifest(a_manifest(spec), spec.run_directory)
    assert names(tick(store, instance, asked)) == ["longer"]


def test_it_says_why_it_requests_nothing(store: Store, instance: dg.DagsterInstance):
    for name in ("first", "second"):
        spec = a_spec(store.root, name=name)
        save_manifest(a_manifest(spec), spec.run_directory)
    assert tick(store, instance) == "every experiment of demo is trained"


def test_what_lacks_its_data_is_passed_over_with_the_command(
    store: Store, instance: dg.DagsterInstance
):
    other = a_spec(store.root, name="elsewhere", dataset="other").experiment
    assert names(tick(store, instance, (other, *experiments(store)))) == ["first", "second"]
    reason = tick(store, instance, (other,))
    assert isinstance(reason, str)
    assert "DatasetError: other: this dataset has no validated modality config." in reason
    assert "--select modality_config --partition other" in reason


def test_two_sweeps_never_share_a_name():
    found = {schedule_name(name) for name in ("a-b", "a.b", "a_b")}
    assert len(found) == 3
    assert all(name.replace("_", "").isalnum() for name in found)


def test_a_daemon_that_ticks_every_minute_asks_for_each_once(tmp_path: Path):
    sweep = noop_sweep("a", {"name": "b", "priority": 5}, "c", steps=1, schedule="* * * * *")
    slow = {"NOOP_STEP_SECONDS": "100", "GR00T_ASSETS_CPU_SLOTS": "1"}
    project = noop_project(tmp_path, {"night": sweep}, slow)
    quick_monitoring(project)
    one = [{"key": "gpu", "limit": 1}]
    change_settings(project, "run_coordinator.config", tag_concurrency_limits=one)
    with powered(project, MODULE):
        command = ["dagster", "schedule", "start", "-m", MODULE, "sweep_night"]
        started = project.run(sys.executable, "-m", *command, DAGSTER_HOME=str(tmp_path))
        assert started.returncode == 0, started.stdout
        assert wait_until(lambda: len(ticks(project)) >= 3, 300), ticks(project)
        assert wait_until(lambda: len(noop_events(project)) >= 1, 60)
        # Beside them runs the comparison, which follows each checkpoint and has no partition.
        tags = [run.tags for run in runs(project) if "dagster/partition" in run.tags]
        assert sorted(tag["dagster/partition"] for tag in tags) == ["a", "b", "c"]
        found = {tag["dagster/partition"]: tag for tag in tags}
        assert found["b"]["dagster/priority"] == "5"
        assert "TickStatus.SKIPPED" in ticks(project)
    assert noop_events(project)[0]["experiment"] == "b"


def ticks(project: Project) -> list[str]:
    """Status of each tick of the schedule, the newest first."""
    with project.instance() as instance:
        found = [state for state in instance.all_instigator_state() if state.name == "sweep_night"]
        return [
            str(tick.status)
            for state in found
            for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id)
            if str(tick.status) != "TickStatus.STARTED"
        ]
