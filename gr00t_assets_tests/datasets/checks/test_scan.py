"""The scan of a dataset version is made once and read after that."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gr00t_assets.core.project import Store
from gr00t_assets.datasets.checks import scan
from gr00t_assets.datasets.fit.dataset_check import check_dataset, check_stored_dataset
from gr00t_assets.datasets.sources.versions import DatasetRecord
from gr00t_assets_tests.datasets.checks.edits import data_file
from gr00t_assets_tests.datasets.checks.test_faults import FAULTS
from gr00t_assets_tests.defs.project import make_project

CONFIG = "fourier_gr1_arms_only"
COUNT_SCANS = """
import dagster as dg
from gr00t_assets.definitions import defs
from gr00t_assets.datasets.checks.episode_scan import EpisodeScanner
scans, run = [], EpisodeScanner.run
EpisodeScanner.run = lambda self, *given: (scans.append(1), run(self, *given))[1]
job = defs.resolve_implicit_global_asset_job_def()
for asset in ("dataset", "modality_config"):
    result = job.execute_in_process(partition_key="demo", asset_selection=[dg.AssetKey(asset)])
    print(asset, [check.passed for check in result.get_asset_check_evaluations()], len(scans))
"""


@pytest.fixture
def record(spoilt: Path, tmp_path: Path) -> DatasetRecord:
    """A dataset version in a store, which a test may spoil."""
    record = DatasetRecord(
        name="stored", version="0" * 16, source="a test", revision=None, codebase_version="v2.0",
        robot_type="gr1", episodes=3, frames=120, fps=20, cameras=(), tasks=(), size_bytes=1,
    )  # fmt: skip
    directory = record.directory(Store(tmp_path / "store"))
    directory.parent.mkdir(parents=True)
    spoilt.rename(directory)
    return record


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """The directories that were scanned."""
    scanned: list[Path] = []
    scan_dataset = scan.scan_dataset

    def counted(directory: Path, *given: Any) -> scan.DatasetScan:
        scanned.append(directory)
        return scan_dataset(directory, *given)

    monkeypatch.setattr(scan, "scan_dataset", counted)
    yield scanned


def test_a_materialisation_of_the_real_assets_scans_once(tmp_path: Path) -> None:
    source = {
        "kind": "synthetic", "episodes": 2, "min_frames": 40, "max_frames": 42, "width": 96,
        "height": 96,
    }  # fmt: skip
    entry = {"description": "a test", "source": source, "data_config": CONFIG}
    sweep = {"defaults": {"dataset": "demo"}, "experiments": [{"name": "one"}]}
    project = make_project(tmp_path, {"demo": entry}, {"sweep": sweep})
    result = project.python(COUNT_SCANS)
    lines = result.stdout.splitlines()
    assert "dataset [True] 1" in lines, result.stdout
    assert "modality_config [True] 1" in lines, result.stdout


@pytest.mark.parametrize("name", ["NaN", "task unknown", "slices overlap", "action constant"])
def test_a_kept_scan_gives_the_findings_of_a_new_one(
    name: str, record: DatasetRecord, scans: list[Path], tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    FAULTS[name].make(record.directory(store))
    for config in (None, CONFIG, CONFIG, "so100_dualcam"):
        kept = check_stored_dataset(record, store, config, "gr1")
        assert kept.to_json() == check_dataset(record.directory(store), config, "gr1").to_json()
    assert len(scans) == 1


def test_a_file_that_changed_is_scanned_again(
    record: DatasetRecord, scans: list[Path], tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    assert check_stored_dataset(record, store, CONFIG, "gr1").ok
    (record.directory(store) / data_file(1)).write_bytes(b"")
    assert not check_stored_dataset(record, store, CONFIG, "gr1").ok
    assert len(scans) == 2


@pytest.mark.parametrize("change", [{"scan_version": 0}, {"backend": "decord"}, {"scan": None}])
def test_a_scan_of_other_checks_or_a_damaged_one_is_not_used(
    change: dict[str, object], record: DatasetRecord, scans: list[Path], tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    check_stored_dataset(record, store, CONFIG, "gr1")
    kept = store.dataset_scan(record.name, record.version)
    kept.write_text(json.dumps(json.loads(kept.read_text()) | change))
    assert check_stored_dataset(record, store, CONFIG, "gr1").ok
    assert len(scans) == 2
    assert json.loads(kept.read_text())["scan_version"] == scan.SCAN_VERSION
