from pathlib import Path

import dagster as dg
import pytest

from gr00t_assets.defs.schedules import schedule_name, sweep_schedule
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.modality.config import save_modality_config
from gr00t_assets.project import Store
from gr00t_assets.training.manifest import save_manifest
from gr00t_assets.training.run_directory import place_spec
from gr00t_assets_tests.defs.specs import a_manifest, a_modality_config, a_spec


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    save_modality_config(a_modality_config(), store)
    return store


def tick(store: Store) -> list[dg.RunRequest] | str | None:
    """What the schedule asks for, or why it asks for nothing."""
    experiments = tuple(a_spec(store.root, name=name).experiment for name in ("first", "second"))
    sweep = Sweep("demo", Path("demo.yaml"), "", "0 20 * * *", experiments)
    with dg.build_schedule_context(resources={"store": store}) as context:
        found = sweep_schedule(sweep, "0 20 * * *")(context)
    if isinstance(found, dg.SkipReason):
        return found.skip_message
    assert isinstance(found, list)
    return found


def test_it_requests_what_is_not_trained(store: Store):
    requests = tick(store)
    assert isinstance(requests, list)
    assert [request.partition_key for request in requests] == ["first", "second"]
    hashes = [a_spec(store.root, name=name).config_hash for name in ("first", "second")]
    keys = [request.run_key for request in requests]
    assert keys == [f"first:{hashes[0]}", f"second:{hashes[1]}"]


@pytest.mark.parametrize("status", ["failed", "interrupted", "finished"])
def test_only_a_finished_run_is_not_missing(store: Store, status: str):
    spec = a_spec(store.root, name="first")
    place_spec(spec)
    save_manifest(a_manifest(spec, status=status), spec.run_directory)
    requests = tick(store)
    assert isinstance(requests, list)
    expected = ["second"] if status == "finished" else ["first", "second"]
    assert [request.partition_key for request in requests] == expected


def test_it_says_why_it_requests_nothing(store: Store):
    for name in ("first", "second"):
        spec = a_spec(store.root, name=name)
        save_manifest(a_manifest(spec), spec.run_directory)
    assert tick(store) == "every experiment of demo is trained"


def test_without_data_it_says_what_to_run(tmp_path: Path):
    reason = tick(Store(tmp_path))
    assert isinstance(reason, str)
    assert reason.startswith("DatasetError: demo: this dataset has no validated modality config.")
    assert "--select modality_config --partition demo" in reason


def test_two_sweeps_never_share_a_name():
    names = {schedule_name(name) for name in ("a-b", "a.b", "a_b")}
    assert len(names) == 3
    assert all(name.replace("_", "").isalnum() for name in names)
