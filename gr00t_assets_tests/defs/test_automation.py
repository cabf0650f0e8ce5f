"""When the comparison is asked for by itself: the real definitions, evaluated without a daemon."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from gr00t_assets.definitions import defs
from gr00t_assets.defs.partitions import EXPERIMENTS

COMPARISON = dg.AssetKey("loss_comparison")
JOURNAL = dg.AssetKey("research_journal")
IN_TIME = dg.AssetCheckKey(COMPARISON, "scheduled_sweeps_are_in_time")
FIRST, SECOND, *_ = EXPERIMENTS


class Evaluated:
    """The automation sensor of the definitions, tick after tick."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self._cursor = None

    def tick(self) -> bool:
        """Whether the comparison is asked for."""
        result = dg.evaluate_automation_conditions(defs, self.instance, cursor=self._cursor)
        self._cursor = result.cursor
        assert {each.key for each in result.results} == {COMPARISON, JOURNAL, IN_TIME}
        return result.get_num_requested(COMPARISON) > 0

    def arrives(self, asset: str, partition: str | None = None) -> None:
        materialization = dg.AssetMaterialization(asset, partition=partition)
        self.instance.report_runless_asset_event(materialization)


@pytest.fixture
def sensor(tmp_path: Path) -> Iterator[Evaluated]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield Evaluated(instance)


def test_one_checkpoint_of_many_is_enough(sensor: Evaluated):
    assert not sensor.tick(), "nothing has arrived since it was switched on"
    sensor.arrives("checkpoint", FIRST)
    assert sensor.tick()
    assert not sensor.tick(), "asked for once"


def test_what_was_there_before_it_was_switched_on_is_not_news(sensor: Evaluated):
    sensor.arrives("checkpoint", FIRST)
    assert not sensor.tick()


def test_other_assets_do_not_matter(sensor: Evaluated):
    sensor.tick()
    sensor.arrives("dataset", "synthetic-pick-n-place")
    assert not sensor.tick()


def test_a_checkpoint_that_arrives_meanwhile_is_compared_afterwards(sensor: Evaluated):
    """The comparison that is at work has read the store before."""
    sensor.tick()
    sensor.arrives("checkpoint", FIRST)
    assert sensor.tick()
    with at_work(sensor.instance):
        assert not sensor.tick()
        sensor.arrives("checkpoint", SECOND)
        assert not sensor.tick(), "one at a time"
        assert not sensor.tick()
        sensor.arrives("loss_comparison")
    assert sensor.tick()
    assert not sensor.tick()


def test_a_checkpoint_that_arrives_right_after_the_request_is_compared(sensor: Evaluated):
    sensor.tick()
    sensor.arrives("checkpoint", FIRST)
    assert sensor.tick()
    sensor.arrives("checkpoint", SECOND)
    assert sensor.tick()
    assert not sensor.tick()


def test_a_comparison_by_hand_uses_nothing_up(sensor: Evaluated):
    sensor.tick()
    sensor.arrives("checkpoint", FIRST)
    sensor.arrives("loss_comparison")
    assert sensor.tick()


class at_work:  # noqa: N801
    """A comparison that has begun."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance

    def __enter__(self) -> None:
        job = defs.resolve_job_def("analysis")
        self._run = self._instance.create_run_for_job(job, asset_selection=frozenset([COMPARISON]))
        self._instance.report_engine_event("", self._run)
        event = dg.DagsterEvent(
            dg.DagsterEventType.RUN_START.value, job.name, message="", event_specific_data=None
        )
        self._instance.report_dagster_event(event, self._run.run_id)

    def __exit__(self, *_: object) -> None:
        run = self._instance.get_run_by_id(self._run.run_id)
        assert run is not None and run.status == dg.DagsterRunStatus.STARTED
        self._instance.report_run_failed(run)
