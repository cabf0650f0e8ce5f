"""Datasets of kinds that people reported; see ``data/cases``."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.fit.dataset_check import check_dataset, check_stored_dataset
from gr00t_assets.datasets.fit.modality_configs import build_modality_config
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.v3.convert import CONVERTED
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets.datasets.sources.versions import DatasetRecord, save_record
from gr00t_assets_tests.datasets.checks.edits import edit_json
from gr00t_assets_tests.datasets.videos import content

DATA = Path(__file__).parents[2] / "data"
CASES = DATA / "cases"
CONFIG = "so100_dualcam"
FRONT = "observation.images.front"


def warnings_of(folder: Path) -> set[str]:
    """Codes of the warnings of a dataset without an error."""
    findings = check_dataset(folder, CONFIG)
    assert findings.ok, [f"{item.subject}: {item.text}" for item in findings.errors]
    return {item.code for item in findings.warnings}


def taken(folder: Path, tmp_path: Path) -> tuple[CatalogEntry, Store, DatasetRecord]:
    """A dataset in a store."""
    entry = CatalogEntry.model_validate(
        {
            "name": "case",
            "description": "A case",
            "source": {"kind": "folder", "path": str(folder)},
            "data_config": CONFIG,
        }
    )
    store = Store(tmp_path / "store")
    return entry, store, ingest_dataset(entry, store)


@pytest.mark.parametrize("name", ["so101", "so101-images"])
def test_what_lerobot_wrote_is_checked_where_it_lies(name: str) -> None:
    """A dataset of LeRobot 0.6.1, which knows no modality.json and averages quantiles."""
    folder = DATA / f"lerobot-0.6.1-{name}"
    before = content(folder)
    findings = check_dataset(folder)
    assert [item.code for item in findings.errors] == ["modality-missing"]
    assert {item.code for item in findings.warnings} - {"codec-support"} == {"stats-quantiles"}
    dataset = LeRobotDataset.open(folder)
    assert dataset.cameras == (FRONT, FRONT.replace("front", "wrist"))
    rows = [dataset.vector(episode.index, "action") for episode in dataset.episodes]
    np.testing.assert_array_equal(np.concatenate(rows), stored_rows(folder, "action"))
    assert content(folder) == before


def stored_rows(folder: Path, column: str) -> np.ndarray:
    """A column of all data files, shape ``(rows, numbers)``, in the order of episodes."""
    tables = [pq.read_table(path) for path in sorted(folder.glob("data/*/*.parquet"))]
    table = pa.concat_tables(tables).sort_by([("episode_index", "ascending")])
    return np.array(table.column(column).to_pylist())


def test_averaged_quantiles_are_a_warning_and_computed_from_the_rows(tmp_path: Path) -> None:
    folder = CASES / "lerobot-quantiles" / "v30"
    assert warnings_of(folder) == {"stats-quantiles"}
    entry, store, record = taken(folder, tmp_path)
    findings = check_stored_dataset(record, store, CONFIG, "new_embodiment")
    assert [item.code for item in findings] == ["stats-quantiles"]
    config = build_modality_config(entry, store)
    for keys, column in ((config.state, "observation.state"), (config.action, "action")):
        rows = stored_rows(folder, column)
        for key in keys:
            part = rows[:, key.start : key.end]
            for name, share in (("q01", 0.01), ("q99", 0.99)):
                right = np.quantile(part, share, axis=0)
                np.testing.assert_allclose(getattr(key.statistics, name), right, rtol=1e-5)


def test_what_the_converter_wrote_is_no_finding_even_where_the_scan_is_lost(tmp_path: Path) -> None:
    _, store, record = taken(CASES / "lerobot-quantiles" / "v30", tmp_path)
    store.dataset_scan(record.name, record.version).unlink()
    assert list(check_stored_dataset(record, store, CONFIG, "new_embodiment")) == []


def test_what_an_older_converter_wrote_is_converted_anew(tmp_path: Path) -> None:
    """It copied LeRobot's quantiles."""
    folder = CASES / "lerobot-quantiles" / "v30"
    entry, store, record = taken(folder, tmp_path)
    older = f"{CONVERTED}; every frame was compared"
    save_record(record.model_copy(update={"warnings": (older,)}), store)
    stats = record.directory(store) / "meta" / "stats.json"
    shutil.copyfile(folder / "meta" / "stats.json", stats)
    assert ingest_dataset(entry, store) == record
    assert not stats.exists()


