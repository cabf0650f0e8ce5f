import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.statistics import array_statistics
from gr00t_assets.datasets.lerobot.v3.convert import convert_to_v21
from gr00t_assets.datasets.source_kinds import SyntheticSource
from gr00t_assets.datasets.synthetic.generator import generate
from gr00t_assets_tests.datasets.lerobot.v3.hand_made import frames_of
from gr00t_assets_tests.datasets.lerobot.v3.v30 import convert_to_v30

SPEC = SyntheticSource(
    robot="so101", episodes=7, min_frames=40, max_frames=46, width=96, height=96, seed=3
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """v2.1 with statistics of each episode, v3.0 of it, and v2.1 of that."""
    base = tmp_path_factory.mktemp("round_trip")
    first, joined, last = base / "first", base / "joined", base / "last"
    generate(SPEC, first)
    info = json.loads((first / "meta" / "info.json").read_text())
    (first / "meta" / "info.json").write_text(json.dumps(info | {"codebase_version": "v2.1"}))
    dataset = LeRobotDataset.open(first)
    lines = []
    for episode in dataset.episodes:
        found = array_statistics(dataset.vector(episode.index, "action").astype(np.float64))
        statistics = {key: values.tolist() for key, values in found.items()}
        line = {"episode_index": episode.index, "stats": {"action": statistics}}
        lines.append(json.dumps(line) + "\n")
    (first / "meta" / "episodes_stats.jsonl").write_text("".join(lines))
    convert_to_v30(first, joined, episodes_per_file=2)
    assert convert_to_v21(joined, last).warnings == ()
    return first, joined, last


def test_the_middle_has_several_episodes_in_each_of_several_files(
    folders: tuple[Path, Path, Path],
) -> None:
    _, joined, _ = folders
    assert LeRobotDataset.open(joined).codebase_version == "v3.0"
    assert len(list(joined.glob("data/*/*.parquet"))) == 4
    assert len(list(joined.glob("data/*"))) == 2
    assert len(list(joined.glob("videos/observation.images.front/*/*.mp4"))) == 3


def test_the_same_files_come_back(folders: tuple[Path, Path, Path]) -> None:
    first, _, last = folders
    before, after = (
        {path.relative_to(base).as_posix() for path in base.rglob("*") if path.is_file()}
        for base in (first, last)
    )
    assert after == before - {"meta/stats.json"}


def test_meta_comes_back(folders: tuple[Path, Path, Path]) -> None:
    first, _, last = folders
    for file in ("info.json", "modality.json"):
        before, after = (json.loads((base / "meta" / file).read_text()) for base in (first, last))
        assert before == after
    for file in ("tasks.jsonl", "episodes.jsonl", "episodes_stats.jsonl"):
        before, after = (
            [json.loads(line) for line in (base / "meta" / file).read_text().splitlines()]
            for base in (first, last)
        )
        assert before == after


def test_rows_come_back(folders: tuple[Path, Path, Path]) -> None:
    first, _, last = folders
    for path in first.glob("data/*/*.parquet"):
        before, after = pq.read_table(path), pq.read_table(last / path.relative_to(first))
        assert after.equals(before)
        assert after.schema.equals(before.schema)


def test_frames_come_back(folders: tuple[Path, Path, Path]) -> None:
    first, _, last = folders
    paths = sorted(first.glob("videos/*/*/*.mp4"))
    assert len(paths) == 14
    for path in paths:
        assert frames_of(last / path.relative_to(first)) == frames_of(path)


def test_v30_is_read_as_it_is(folders: tuple[Path, Path, Path]) -> None:
    """Rows by episode out of shared files, and where the frames of each are."""
    original = LeRobotDataset.open(folders[0])
    shared = LeRobotDataset.open(folders[1])
    assert (shared.codebase_version, shared.fps, shared.tasks) == ("v3.0", 30.0, original.tasks)
    assert shared.cameras == original.cameras
    assert [(item.index, item.length, item.tasks) for item in shared.episodes] == [
        (item.index, item.length, item.tasks) for item in original.episodes
    ]
    for episode in original.episodes:
        table = original.read_episode(episode.index)
        assert shared.read_episode(episode.index).equals(table, check_metadata=False)
        assert table.num_rows == episode.length
        pair = [item.vectors(episode.index, ["action", "timestamp"]) for item in (original, shared)]
        assert all(np.array_equal(pair[0][name], pair[1][name]) for name in pair[0])
        segment = shared.video_segment(episode.index, "observation.images.front")
        assert segment.end - segment.start == pytest.approx(episode.length / 30)
        assert (shared.directory / segment.file).is_file()
    with pytest.raises(DatasetError, match="there is no episode 7"):
        shared.read_episode(7)
