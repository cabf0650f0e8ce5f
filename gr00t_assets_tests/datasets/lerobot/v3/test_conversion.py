"""What a conversion does with its destination, and with what is odd and yet usable."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.finding import Collector
from gr00t_assets.datasets.lerobot import folder
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.v3.convert import convert_to_v21
from gr00t_assets.datasets.lerobot.v3.cut_videos import cut_video
from gr00t_assets.datasets.lerobot.video_packets import Cut, copied_from, read_packets
from gr00t_assets_tests.datasets.lerobot.v3.faults import (
    DATA_1,
    FRONT_0,
    episodes,
    info,
    video,
    without,
)
from gr00t_assets_tests.datasets.lerobot.v3.hand_made import FRONT, LENGTHS, WRIST, frames_of
from gr00t_assets_tests.datasets.lerobot.v3.v30 import EPISODES, write_table


def test_a_full_disk_is_no_fault_of_the_dataset(good: Path, tmp_path: Path) -> None:
    """A device that is always full stands in for the new files."""
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    table = read_packets(Collector(folder.FAULTS), good / FRONT_0, FRONT_0)
    assert table is not None
    for first in (copied_from(table, 0, 7), None):
        with pytest.raises(OSError, match="No space left"):
            cut_video(good / FRONT_0, table, [Cut(0, 0, 7, first)], lambda _: full)


def test_a_destination_with_content_is_kept(good: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(DatasetError, match="is there already"):
        convert_to_v21(good, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(DatasetError, match="inside of the source"):
        convert_to_v21(good, good / "v21")


def test_an_empty_destination_is_filled(good: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    convert_to_v21(good, tmp_path / "out")
    assert len(LeRobotDataset.open(tmp_path / "out").episodes) == len(LENGTHS)


def test_times_that_drift_are_counted_instead(good: Path, spoilt: Path) -> None:
    """LeRobot adds durations in floating point; the frames leave no doubt which are whose."""
    video(FRONT, from_timestamp=0.78, to_timestamp=1.98)(spoilt)
    warnings = convert_to_v21(spoilt, spoilt.parent / "out").warnings
    assert f"{FRONT_0}: the given times of episode 1 are up to 0.8 frames off" in warnings[1]
    convert_to_v21(good, spoilt.parent / "plain")
    for index in LENGTHS:
        file = f"videos/chunk-000/{FRONT}/episode_{index:06d}.mp4"
        assert frames_of(spoilt.parent / "out" / file) == frames_of(spoilt.parent / "plain" / file)


def test_rows_are_found_where_meta_names_another_file(good: Path, spoilt: Path) -> None:
    """As LeRobot's converter writes it for the episode that fills a file."""
    episodes(data__file_index=0)(spoilt)
    warnings = convert_to_v21(spoilt, spoilt.parent / "out").warnings
    assert warnings[0] == "meta/episodes: the rows of episode 1 are in another file than is named"
    assert LeRobotDataset.open(spoilt.parent / "out").read_episode(1).num_rows == LENGTHS[1]


def test_many_warnings_end_in_how_many_more_there_are(spoilt: Path) -> None:
    table = pq.read_table(spoilt / DATA_1)
    extra = [table.slice(0, 1).set_column(5, "episode_index", [[n]]) for n in range(50, 60)]
    pq.write_table(pa.concat_tables([table, *extra]), spoilt / DATA_1)
    warnings = LeRobotDataset.open(spoilt).warnings
    assert warnings[0] == f"{DATA_1}: 1 rows of episode 50, which meta/episodes does not list"
    assert warnings[-1] == "and 2 more like these"


def test_files_are_found_whose_folder_has_the_signs_of_a_pattern(good: Path, spoilt: Path) -> None:
    template = "data[1]/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
    info(data_path=template)(spoilt)
    (spoilt / "data").rename(spoilt / "data[1]")
    without("data/chunk_index")(spoilt)
    dataset = LeRobotDataset.open(spoilt)
    assert dataset.frame_count == sum(LENGTHS.values())
    assert dataset.read_episode(1).equals(LeRobotDataset.open(good).read_episode(1))


def test_a_task_without_a_text_is_refused(spoilt: Path) -> None:
    path = spoilt / "meta" / "tasks.parquet"
    tasks = pq.read_table(path)
    texts = pa.array(["put the cube on the plate", None])
    column = next(name for name in tasks.column_names if name != "task_index")
    place = tasks.column_names.index(column)
    pq.write_table(tasks.set_column(place, column, texts), path)
    with pytest.raises(DatasetError, match="task 1 has no text; expected a text of each"):
        LeRobotDataset.open(spoilt)


def test_a_camera_without_files_is_a_warning(spoilt: Path) -> None:
    table = pq.read_table(spoilt / EPISODES)
    mine = [name for name in table.column_names if name.startswith(f"videos/{WRIST}/")]
    write_table(spoilt / EPISODES, table.drop_columns(mine))
    shutil.rmtree(spoilt / "videos" / WRIST)
    warnings = convert_to_v21(spoilt, spoilt.parent / "out").warnings
    assert warnings == (f"meta/info.json: camera {WRIST} is declared and has no video",)
    assert LeRobotDataset.open(spoilt.parent / "out").cameras == (FRONT,)
