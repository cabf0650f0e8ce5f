import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings, strategies

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.finding import Collector
from gr00t_assets.datasets.fit.dataset_check import check_dataset
from gr00t_assets.datasets.lerobot import folder
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.v3.convert import convert_to_v21
from gr00t_assets.datasets.lerobot.v3.cut_videos import cut_video
from gr00t_assets.datasets.lerobot.video_packets import read_packets
from gr00t_assets.datasets.lerobot.video_segments import Cut, copied_from
from gr00t_assets_tests.datasets.lerobot.v3.hand_made import (
    FRONT,
    LENGTHS,
    WRIST,
    frames_of,
    write_hand_made,
)
from gr00t_assets_tests.datasets.lerobot.v3.v30 import EPISODES, write_table

DATA_0, DATA_1 = "data/chunk-000/file-000.parquet", "data/chunk-000/file-001.parquet"
FRONT_0 = f"videos/{FRONT}/chunk-000/file-000.mp4"
WRIST_0 = f"videos/{WRIST}/chunk-000/file-000.mp4"
WRIST_1 = f"videos/{WRIST}/chunk-001/file-000.mp4"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hand_made(tmp_path_factory.mktemp("v30") / "good")


@pytest.fixture
def spoilt(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "spoilt"))


def episodes(**changes: Any) -> Callable[[Path], None]:
    """Change cells of ``meta/episodes`` of episode 1."""

    def change(directory: Path) -> None:
        rows = pq.read_table(directory / EPISODES).to_pylist()
        for row in rows:
            if row["episode_index"] == 1:
                row |= {key.replace("__", "/"): value for key, value in changes.items()}
        write_table(directory / EPISODES, pa.Table.from_pylist(rows))

    return change


def video(camera: str, **changes: Any) -> Callable[[Path], None]:
    return episodes(**{f"videos/{camera}/{key}": value for key, value in changes.items()})