def test_stale_statistics_of_v30_are_a_warning_and_of_v21_an_error(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(CASES / "lerobot-quantiles" / "v30", tmp_path / "v30"))
    edit_json(folder, "stats.json", lambda stats: stats["action"]["max"].__setitem__(0, 99.0))
    assert warnings_of(folder) == {"stats-quantiles", "stats-mismatch"}
    own = Path(shutil.copytree(CASES / "shape-6x1" / "v21", tmp_path / "v21"))
    statistics = {name: [1.0] * 6 for name in ("min", "max", "mean", "std", "q01", "q99")}
    (own / "meta" / "stats.json").write_text(json.dumps({"observation.state": statistics}))
    assert [item.code for item in check_dataset(own).errors] == ["stats-mismatch"]


@pytest.mark.parametrize(("mean", "std", "stored"), [(90, 0.0093, 0.031), (180, 0.0989, 0.1083)])
def test_lerobots_deviation_of_a_number_that_hardly_moves_is_no_finding(
    mean: float, std: float, stored: float, tmp_path: Path
) -> None:
    """``stored`` is what LeRobot 0.6.1 wrote for such numbers."""
    folder = Path(shutil.copytree(CASES / "lerobot-quantiles" / "v30", tmp_path / "v30"))
    column = stored_rows(folder, "action")[:, 0]
    moved = mean + std * (column - column.mean()) / column.std()
    for path in folder.glob("data/*/*.parquet"):
        table = pq.read_table(path)
        rows = np.array(table.column("action").to_pylist(), np.float32)
        rows[:, 0] = mean + std * (rows[:, 0] - column.mean()) / column.std()
        field = table.schema.field("action")
        place = table.schema.get_field_index("action")
        values = pa.array(rows.tolist(), field.type)
        pq.write_table(table.set_column(place, field, values), path)

    def write(stats: dict) -> None:
        numbers = {"min": moved.min(), "max": moved.max(), "mean": mean, "std": stored}
        for name, value in numbers.items():
            stats["action"][name][0] = float(value)

    edit_json(folder, "stats.json", write)
    assert "stats-mismatch" not in warnings_of(folder)


def test_a_named_data_file_that_is_not_there_is_a_warning(tmp_path: Path) -> None:
    folder = CASES / "named-data-file-absent" / "v30"
    assert warnings_of(folder) == {"data-file-absent", "stats-missing"}
    _, store, record = taken(folder, tmp_path)
    for path in (folder, record.directory(store)):
        dataset = LeRobotDataset.open(path)
        for column in ("action", "observation.state"):
            rows = [dataset.vector(episode.index, column) for episode in dataset.episodes]
            np.testing.assert_array_equal(np.concatenate(rows), stored_rows(folder, column))


def test_a_data_file_that_is_not_there_with_its_rows_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "v30"
    shutil.copytree(CASES / "named-data-file-absent" / "v30", folder)
    (folder / "data/chunk-000/file-001.parquet").unlink()
    errors = [(item.code, item.subject) for item in check_dataset(folder, CONFIG).errors]
    assert ("parquet-missing", "data/chunk-000/file-002.parquet") in errors


def test_what_cannot_be_converted_is_refused_with_the_persons_own_files(tmp_path: Path) -> None:
    folder = tmp_path / "v30"
    shutil.copytree(CASES / "named-data-file-absent" / "v30", folder)
    (folder / "data/chunk-000/file-001.parquet").unlink()
    with pytest.raises(DatasetError) as refused:
        taken(folder, tmp_path)
    text = str(refused.value)
    assert "data/chunk-000/file-002.parquet: no such file" in text
    assert str(folder) in text and "partial" not in text and str(tmp_path / "store") not in text
    assert not list((tmp_path / "store").rglob("*.parquet"))


