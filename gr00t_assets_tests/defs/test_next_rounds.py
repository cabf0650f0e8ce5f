"""A sweep with ``until``: which rounds it asks for, on a real instance, and a daemon that does."""

import math
import random
import sys
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from gr00t_assets.core.errors import SweepError
from gr00t_assets.core.project import Store
from gr00t_assets.defs.schedules import round_requests
from gr00t_assets.experiments.expansion import further_experiments
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.sweep_file import Until
from gr00t_assets.experiments.sweeps import Sweep, load_rounds, rounds_file
from gr00t_assets.runs.final_loss import LossWindow
from gr00t_assets.runs.manifest import save_manifest
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets_tests.defs.died import made
from gr00t_assets_tests.defs.noop_project import MODULE, noop_project, noop_sweep
from gr00t_assets_tests.defs.project import Project
from gr00t_assets_tests.defs.recovery_project import powered, quick_monitoring, runs
from gr00t_assets_tests.defs.specs import a_manifest, a_spec
from gr00t_assets_tests.gpu.test_guard import wait_until

RATES = (1e-4, 3e-4, 1e-3)


class Sensor:
    """The sensor of one sweep over three rates; what it asks for is trained by ``train``."""

    def __init__(self, store: Store, instance: dg.DagsterInstance, **until: object) -> None:
        self.store, self.instance = store, instance
        own = [
            a_spec(
                store.root,
                name=f"lr{rate:g}",
                hyperparameters={"max_steps": 4, "learning_rate": rate},
            ).experiment
            for rate in RATES
        ]
        asked = Until.model_validate({"question": "learning_rate", "max_gpu_hours": 1, **until})
        further = tuple(further_experiments(own))
        self.sweep = Sweep("demo", Path("demo.yaml"), "", None, tuple(own), 3, asked, further)
        self.words = ""

    def tick(self) -> list[str]:
        requests, self.words = round_requests(self.sweep, self.store, self.instance)
        for request in requests:
            assert request.partition_key is not None
            waiting = dg.DagsterRunStatus.NOT_STARTED
            made(self.instance, request.partition_key, waiting, request.tags)
        return [str(request.partition_key) for request in requests]

    def train(self, names: list[str], effect: float = 0.5, noise: float = 0.02) -> None:
        every = {item.name: item for item in (*self.sweep.experiments, *self.sweep.further)}
        for name in names:
            settings = every[name].hyperparameters
            place = RATES.index(settings.learning_rate)
            luck = random.Random(name).gauss(0, noise)
            self.save(every[name], math.exp(effect * place + luck))

    def save(self, experiment: Experiment, loss: float, **changes: object) -> None:
        spec = a_spec(self.store.root, **experiment.model_dump(exclude_defaults=True))
        place_spec(spec)
        window = LossWindow(mean=loss, standard_error=0.001, steps=2, samples=64)
        fields = {"wall_seconds": 36.0, "samples_per_second": 128 / 36, **changes}
        manifest = a_manifest(spec, final_loss=window, **fields)
        save_manifest(manifest, spec.run_directory)

    @property
    def names(self) -> list[str]:
        return [item.name for item in self.sweep.experiments]


@pytest.fixture
def sensor(store: Store, instance: dg.DagsterInstance) -> Sensor:
    return Sensor(store, instance)


def test_it_waits_for_the_first_round_and_starts_none_of_it(sensor: Sensor):
    assert sensor.tick() == []
    assert sensor.words == "demo: waits for lr0.0001, lr0.0003, lr0.001"
    sensor.train(sensor.names[:2])
    assert sensor.tick() == [] and "waits for lr0.001" in sensor.words


def test_a_finished_round_is_followed_by_the_next_until_it_is_settled(sensor: Sensor):
    sensor.train(sensor.names)
    first = sensor.tick()
    assert first == ["lr0.0001-seed1", "lr0.0003-seed1", "lr0.001-seed1"]
    assert sensor.tick() == [] and "waits for lr0.0001-seed1" in sensor.words
    sensor.train(first)
    assert sensor.tick() == [], sensor.words
    assert "stopped, settled" in sensor.words and "learning_rate" in sensor.words
    (asked,) = load_rounds("demo", sensor.store).rounds
    assert list(asked.experiments) == first and asked.hours == pytest.approx(0.03, rel=0.5)


