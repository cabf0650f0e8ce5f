"""Parquet and video files that expand a thousandfold, and meta files of absurd sizes."""

import json
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from av.video.stream import VideoStream

from gr00t_assets.datasets.source_kinds import SyntheticSource
from gr00t_assets.datasets.synthetic.generator import generate
from gr00t_assets_tests.harness.limited import Result, run_limited

Spoil = Callable[[Path], object]

SMALL = SyntheticSource(episodes=2, min_frames=40, max_frames=44, width=96, height=96)
ROWS = "data/chunk-000/episode_000000.parquet"


def many_numbers(folder: Path) -> None:
    """A hundred million equal numbers in a small file."""
    schema = pq.read_schema(folder / ROWS)
    rows = 550_000
    part = pa.table(
        {
            field.name: pa.repeat(
                pa.scalar([0.0] * 44, field.type)
                if pa.types.is_nested(field.type)
                else pa.scalar(0).cast(field.type),
                rows,
            )
            for field in schema
        }
    )
    with pq.ParquetWriter(folder / ROWS, part.schema, compression="zstd") as writer:
        for _ in range(2):
            writer.write_table(part, row_group_size=rows)


def one_number(folder: Path) -> None:
    """A hundred million equal values of one column."""
    part = pa.table({"timestamp": pa.repeat(pa.scalar(0.0, pa.float32()), 10**7)})
    with pq.ParquetWriter(folder / ROWS, part.schema, compression="zstd") as writer:
        for _ in range(10):
            writer.write_table(part)


def column_of_texts(folder: Path) -> None:
    """A task of 10 MB in each of 10,000 rows, stored once."""
    table = pq.read_table(folder / ROWS)
    text = pa.DictionaryArray.from_arrays(np.zeros(len(table), np.int32), pa.array(["x" * 10**7]))
    pq.write_table(table.append_column("note", text), folder / ROWS)


def video(
    frames: int, size: tuple[int, int], codec: str = "mpeg4", pixels: str = "yuv420p"
) -> Spoil:
    def spoil(folder: Path) -> None:
        path = next(iter(sorted(folder.rglob("*.mp4"))))
        width, height = size
        with av.open(str(path), "w") as container:
            stream = cast(VideoStream, container.add_stream(codec, rate=20))
            stream.width, stream.height, stream.pix_fmt = width, height, pixels
            stream.codec_context.thread_count = 1
            container.start_encoding()
            picture = av.VideoFrame(width, height, pixels)
            for plane in picture.planes:
                plane.update(bytes(plane.buffer_size))
            packets = []
            for position in range(3):
                picture.pts, picture.time_base = position, Fraction(1, 20)
                packets += stream.encode(picture)
            packets += stream.encode(None)
            raw = [bytes(packet) for packet in packets]
            for position in range(frames):
                packet = av.Packet(raw[min(position, len(raw) - 1)])
                packet.stream, packet.time_base = stream, Fraction(1, 20)
                packet.pts = packet.dts = position
                packet.is_keyframe = position == 0
                container.mux(packet)

    return spoil


def meta(file: str, edit: Callable[[Any], object]) -> Spoil:
    def spoil(folder: Path) -> None:
        content = json.loads((folder / "meta" / file).read_text())
        edit(content)
        (folder / "meta" / file).write_text(json.dumps(content))

    return spoil


def text(file: str, content: str) -> Spoil:
    return lambda folder: (folder / "meta" / file).write_text(content)


def sparse(file: str, size: int = 50 * 10**9) -> Spoil:
    def spoil(folder: Path) -> None:
        with (folder / file).open("wb") as opened:
            opened.truncate(size)

    return spoil


ABSURD: dict[str, tuple[Spoil, str]] = {
    "rows of a hundred million equal numbers": (many_numbers, "episode_000000.parquet"),
    "a hundred million rows of one column": (one_number, "episode_000000.parquet"),
    "rows of 50 GB": (sparse(ROWS), "episode_000000.parquet"),
    "frames of 12,288 pixels a side": (video(3, (12288, 12288), "mjpeg", "yuvj420p"), "mp4"),
    "a million frames": (video(1_000_000, (96, 96)), "mp4"),
    "a video of 50 GB": (
        lambda folder: sparse(str(next(iter(sorted(folder.rglob("*.mp4")))).relative_to(folder)))(
            folder
        ),
        "mp4",
    ),
    "info.json of 100,000 levels": (text("info.json", "[" * 10**5), "info.json"),
    "modality.json of 100,000 levels": (text("modality.json", '{"a":' * 10**5), "modality.json"),
    "info.json of 50 GB": (sparse("meta/info.json"), "info.json"),
    "modality.json of 50 GB": (sparse("meta/modality.json"), "modality.json"),
    "episodes.jsonl of 50 GB": (sparse("meta/episodes.jsonl"), "episodes.jsonl"),
    "tasks.jsonl of 50 GB": (sparse("meta/tasks.jsonl"), "tasks.jsonl"),
    "a rate of 10^30": (meta("info.json", lambda info: info.update(fps=10**30)), "fps"),
    "a shape of 10^30": (
        meta("info.json", lambda i: i["features"]["action"].update(shape=[10**30])),
        "action",
    ),
    "a camera of 10^30 pixels a side": (
        meta(
            "info.json",
            lambda i: [
                feature.update(shape=[10**30, 10**30, 3])
                for feature in i["features"].values()
                if feature["dtype"] == "video"
            ],
        ),
        "info.json",
    ),
    "a slice to 10^30": (
        meta("modality.json", lambda m: next(iter(m["state"].values())).update(end=10**30)),
        "modality.json",
    ),
    "an episode of 10^30 rows": (
        text("episodes.jsonl", f'{{"episode_index": 0, "tasks": ["a"], "length": {10**30}}}\n'),
        "episodes.jsonl",
    ),
    "an episode of index 10^30": (
        text("episodes.jsonl", f'{{"episode_index": {10**30}, "tasks": ["a"], "length": 40}}\n'),
        "episodes.jsonl",
    ),
}

CHECK = """
sys.argv[1:] = ["dataset", "check", {folder!r}]
main()
"""

MODULES = """
import sys
import av, pyarrow.parquet
import gr00t_assets.datasets.fit.dataset_check
from gr00t_assets.cli.main import main
"""

DECODE = """
from pathlib import Path
from gr00t_assets.datasets.videos import VideoError, decode
try:
    print(sum(1 for _ in decode(Path({path!r}))), "frames")
except VideoError as error:
    print("refused:", error)
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    root, pieces = tmp_path_factory.mktemp("absurd"), {}
    generate(SMALL, root / "sound")
    for number, (name, (spoil, _)) in enumerate(ABSURD.items()):
        folder = shutil.copytree(root / "sound", root / str(number))
        spoil(folder)
        pieces[name] = CHECK.format(folder=str(folder))
        if "pixels a side" in name and "camera" not in name:
            path = next(iter(sorted(folder.rglob("*.mp4"))))
            pieces["decoded"] = DECODE.format(path=str(path))
    return run_limited(pieces, MODULES)


@pytest.mark.parametrize("name", ABSURD)
def test_an_absurd_dataset_is_refused(name: str, results: dict[str, Result]) -> None:
    assert ABSURD[name][1] in results[name].refused()


def test_an_absurd_frame_is_not_decoded(results: dict[str, Result]) -> None:
    assert "refused" in results["decoded"].done()