def test_the_projects_own_modality_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    folder = CASES / "shape-6x1" / "v21"
    modality = json.loads((folder / "meta" / "modality.json").read_text())
    own = tmp_path / "data" / "datasets" / "case" / "modality.json"
    own.parent.mkdir(parents=True)
    for start, expected in ((4, ["data/datasets/case/modality.json"]), (5, [])):
        modality["action"]["gripper"]["start"] = start
        own.write_text(json.dumps(modality))
        _, store, record = taken(folder, tmp_path)
        findings = check_stored_dataset(record, store, CONFIG, "new_embodiment")
        assert [item.subject for item in findings.errors] == expected


@pytest.mark.parametrize("layout", ["v21", "v30"])
def test_a_text_with_a_line_separator_is_kept_to_the_letter(layout: str, tmp_path: Path) -> None:
    folder = CASES / "u2028-in-task" / layout
    assert warnings_of(folder) == {"stats-missing"}
    _, store, record = taken(folder, tmp_path)
    texts = [LeRobotDataset.open(path).tasks for path in (folder, record.directory(store))]
    assert texts[0] == texts[1]
    assert sum("\u2028" in text for text in texts[0].values()) == 1
    assert tuple(texts[0].values()) == record.tasks


def test_numbers_in_two_axes_are_read_one_after_another(tmp_path: Path) -> None:
    folder = CASES / "shape-6x1" / "v21"
    findings = check_dataset(folder, CONFIG)
    assert {item.code for item in findings} == {"feature-flattened", "stats-missing"}
    assert not any("unequal" in item.text or "length" in item.text for item in findings)
    entry, store, _ = taken(folder, tmp_path)
    config = build_modality_config(entry, store)
    rows = np.array(stored_rows(folder, "action")).reshape(-1, 6)
    largest = [value for key in config.action for value in key.statistics.max]
    np.testing.assert_allclose(largest, rows.max(axis=0), rtol=1e-6)


@pytest.mark.parametrize("length", [1, 6])
def test_lerobots_statistics_of_two_axes_are_no_error(length: int, tmp_path: Path) -> None:
    """LeRobot merges all axes but the last one with the rows."""
    folder = Path(shutil.copytree(CASES / "shape-6x1" / "v21", tmp_path / "v21"))
    rows = stored_rows(folder, "action").reshape(-1, length)
    named = {"min": rows.min(0), "max": rows.max(0), "mean": rows.mean(0), "std": rows.std(0)}
    named |= {"q01": np.quantile(rows, 0.01, 0), "q99": np.quantile(rows, 0.99, 0)}
    statistics = {name: values.tolist() for name, values in named.items()}
    (folder / "meta" / "stats.json").write_text(json.dumps({"action": statistics}))
    assert warnings_of(folder) == {"feature-flattened", "stats-incomplete"}
    entry, store, _ = taken(folder, tmp_path)
    config = build_modality_config(entry, store)
    largest = [value for key in config.action for value in key.statistics.max]
    np.testing.assert_allclose(largest, rows.reshape(-1, 6).max(axis=0), rtol=1e-6)


def test_text_where_task_indices_are_expected_is_named_and_the_remedy_works(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(CASES / "text-annotation" / "v21", tmp_path / "v21"))
    (finding,) = check_dataset(folder, CONFIG).errors
    assert finding.subject == "meta/modality.json"
    assert finding.found.endswith("annotation.human.task_description, which holds text")
    assert finding.expected == "task indices of meta/tasks.jsonl"
    assert finding.remedy == "set its original_key: task_index"

    def point(modality: dict) -> None:
        modality["annotation"]["human.task_description"] = {"original_key": "task_index"}

    edit_json(folder, "modality.json", point)
    assert warnings_of(folder) == {"stats-missing"}
