"""Curation by the catalog: what the store has differs, the source never does."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gr00t_assets.core.errors import CatalogError, DatasetError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.fit.modality_configs import build_modality_config
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets.datasets.sources.versions import DatasetRecord, content_hash
from gr00t_assets.defs.assets.data import dataset_metadata
from gr00t_assets_tests.datasets.checks.edits import (
    data_file,
    edit_json,
    edit_lines,
    edit_rows,
    video_file,
)
from gr00t_assets_tests.datasets.conftest import entry_of
from gr00t_assets_tests.datasets.curated import (
    FPS,
    RESTING,
    assert_episode,
    catalog_entry,
    write_resting,
)
from gr00t_assets_tests.datasets.lerobot.v3.v30 import convert_to_v30
from gr00t_assets_tests.datasets.sources.hub_server import Hub

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="module")
def v21(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_resting(tmp_path_factory.mktemp("curated") / "v21")


@pytest.fixture(scope="module")
def v30(v21: Path) -> Path:
    directory = v21.with_name("v30")
    convert_to_v30(v21, directory, episodes_per_file=3)
    return directory


@pytest.fixture(params=["v21", "v30"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(request.getfixturevalue(request.param), tmp_path / "source"))


Ingest = Callable[..., tuple[DatasetRecord, LeRobotDataset]]


@pytest.fixture
def ingest(source: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ingest:
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))

    def take(**fields: Any) -> tuple[DatasetRecord, LeRobotDataset]:
        before = _digests(source)
        record = ingest_dataset(catalog_entry(source, tmp_path, **fields), store)
        assert _digests(source) == before
        return record, LeRobotDataset.open(record.directory(store))

    return take


def _digests(directory: Path) -> dict[str, str]:
    files = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_episodes_are_left_out_and_numbered_anew(ingest: Ingest, v21: Path) -> None:
    whole, _ = ingest()
    record, dataset = ingest(episodes={"include": ["0-3"], "exclude": [1]}, held_out=[3])
    assert record.version != whole.version
    assert record.curated is not None
    assert (record.curated.episodes, record.curated.left_out) == ((0, 2, 3), (1, 4))
    assert [episode.index for episode in dataset.episodes] == [0, 1, 2]
    for index, number in enumerate((0, 2, 3)):
        assert_episode(dataset, index, LeRobotDataset.open(v21), number)
    again, _ = ingest(episodes={"include": [0, "1-2", 3], "exclude": [1]}, held_out=[3])
    assert again.version == record.version
    assert ingest()[0].version == whole.version


def test_the_page_lists_what_was_done(ingest: Ingest) -> None:
    whole, _ = ingest()
    assert "episodes_left_out" not in dataset_metadata(whole)
    old = whole.tasks[0]
    record, _ = ingest(
        episodes={"exclude": [2, 3, 4]},
        trim_idle={"start": 0, "end": 0.5, "threshold": 0.02},
        tasks={"rename": {old: "nimm"}},
    )
    page = dataset_metadata(record)
    assert page["episodes_left_out"] == "2-4"
    assert record.curated is not None
    assert page["seconds_trimmed"] == sum(end for _, end in record.curated.trimmed.values())
    assert "| 1 | 1 | 0 | 0.5 |" in str(page["episode_numbers"])
    assert "| nimm |" in str(page["tasks_renamed"])


def test_held_out_episodes_are_named_as_in_the_source(
    ingest: Ingest, source: Path, store: Store, tmp_path: Path
) -> None:
    fields = {"episodes": {"exclude": [1]}, "held_out": [3]}
    ingest(**fields)
    config = build_modality_config(catalog_entry(source, tmp_path, **fields), store)
    assert config.held_out_episodes == (2,)


def test_without_curation_a_v2_dataset_is_copied_as_it_is(
    v21: Path, store: Store, tmp_path: Path
) -> None:
    record = ingest_dataset(catalog_entry(v21, tmp_path), store)
    assert record.version == content_hash(v21)
    assert record.curated is None


def test_rest_is_cut_off(ingest: Ingest, v21: Path) -> None:
    trim = {"start": 10, "end": 0.5, "threshold": 0.02}
    record, dataset = ingest(trim_idle=trim)
    assert record.curated is not None
    start, end = record.curated.trimmed[1]
    assert start * FPS == pytest.approx(RESTING, abs=6)
    assert end == 0.5
    original = LeRobotDataset.open(v21)
    for episode in original.episodes:
        first = round(record.curated.trimmed.get(episode.index, (0, 0))[0] * FPS)
        assert_episode(dataset, episode.index, original, episode.index, first)
    assert ingest(trim_idle=trim)[0] == record
    most, _ = ingest(trim_idle=trim | {"start": 0.5, "end": 0})
    assert most.curated is not None
    assert 0.2 <= most.curated.trimmed[1][0] <= 0.5


def test_an_episode_that_only_rests_stays(v21: Path, store: Store, tmp_path: Path) -> None:
    source = Path(shutil.copytree(v21, tmp_path / "source"))

    def rest(columns: dict[str, Any]) -> None:
        columns["action"][:] = columns["action"][0]
        columns["observation.state"][:] = columns["observation.state"][0]

    edit_rows(source, 2, rest)
    trim = {"start": 60, "end": 60, "threshold": 0.02}
    record = ingest_dataset(catalog_entry(source, tmp_path, trim_idle=trim), store)
    assert record.curated is not None
    assert 1 in record.curated.trimmed
    assert 2 not in record.curated.trimmed


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_joint_without_values_in_one_episode_counts_in_the_others(
    value: float, v21: Path, store: Store, tmp_path: Path
) -> None:
    source = Path(shutil.copytree(v21, tmp_path / "source"))

    def one_joint(columns: dict[str, Any]) -> None:
        for name in ("action", "observation.state"):
            rows = columns[name]
            rows[:, 1:] = rows[0, 1:]
            rows[:, 0] = np.where(np.arange(len(rows)) < 20, rows[0, 0], rows[:, 0] + 1)

    def no_value(columns: dict[str, Any]) -> None:
        for name in ("action", "observation.state"):
            columns[name][:, 0] = value

    edit_rows(source, 2, one_joint)
    edit_rows(source, 3, no_value)
    trim = {"start": 60, "end": 0, "threshold": 0.02}
    record = ingest_dataset(catalog_entry(source, tmp_path, trim_idle=trim), store)
    assert record.curated is not None and 2 in record.curated.trimmed


def test_tasks_are_renamed(ingest: Ingest) -> None:
    whole, dataset = ingest()
    old = whole.tasks[0]
    assert "\u2028" in old
    record, renamed = ingest(tasks={"rename": {old: "nimm den Würfel"}})
    assert record.version != whole.version
    assert record.tasks == ("nimm den Würfel", *whole.tasks[1:])
    assert record.curated is not None
    assert record.curated.renamed == {old: "nimm den Würfel"}
    before = [task for episode in dataset.episodes for task in episode.tasks]
    after = [task for episode in renamed.episodes for task in episode.tasks]
    assert after == ["nimm den Würfel" if task == old else task for task in before]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"episodes": {"exclude": [1, 9]}}, "there is no episode 9; the source has 5, 0 to 4"),
        ({"episodes": {"include": ["2-9"]}}, "there is no episode 9; the source has 5, 0 to 4"),
        ({"episodes": {"exclude": ["0-4"]}}, "leaves out all 5 episodes"),
        (
            {
                "tasks": {
                    "rename": {"greif the salt from the counter and place it in the bowl": "x"}
                }
            },
            "; did you mean 'greif\\u2028 the salt",
        ),
    ],
)
def test_what_there_is_not_is_named_with_its_line(
    ingest: Ingest, store: Store, fields: dict[str, Any], text: str
) -> None:
    with pytest.raises(DatasetError) as caught:
        ingest(**fields)
    assert text in str(caught.value)
    lines = (Path(store.root).parent / "data" / "datasets.yaml").read_text().split("\n")
    number = int(str(caught.value).split("datasets.yaml:")[1].split(":")[0])
    assert any(word in lines[number - 1] for word in ("9", "episodes:", "greif the"))
    assert not store.dataset_record("demo").exists()


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"episodes": {"exclude": [3]}, "held_out": [3]}, "held_out: names episode 3, left out"),
        ({"episodes": {"exclude": ["9-3"]}}, "ends before it begins"),
        ({"episodes": {"exclude": ["last"]}}, "expected episode numbers and ranges"),
        ({"episodes": {"exclud": [1]}}, "did you mean 'exclude'"),
        ({"trim_idle": {"start": 1}}, "threshold: is missing"),
        ({"trim_idle": {"start": -1, "threshold": 0.1}}, "greater than or equal to 0"),
    ],
)
def test_the_catalog_refuses(tmp_path: Path, fields: dict[str, Any], text: str) -> None:
    with pytest.raises(CatalogError) as caught:
        catalog_entry(tmp_path, tmp_path, **fields)
    assert text in str(caught.value)
    assert "datasets.yaml:" in str(caught.value)


def _without_rows(source: Path) -> None:
    file = source / data_file(2)
    file.write_bytes(file.read_bytes()[:200])


def _cut_video(source: Path) -> None:
    file = source / video_file(2)
    file.write_bytes(file.read_bytes()[:700])


def _empty(source: Path) -> None:
    edit_lines(source, "episodes.jsonl", lambda lines: lines[2].update(length=0))


@pytest.mark.parametrize("damage", [_without_rows, _cut_video, _empty])
def test_a_damaged_episode_is_left_out(
    v21: Path, store: Store, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    source = Path(shutil.copytree(v21, tmp_path / "source"))
    damage(source)
    with pytest.raises(DatasetError):
        ingest_dataset(catalog_entry(source, tmp_path), store)
    entry = catalog_entry(source, tmp_path, episodes={"exclude": [2]})
    record = ingest_dataset(entry, store)
    assert record.episodes == 4
    assert_episode(LeRobotDataset.open(record.directory(store)), 2, LeRobotDataset.open(v21), 3)


def test_gaps_in_the_numbers_are_closed(v21: Path, store: Store, tmp_path: Path) -> None:
    source = Path(shutil.copytree(v21, tmp_path / "source"))
    edit_lines(source, "episodes.jsonl", lambda lines: lines.pop(1))
    for file in (data_file(1), video_file(1)):
        (source / file).unlink()
    edit_json(source, "info.json", lambda info: info.update(total_episodes=4))
    record = ingest_dataset(catalog_entry(source, tmp_path), store)
    dataset = LeRobotDataset.open(record.directory(store))
    assert record.curated is not None
    assert record.curated.episodes == (0, 2, 3, 4)
    assert any("gaps" in warning for warning in record.warnings)
    for index, number in enumerate((0, 2, 3, 4)):
        assert_episode(dataset, index, LeRobotDataset.open(v21), number)


def test_a_dataset_of_the_hub_is_curated(hub: Hub, store: Store) -> None:
    whole = ingest_dataset(entry_of({"kind": "hub", "repo_id": "owner/small"}), store)
    fields = entry_of({"kind": "hub", "repo_id": "owner/small"}).model_dump()
    curated = CatalogEntry.model_validate(fields | {"episodes": {"exclude": [0]}})
    record = ingest_dataset(curated, store)
    assert (whole.episodes, record.episodes, record.revision) == (2, 1, whole.revision)
    with pytest.raises(DatasetError) as caught:
        ingest_dataset(CatalogEntry.model_validate(fields | {"episodes": {"exclude": [7]}}), store)
    assert str(store.root) not in str(caught.value)


def test_a_kill_in_the_middle_leaves_nothing_half(
    v30: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    entry = catalog_entry(v30, tmp_path, episodes={"exclude": [0]})
    code = (
        "import os\nfrom pathlib import Path\n"
        "from gr00t_assets.core.project import Store\n"
        "from gr00t_assets.datasets.catalog import CatalogEntry, load_catalog\n"
        "from gr00t_assets.datasets.lerobot.v3 import convert\n"
        "from gr00t_assets.datasets.sources.ingest import ingest_dataset\n"
        "convert.write_meta = lambda *arguments: os.kill(os.getpid(), 9)\n"
        f"ingest_dataset(load_catalog()['demo'], Store(Path({str(store.root)!r})))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    folder = store.dataset_record("demo").parent
    assert not store.dataset_record("demo").exists()
    record = ingest_dataset(entry, store)
    names = {path.name for path in folder.iterdir()}
    assert not [name for name in names if "partial" in name], names
    assert record.episodes == 4
