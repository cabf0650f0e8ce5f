"""One fault each in a good dataset of v3.0, and what the finding says of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gr00t_assets_tests.datasets.lerobot.v3.hand_made import FRONT, WRIST
from gr00t_assets_tests.datasets.lerobot.v3.v30 import EPISODES, write_table

DATA_0, DATA_1 = "data/chunk-000/file-000.parquet", "data/chunk-000/file-001.parquet"
FRONT_0 = f"videos/{FRONT}/chunk-000/file-000.mp4"
WRIST_0 = f"videos/{WRIST}/chunk-000/file-000.mp4"
WRIST_1 = f"videos/{WRIST}/chunk-001/file-000.mp4"


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
        "restore the file and meta/episodes from the recording or from its source",
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
