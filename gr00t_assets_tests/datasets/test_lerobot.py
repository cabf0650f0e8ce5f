import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n"


def test_the_demonstration_dataset_is_read_with_its_oddities(demo_dataset: Path) -> None:
    dataset = LeRobotDataset.open(demo_dataset)
    assert [episode.length for episode in dataset.episodes] == [416, 470, 470, 412, 328]
    assert dataset.frame_count == 2096
    assert (dataset.fps, dataset.robot_type, dataset.codebase_version) == (
        20.0,
        "GR1ArmsOnly",
        "v2.0",
    )
    assert dataset.cameras == ("observation.images.ego_view",)
    assert "observation.images.egoview" in dataset.warnings[0]
    assert dataset.tasks[2].startswith("pick the sweet potato")
    assert dataset.modality is not None
    assert dataset.modality["state"]["right_arm"] == {"start": 22, "end": 29}
    state = dataset.vector(4, "observation.state")
    assert state.shape == (328, 44) and state.dtype == np.float64
    assert dataset.timestamps(0)[0] == pytest.approx(0.05, abs=1e-6)
    assert dataset.read_episode(1).num_rows == 470
    with pytest.raises(DatasetError, match=r"lacks nothing\.here"):
        dataset.read_episode(0, ["nothing.here"])


def test_a_column_is_found_beside_one_that_begins_with_its_name(spoilt: Path) -> None:
    dataset = LeRobotDataset.open(spoilt)
    table = dataset.read_episode(0)
    longer = pa.array([[0.0, 1.0]] * table.num_rows)
    pq.write_table(table.append_column("action.extra", longer), dataset.parquet_path(0))
    assert dataset.read_episode(0, ["action"]).column_names == ["action"]
    assert dataset.vector(0, "action").shape == (table.num_rows, 44)


def test_every_fault_is_listed_at_once(spoilt: Path) -> None:
    parquet = spoilt / "data/chunk-000/episode_000000.parquet"
    parquet.write_bytes(parquet.read_bytes()[:-100])
    (spoilt / "data/chunk-000/episode_000001.parquet").unlink()
    video = spoilt / "videos/chunk-000/observation.images.ego_view"
    (video / "episode_000000.mp4").write_text(LFS)
    (video / "episode_000001.mp4").write_bytes(b"")
    with pytest.raises(DatasetError) as caught:
        LeRobotDataset.open(spoilt, "spoilt")
    videos = "videos/chunk-000/observation.images.ego_view"
    assert [line.split("; ")[0] for line in str(caught.value).splitlines()[:5]] == [
        "spoilt: this is not a complete LeRobot dataset.",
        f"  {videos}/episode_000001.mp4: 0 bytes",
        f"  {videos}/episode_000000.mp4: a Git LFS pointer in place of the content",
        "  data/chunk-000/episode_000001.parquet: no such file",
        "  data/chunk-000/episode_000000.parquet: cannot be read: "
        "it does not begin and end as Parquet does",
    ]
    assert "run git lfs pull" in str(caught.value)


def test_faulty_meta_files_are_listed_with_their_lines(spoilt: Path) -> None:
    info = {"codebase_version": "v2.0", "fps": "20"}
    (spoilt / "meta/info.json").write_text(json.dumps(info))
    (spoilt / "meta/modality.json").write_text("[]")
    (spoilt / "meta/tasks.jsonl").unlink()
    (spoilt / "meta/episodes.jsonl").write_text('{"episode_index": 0}\nnot JSON\n')
    with pytest.raises(DatasetError) as caught:
        LeRobotDataset.open(spoilt)
    text = str(caught.value)
    for part in (
        "meta/info.json: fps is '20'; expected a number above 0",
        "meta/info.json: features is None",
        "meta/modality.json: []; expected one JSON object",
        "meta/tasks.jsonl: no such file",
        "meta/episodes.jsonl: line 1 (episode 0): no length",
        "meta/episodes.jsonl: line 2 is not JSON",
    ):
        assert part in text


def test_a_format_that_cannot_be_read_is_refused_before_its_files_are_missed(spoilt: Path) -> None:
    info = json.loads((spoilt / "meta/info.json").read_text())
    (spoilt / "meta/info.json").write_text(json.dumps(info | {"codebase_version": "v1.6"}))
    (spoilt / "meta/episodes.jsonl").unlink()
    with pytest.raises(DatasetError, match=r"codebase_version 'v1\.6'; expected v2\.0, v2\.1"):
        LeRobotDataset.open(spoilt)


def test_format_v21_needs_no_stats_and_no_modality(spoilt: Path) -> None:
    info = json.loads((spoilt / "meta/info.json").read_text())
    (spoilt / "meta/info.json").write_text(json.dumps(info | {"codebase_version": "v2.1"}))
    (spoilt / "meta/stats.json").unlink()
    (spoilt / "meta/modality.json").unlink()
    assert LeRobotDataset.open(spoilt).modality is None


def test_rows_of_different_length_are_refused(spoilt: Path) -> None:
    dataset = LeRobotDataset.open(spoilt)
    rows = [[1.0, 2.0]] * 20 + [[1.0]] * 20
    pq.write_table(pa.table({"action": rows}), dataset.parquet_path(0))
    with pytest.raises(DatasetError, match="rows of action differ in length"):
        dataset.vector(0, "action")