def rows(file: str, change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    return lambda directory: pq.write_table(
        change(pq.read_table(directory / file)), directory / file
    )


def info(**changes: Any) -> Callable[[Path], None]:
    def change(directory: Path) -> None:
        path = directory / "meta" / "info.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def removed(file: str) -> Callable[[Path], None]:
    return lambda directory: (directory / file).unlink()


def content(file: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def spoil(directory: Path) -> None:
        (directory / file).write_bytes(change((directory / file).read_bytes()))

    return spoil


def frames_damaged(data: bytes) -> bytes:
    """The index of the file as it was, and its second half of compressed frames overwritten."""
    start = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    middle = (start + end) // 2
    return data[:middle] + bytes(end - middle) + data[end:]


def pages_damaged(data: bytes) -> bytes:
    """Parquet with its last column of the first group, a list of doubles, overwritten."""
    first = pq.ParquetFile(pa.BufferReader(data)).metadata.row_group(0)
    columns = [first.column(number) for number in range(first.num_columns)]
    chunk = next(one for one in columns if one.path_in_schema.startswith("action"))
    start, size = (
        chunk.dictionary_page_offset or chunk.data_page_offset,
        chunk.total_compressed_size,
    )
    return data[:start] + bytes(size) + data[start + size :]


def without(column: str) -> Callable[[Path], None]:
    return lambda directory: pq.write_table(
        pq.read_table(directory / EPISODES).drop_columns(column), directory / EPISODES
    )


def twice(directory: Path) -> None:
    table = pq.read_table(directory / EPISODES)
    write_table(directory / EPISODES, pa.concat_tables([table, table.slice(0, 1)]))


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"

FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "rows missing": (
        rows(DATA_0, lambda table: table.slice(1)),
        f"{DATA_0}: 8 rows of episode 2 from row 0; expected 9, its length in meta/episodes",
    ),
    "rows of a whole episode missing": (
        rows(DATA_1, lambda table: table.filter(pc.field("episode_index") != 1)),
        f"{DATA_1}: 0 rows of episode 1; expected 12, its length in meta/episodes",
    ),
    "rows in another order": (
        rows(DATA_0, lambda table: table.take([1, 0, *range(2, 16)])),
        f"{DATA_0}: episode 2: frame_index is 1 at row 0; expected 0 to 8 in order",
    ),
    "rows apart": (
        rows(DATA_0, lambda table: table.take([0, *range(9, 16), *range(1, 9)])),
        f"rows of episode 2 lie apart: {DATA_0} from row 0; {DATA_0} from row 8",
    ),
    "rows of an unknown episode": (
        lambda directory: write_table(
            directory / EPISODES, pq.read_table(directory / EPISODES).slice(1)
        ),
        f"{DATA_0}: 9 rows of episode 2, which meta/episodes does not list",
    ),
    "columns that differ": (
        rows(DATA_1, lambda table: table.drop_columns("next.done")),
        f"{DATA_1}: no column next.done; expected every column that meta/info.json declares",
    ),
    "data file missing": (removed(DATA_1), f"{DATA_1}: no such file"),
    "data file cut off": (content(DATA_1, lambda data: data[:500]), f"{DATA_1}: cannot be read"),
    "rows damaged": (content(DATA_1, pages_damaged), f"{DATA_1}: cannot be read: "),
    "data file not downloaded": (
        content(DATA_1, lambda data: POINTER),
        f"{DATA_1}: a Git LFS pointer in place of the content; expected the content itself; run "
        "git lfs pull",
    ),
    "video missing": (removed(WRIST_1), f"{WRIST_1}: no such file"),
    "video cut off": (content(WRIST_1, lambda data: data[: len(data) // 2]), f"{WRIST_1}: "),
    "begins after the end of the video": (
        video(FRONT, from_timestamp=7.0, to_timestamp=8.2),
        f"{FRONT_0}: episode 1 begins at 7.000 s, the frame for it is shown at 0.700 s "
        "(the video: 0.000 to 1.800 s)",
    ),
    "in the file of another": (
        video(WRIST, chunk_index=0),
        f"{WRIST_0}: episode 3 begins 12 frames before episode 1 ends",
    ),
    "length that is not that of the rows": (
        episodes(length=11),
        f"{DATA_1}: 12 rows of episode 1 from row 5; expected 11, its length in meta/episodes; "
        "put the whole episode in place, or correct its length in meta/episodes",
    ),
    "time that is not that of the length": (
        episodes(length=11),
        f"{FRONT_0}: episode 1 lies from 0.700 to 1.900 s, 12.0 frames at 10 a second; "
        "its length is 11",
    ),
    "range of rows that is not the length": (
        episodes(dataset_to_index=20),
        "episode 1 goes from dataset_from_index 7 to dataset_to_index 20; expected 12 rows",
    ),
    "no file number": (video(FRONT, file_index=None), f"{FRONT} is in no file (0, None)"),
    "no time": (video(FRONT, from_timestamp=float("nan")), f"{FRONT} goes from nan to 1.9 seconds"),
    "column of a camera missing": (
        without(f"videos/{WRIST}/to_timestamp"),
        f"{EPISODES}: no column videos/{WRIST}/to_timestamp",
    ),
    "episode twice": (twice, "meta/episodes: a row: episode 2 again"),
    "no episodes": (removed(EPISODES), f"{EPISODES}: no such file"),
    "no tasks": (removed("meta/tasks.parquet"), "meta/tasks.parquet: no such file"),
    "no info": (removed("meta/info.json"), "meta/info.json: no such file"),
    "info not JSON": (
        content("meta/info.json", lambda data: data[:-9]),
        "meta/info.json: not JSON",
    ),
    "another version": (
        info(codebase_version="v3.1"),
        "codebase_version 'v3.1'; expected v2.0, v2.1, v3.0",
    ),
    "no fps": (info(fps=0), "fps is 0"),
    "a path that leaves the dataset": (
        info(data_path="../x-{chunk_index}-{file_index}.parquet"),
        "data_path leads to ../x-{chunk_index}-{file_index}.parquet; expected a path inside",
    ),
    "a path with an unknown field": (
        info(video_path="videos/{camera}.mp4"),
        "video_path 'videos/{camera}.mp4' has the unknown field {camera}",
    ),
}


CONVERTED = (
    "rows in another order",
    "rows of an unknown episode",
    "columns that differ",
    "range of rows that is not the length",
)
"""Faults that the converter does not look at: they are found before it is asked."""


META = ("meta/info.json", "meta/tasks.parquet", EPISODES)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=strategies.data())
def test_damaged_meta_files_end_in_a_list_of_problems(
    good: Path, tmp_path: Path, data: strategies.DataObject
) -> None:
    base = tmp_path / "fuzz"
    shutil.rmtree(base, ignore_errors=True)
    spoilt = Path(shutil.copytree(good, base / "spoilt"))
    path = spoilt / data.draw(strategies.sampled_from(META))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(strategies.integers(1, 4))):
        at = data.draw(strategies.integers(0, len(content) - 1))
        content[at] = data.draw(strategies.integers(0, 255))
    path.write_bytes(content[: data.draw(strategies.integers(0, 2 * len(content)))])
    assert "check-failed" not in {item.code for item in check_dataset(spoilt)}
    try:
        convert_to_v21(spoilt, base / "out", verify=False)
    except DatasetError:
        assert [path.name for path in base.iterdir()] == ["spoilt"]


JSON = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers() | strategies.text(),
    lambda inner: strategies.lists(inner) | strategies.dictionaries(strategies.text(), inner),
    max_leaves=4,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=strategies.data())
def test_odd_values_in_info_end_in_a_list_of_problems(
    good: Path, tmp_path: Path, data: strategies.DataObject
) -> None:
    base = tmp_path / "fuzz"
    shutil.rmtree(base, ignore_errors=True)
    spoilt = Path(shutil.copytree(good, base / "spoilt"))
    path = spoilt / "meta" / "info.json"
    found = json.loads(path.read_text())
    inside = data.draw(
        strategies.sampled_from([found, found["features"], *found["features"].values()])
    )
    inside[data.draw(strategies.sampled_from(sorted(inside)))] = data.draw(JSON)
    path.write_text(json.dumps(found))
    assert "check-failed" not in {item.code for item in check_dataset(spoilt)}
    try:
        convert_to_v21(spoilt, base / "out", verify=False)
    except DatasetError:
        assert [path.name for path in base.iterdir()] == ["spoilt"]


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
            cut_video(good / FRONT_0, table, [Cut(0, 0, 7, first)], lambda _: full, False)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_where_it_lies(spoilt: Path, fault: str) -> None:
    spoil, expected = FAULTS[fault]
    spoil(spoilt)
    texts = [f"{item.subject}: {item.text}" for item in check_dataset(spoilt)]
    assert any(expected in text for text in texts), texts


@pytest.mark.parametrize("fault", FAULTS)
def test_the_remedy_is_followed_and_the_finding_is_gone(
    good: Path, spoilt: Path, fault: str
) -> None:
    """The file that is named is put back, and meta/episodes where the remedy says so."""
    spoil, expected = FAULTS[fault]
    spoil(spoilt)
    finding = next(f for f in check_dataset(spoilt) if expected in f"{f.subject}: {f.text}")
    if finding.remedy.startswith("nothing"):
        assert finding.severity == "warning"
        return
    also = ["meta/episodes"] if "meta/episodes" in finding.remedy else []
    for name in (str(finding.subject), *also):
        if (good / name).is_dir():
            shutil.copytree(good / name, spoilt / name, dirs_exist_ok=True)
        else:
            shutil.copyfile(good / name, spoilt / name)
    texts = [f"{item.subject}: {item.text}" for item in check_dataset(spoilt)]
    assert not any(expected in text for text in texts), (finding.remedy, texts)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in CONVERTED])
