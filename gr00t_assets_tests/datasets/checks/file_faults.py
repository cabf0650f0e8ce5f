"""One fault each in the rows and links of a good dataset."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gr00t_assets_tests.datasets.checks.edits import (
    data_file,
    edit_json,
    edit_lines,
    edit_rows,
    renew_statistics,
    set_column,
    set_values,
    video_file,
    write_video,
)
from gr00t_assets_tests.datasets.checks.meta_faults import (
    LFS_POINTER,
    Fault,
    feature,
    removed,
    text,
)

ROWS, VIDEO = data_file(1), video_file(1)
Columns = dict[str, Any]


def rows(*changes: Callable[[Columns], None], renew: bool = False) -> Callable[[Path], None]:
    def make(directory: Path) -> None:
        for change in changes:
            edit_rows(directory, 1, change)
        if renew:
            renew_statistics(directory)

    return make


def cut(file: str, share: float) -> Callable[[Path], None]:
    def make(directory: Path) -> None:
        content = (directory / file).read_bytes()
        (directory / file).write_bytes(content[: int(len(content) * share)])

    return make


def _shorter(columns: Columns) -> None:
    for name in list(columns):
        columns[name] = columns[name][:-1]


def _null(values: np.ndarray) -> pa.Array:
    items = values.tolist()
    items[3][2] = None
    return pa.array(items)


def _ragged(values: np.ndarray) -> pa.Array:
    items = values.tolist()
    items[3] = items[3][:-1]
    return pa.array(items)


def _copied(directory: Path) -> None:
    """Episode 2 as a whole in place of episode 1, under its own indices."""
    for make in (data_file, video_file):
        shutil.copyfile(directory / make(2), directory / make(1))
    edit_rows(directory, 1, set_column("episode_index", lambda values: values * 0 + 1))

    def same_length(all: list[Any]) -> None:
        all[1]["length"] = all[2]["length"]

    edit_lines(directory, "episodes.jsonl", same_length)
    lengths = [pq.read_metadata(path).num_rows for path in directory.glob("data/*/*.parquet")]
    edit_json(directory, "info.json", lambda value: value.update(total_frames=sum(lengths)))
    renew_statistics(directory)


def _linked_out(directory: Path) -> None:
    outside = directory.parent / "elsewhere.parquet"
    (directory / ROWS).rename(outside)
    (directory / ROWS).symlink_to(outside)


def _linked_to_nothing(directory: Path) -> None:
    (directory / ROWS).unlink()
    (directory / ROWS).symlink_to(directory / "data" / "elsewhere.parquet")


def _without_rows(directory: Path) -> None:
    pq.write_table(pq.read_table(directory / ROWS).slice(0, 0), directory / ROWS)


def _chunk_gone(directory: Path) -> None:
    shutil.rmtree((directory / ROWS).parent)


def _as_folder(directory: Path) -> None:
    (directory / ROWS).unlink()
    (directory / ROWS).mkdir()


def _drift(values: np.ndarray) -> np.ndarray:
    """Three steps that are 0.3 frames too long."""
    return values + 0.015 * np.digitize(np.arange(len(values)), [5, 10, 15])


def _twice_as_long(directory: Path) -> None:
    """Episode 1 again behind itself, as one recording."""
    table = pq.read_table(directory / ROWS)
    count = len(table)
    pq.write_table(pa.concat_tables([table, table]), directory / ROWS)
    write_video(directory / VIDEO, 2 * count)
    numbers = np.arange(2 * count)
    rows(
        set_column("timestamp", lambda values: numbers / 20),
        set_column("frame_index", lambda values: numbers),
        set_column("index", lambda values: values[0] + numbers),
        renew=True,
    )(directory)
    edit_lines(directory, "episodes.jsonl", lambda all: all[1].update(length=2 * count))
    edit_json(
        directory,
        "info.json",
        lambda value: value.update(total_frames=value["total_frames"] + count),
    )


def _file_for_meta(directory: Path) -> None:
    shutil.rmtree(directory / "meta")
    (directory / "meta").write_text("")


def _unlisted(directory: Path) -> None:
    shutil.copyfile(directory / ROWS, directory / data_file(7))


FILE_FAULTS = {
    "meta a file": Fault(
        "file-unreadable",
        "meta/info.json",
        _file_for_meta,
        "copy or download it again",
        also=("meta-missing", "modality-missing"),
    ),
    "rows missing": Fault("parquet-missing", ROWS, removed(ROWS), "again"),
    "rows are a pointer": Fault("lfs-pointer", ROWS, text(ROWS, LFS_POINTER), "git lfs pull"),
    "rows empty": Fault("empty-file", ROWS, text(ROWS, b""), "again"),
    "rows truncated": Fault("parquet-unreadable", ROWS, cut(ROWS, 0.7), "again"),
    "rows no Parquet": Fault("parquet-unreadable", ROWS, text(ROWS, b"rows" * 99), "again"),
    "rows a folder": Fault("not-a-file", ROWS, _as_folder, "put the file"),
    "rows linked out": Fault("symlink-escape", ROWS, _linked_out, "cp -rL"),
    "rows linked to nothing": Fault("symlink-broken", ROWS, _linked_to_nothing, "in place"),
    "no rows": Fault(
        "no-rows", ROWS, _without_rows, "in place", also=("row-count", "video-frames")
    ),
    "chunk missing": Fault("chunk-missing", "data/chunk-000", _chunk_gone, "again"),
    "rows not listed": Fault("episode-unlisted", data_file(7), _unlisted, "remove", "warning"),
    "row too few": Fault("row-count", ROWS, rows(_shorter), "whole episode"),
    "episode too long": Fault(
        "parquet-too-large",
        ROWS,
        _twice_as_long,
        "split the episode",
        limits={"gr00t_assets.datasets.lerobot.columns.LONGEST_EPISODE": 60},
    ),
    "column missing": Fault(
        "column-missing", ROWS, rows(lambda columns: columns.pop("action")), "write"
    ),
    "timestamps missing": Fault(
        "column-missing", ROWS, rows(lambda columns: columns.pop("timestamp")), "write"
    ),
    "column not declared": Fault(
        "column-undeclared",
        ROWS,
        rows(lambda columns: columns.update(extra=columns["timestamp"])),
        "leave it out",
        "warning",
    ),
    "column declared and in no file": Fault(
        "column-missing",
        "meta/info.json",
        feature("extra", dtype="float64", shape=[1]),
        "remove it from the features",
    ),
    "column in every file and not declared": Fault(
        "column-undeclared",
        "meta/info.json",
        lambda directory: edit_json(
            directory, "info.json", lambda info: info["features"].pop("index")
        ),
        "declare it",
        "warning",
    ),
    "dtype declared otherwise": Fault(
        "column-dtype",
        "meta/info.json",
        feature("timestamp", dtype="float32"),
        "set its dtype to float64",
        "warning",
    ),
    "kind declared otherwise": Fault(
        "column-dtype",
        "meta/info.json",
        feature("action", dtype="int64"),
        "set its dtype to float64",
    ),
    "shape declared otherwise": Fault(
        "column-shape",
        "meta/info.json",
        feature("action", shape=[43]),
        "correct its shape",
        also=("slice-range", "stats-field"),
    ),
    "dtype another kind": Fault(
        "column-dtype",
        ROWS,
        rows(set_column("action", lambda values: values.astype(np.int64))),
        "write",
    ),
    "dtype narrower": Fault(
        "column-dtype",
        ROWS,
        rows(set_column("timestamp", lambda values: values.astype(np.float32))),
        "write",
        "warning",
    ),
    "dtype text": Fault(
        "column-dtype",
        ROWS,
        rows(set_column("timestamp", lambda values: values.astype(str))),
        "write",
    ),
    "vector too short": Fault(
        "column-shape", ROWS, rows(set_column("action", lambda values: values[:, :43])), "write"
    ),
    "vector of changing length": Fault(
        "column-shape", ROWS, rows(set_column("action", _ragged)), "write"
    ),
    "cell empty": Fault("column-null", ROWS, rows(set_column("action", _null)), "write"),
    "NaN": Fault("not-finite", ROWS, rows(set_values("action", (5, 2), np.nan)), "write"),
    "infinite": Fault(
        "not-finite", ROWS, rows(set_values("observation.state", (5, 2), np.inf)), "write"
    ),
    "of another episode": Fault(
        "episode-index", ROWS, rows(set_values("episode_index", slice(None), 2)), "right file"
    ),
    "frame index": Fault("frame-index", ROWS, rows(set_values("frame_index", 4, 9)), "right file"),
    "index": Fault("index-column", ROWS, rows(set_values("index", 4, 9)), "anew", "warning"),
    "task unknown": Fault(
        "task-index-unknown", ROWS, rows(set_values("task_index", 4, 77)), "add the task"
    ),
    "annotation unknown": Fault(
        "task-index-unknown",
        ROWS,
        rows(set_values("annotation.human.action.task_description", slice(None), 77)),
        "add the task",
    ),
    "episode copied": Fault("episode-copied", data_file(2), _copied, "right file"),
    "timestamps back": Fault(
        "timestamp-order", ROWS, rows(set_values("timestamp", 5, 0.01)), "time of each frame"
    ),
    "timestamp late": Fault(
        "timestamp-step",
        ROWS,
        rows(
            lambda columns: columns["timestamp"].__setitem__(
                slice(9, None), columns["timestamp"][9:] + 0.03
            )
        ),
        "late",
    ),
    "timestamps too slow": Fault(
        "timestamp-fps", ROWS, rows(set_column("timestamp", lambda values: values * 2)), "fps"
    ),
    "timestamps drift": Fault(
        "timestamp-drift", ROWS, rows(set_column("timestamp", _drift)), "fps"
    ),
    "timestamps from 1/fps": Fault(
        "timestamp-start",
        ROWS,
        rows(set_column("timestamp", lambda values: values + 0.05)),
        "subtract",
        "warning",
    ),
    "timestamps not reset": Fault(
        "timestamp-start",
        ROWS,
        rows(set_column("timestamp", lambda values: values + 3)),
        "subtract",
    ),
}