def test_a_tick_that_died_after_writing_asks_for_the_same_and_once(sensor: Sensor):
    sensor.train(sensor.names)
    requests, _ = round_requests(sensor.sweep, sensor.store, sensor.instance)
    again, _ = round_requests(sensor.sweep, sensor.store, sensor.instance)
    assert [item.run_key for item in requests] == [item.run_key for item in again]
    assert len(load_rounds("demo", sensor.store).rounds) == 1


def test_a_damaged_record_stops_the_round_and_is_not_overwritten(sensor: Sensor):
    sensor.train(sensor.names)
    sensor.train(sensor.tick())
    file = rounds_file("demo", sensor.store)
    content = file.read_text()
    for damaged in ("{", content.replace("seed1", "seed2", 1)):
        file.write_text(damaged)
        with pytest.raises(SweepError, match="move it away"):
            sensor.tick()
        assert file.read_text() == damaged
    file.write_text(content)
    assert sensor.tick() == [] and "settled" in sensor.words


def test_a_lost_record_is_found_out_again(sensor: Sensor):
    sensor.train(sensor.names)
    sensor.train(first := sensor.tick())
    rounds_file("demo", sensor.store).unlink()
    assert sensor.tick() == []
    assert sorted(load_rounds("demo", sensor.store).names) == sorted(first)
    assert sensor.tick() == [] and "settled" in sensor.words


def test_it_stops_where_the_hours_would_not_do(store: Store, instance: dg.DagsterInstance):
    sensor = Sensor(store, instance, max_gpu_hours=0.05)
    sensor.train(sensor.names)
    assert sensor.tick() == []
    assert "next round of 3 runs" in sensor.words and "max_gpu_hours is 0.05" in sensor.words
    sensor.sweep = replace(sensor.sweep, until=Until(question="learning_rate", max_gpu_hours=1))
    assert len(sensor.tick()) == 3


def test_it_stops_where_no_seeds_would_settle_it(sensor: Sensor):
    asked = sensor.names
    for _ in range(6):
        sensor.train(asked, effect=0.0, noise=0.2)
        if not (asked := sensor.tick()):
            break
    assert "stopped, open: 5 seeds are not likely" in sensor.words
    assert 1 <= len(load_rounds("demo", sensor.store).rounds) <= 4


def test_which_is_best_repeats_the_leaders_alone(store: Store, instance: dg.DagsterInstance):
    sensor = Sensor(store, instance, question="best")
    for name, loss in zip(sensor.names, (0.1, 0.11, 0.3), strict=True):
        every = {item.name: item for item in sensor.sweep.experiments}
        sensor.save(every[name], loss)
    assert sensor.tick() == ["lr0.0001-seed1", "lr0.0003-seed1"]


def test_a_failed_run_is_waited_for_with_its_name(sensor: Sensor):
    sensor.train(sensor.names[:2])
    sensor.save(sensor.sweep.experiments[2], 1.0, status="failed", failure="no such camera")
    assert sensor.tick() == []
    assert sensor.words == "demo: waits for lr0.001 (failed)"


@pytest.mark.faults
def test_a_daemon_goes_through_rounds_by_itself_and_stops(tmp_path: Path):
    entries = [
        {"name": f"lr{rate:g}", "hyperparameters": {"learning_rate": rate, "seed": 42}}
        for rate in (1e-4, 2e-4)
    ]
    until = {"question": "learning_rate", "max_gpu_hours": 1}
    sweep = noop_sweep(*entries, until=until, schedule="* * * * *")
    project = noop_project(tmp_path, {"night": sweep}, {"GR00T_ASSETS_CPU_SLOTS": "2"})
    quick_monitoring(project)
    with powered(project, MODULE):
        command = ["-m", "dagster", "schedule", "start", "-m", MODULE, "sweep_night"]
        started = project.run(sys.executable, *command, DAGSTER_HOME=str(tmp_path))
        assert started.returncode == 0, started.stdout
        assert wait_until(lambda: len(load_rounds("night", project.store).rounds) >= 1, 240)
    # Everything was killed. What was asked for by then is not asked for again.
    with powered(project, MODULE):
        assert wait_until(lambda: "settled" in plan(project), 300), plan(project)
    rounds = load_rounds("night", project.store).rounds
    first = [run.tags for run in runs(project) if "gr00t/retry_of" not in run.tags]
    trained = [tags["dagster/partition"] for tags in first if "dagster/partition" in tags]
    assert len(rounds) >= 1 and len(trained) == len(set(trained)) == 2 + 2 * len(rounds), trained


def plan(project: Project) -> str:
    command = ["-m", "gr00t_assets.cli.main", "sweep", "plan", "night"]
    return project.run(sys.executable, *command, COLUMNS="400").stdout