def test_what_has_a_fault_is_not_converted_and_nothing_is_written(spoilt: Path, fault: str) -> None:
    FAULTS[fault][0](spoilt)
    with pytest.raises(DatasetError) as caught:
        convert_to_v21(spoilt, spoilt.parent / "out")
    assert str(spoilt) not in str(caught.value)
    assert sorted(path.name for path in spoilt.parent.iterdir()) == ["spoilt"]


def test_frames_that_cannot_be_decoded_are_not_converted(spoilt: Path) -> None:
    content(FRONT_0, frames_damaged)(spoilt)
    with pytest.raises(DatasetError, match=f"{FRONT_0}: "):
        convert_to_v21(spoilt, spoilt.parent / "out")
    assert sorted(path.name for path in spoilt.parent.iterdir()) == ["spoilt"]


def test_two_faults_are_named_at_once(spoilt: Path) -> None:
    for fault in ("rows missing", "begins after the end of the video"):
        FAULTS[fault][0](spoilt)
    texts = "\n".join(f"{item.subject}: {item.text}" for item in check_dataset(spoilt))
    for fault in ("rows missing", "begins after the end of the video"):
        assert FAULTS[fault][1] in texts


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
    assert LeRobotDataset.open(spoilt.parent / "out").row_count(1) == LENGTHS[1]


def test_a_camera_without_files_is_a_warning(spoilt: Path) -> None:
    table = pq.read_table(spoilt / EPISODES)
    mine = [name for name in table.column_names if name.startswith(f"videos/{WRIST}/")]
    write_table(spoilt / EPISODES, table.drop_columns(mine))
    shutil.rmtree(spoilt / "videos" / WRIST)
    warnings = convert_to_v21(spoilt, spoilt.parent / "out").warnings
    assert warnings == (f"meta/info.json: camera {WRIST} is declared and has no video",)
    assert LeRobotDataset.open(spoilt.parent / "out").cameras == (FRONT,)
