"""When an experiment of a scheduled sweep is late, by what Dagster was told and the store has."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import yaml

from gr00t_assets.core.project import Store
from gr00t_assets.defs.project_checks import late_experiments
from gr00t_assets.defs.resources import observe
from gr00t_assets.experiments.sweeps import Sweep, load_sweep
from gr00t_assets.runs.manifest import save_manifest
from gr00t_assets.runs.spec import make_spec
from gr00t_assets_tests.defs.noop_project import noop_sweep
from gr00t_assets_tests.defs.specs import a_manifest

DAYS = timedelta(days=1)


def a_sweep(folder: Path, **more: str) -> Sweep:
    file = folder / "nightly.yaml"
    file.write_text(yaml.safe_dump(noop_sweep("a", "b", steps=4, **more)))
    return load_sweep(file, ["demo"])


@pytest.fixture
def nightly(tmp_path: Path) -> Sweep:
    return a_sweep(tmp_path, schedule="0 20 * * *", time_zone="Asia/Tokyo")


def test_it_is_late_after_the_second_tick_and_no_more_once_it_is_trained(
    nightly: Sweep, store: Store, instance: dg.DagsterInstance
) -> None:
    now = datetime.now(UTC)
    for experiment in nightly.experiments:
        observe(experiment, store, instance)
    for days in (0, 1):
        assert late_experiments(nightly, store, instance, now + days * DAYS) == {}
    late = late_experiments(nightly, store, instance, now + 2 * DAYS)
    assert set(late) == {"a", "b"}
    assert (late["a"].hour, str(late["a"].tzinfo)) == (20, "Asia/Tokyo")
    assert DAYS < late["a"] - now < 2 * DAYS, "by the second tick after it was known"

    spec = make_spec(nightly.experiments[0], store)
    spec.run_directory.mkdir(parents=True)
    save_manifest(a_manifest(spec), spec.run_directory)
    assert set(late_experiments(nightly, store, instance, now + 2 * DAYS)) == {"b"}


def test_without_a_schedule_or_unknown_to_dagster_nothing_is_late(
    nightly: Sweep, store: Store, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    later = datetime.now(UTC) + 9 * DAYS
    assert late_experiments(nightly, store, instance, later) == {}
    observe(nightly.experiments[0], store, instance)
    assert set(late_experiments(nightly, store, instance, later)) == {"a"}
    assert late_experiments(a_sweep(tmp_path), store, instance, later) == {}
