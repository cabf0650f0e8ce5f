"""Changes to a dataset's files, for tests that spoil a good one."""

import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gr00t_assets.datasets.lerobot.statistics import array_statistics

CAMERA = "observation.images.ego_view"


def data_file(index: int) -> str:
    return f"data/chunk-000/episode_{index:06d}.parquet"


def video_file(index: int, camera: str = CAMERA) -> str:
    return f"videos/chunk-000/{camera}/episode_{index:06d}.mp4"


def edit_json(directory: Path, name: str, change: Callable[[Any], object]) -> None:
    path = directory / "meta" / name
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def edit_lines(directory: Path, name: str, change: Callable[[list[Any]], object]) -> None:
    path = directory / "meta" / name
    items = [json.loads(line) for line in path.read_text().strip().split("\n")]
    change(items)
    path.write_text("".join(json.dumps(item) + "\n" for item in items))


def edit_rows(directory: Path, index: int, change: Callable[[dict[str, Any]], object]) -> None:
    """Change an episode's columns, given and taken as NumPy arrays or PyArrow ones."""
    path = directory / data_file(index)
    table = pq.read_table(path)
    columns: dict[str, Any] = {}
    for name in table.column_names:
        values = table.column(name)
        is_list = pa.types.is_list(values.type)
        columns[name] = np.array(values.to_pylist()) if is_list else values.to_numpy().copy()
    change(columns)
    arrays = {
        name: pa.array(list(values))
        if isinstance(values, np.ndarray) and values.ndim == 2
        else pa.array(values)
        for name, values in columns.items()
    }
    pq.write_table(pa.table(arrays), path)


def set_values(name: str, where: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(columns: dict[str, Any]) -> None:
        columns[name][where] = value

    return change


def set_column(name: str, make: Callable[[np.ndarray], Any]) -> Callable[[dict[str, Any]], None]:
    def change(columns: dict[str, Any]) -> None:
        columns[name] = make(columns[name])

    return change


def renew_statistics(directory: Path) -> None:
    """Write the statistics of state and action as the rows have them."""
    tables = [pq.read_table(path) for path in sorted(directory.glob("data/*/*.parquet"))]

    def change(stored: dict[str, Any]) -> None:
        for name in ("observation.state", "action"):
            rows = np.concatenate([np.array(table.column(name).to_pylist()) for table in tables])
            found = array_statistics(rows)
            stored[name] = {field: values.tolist() for field, values in found.items()}

    edit_json(directory, "stats.json", change)


def frame_count(path: Path) -> int:
    with av.open(str(path)) as container:
        return container.streams.video[0].frames


def write_video(
    path: Path,
    frames: int,
    fps: int = 20,
    size: tuple[int, int] = (96, 96),
    codec: str = "libx264",
    place: Callable[[int], float] = lambda position: position,
    options: dict[str, str] | None = None,
) -> None:
    """Encode grey images, frame i at ``place(i)`` frames."""
    height, width = size
    with av.open(str(path), "w", options=options or {}) as container:
        stream: Any = container.add_stream(codec, rate=fps)
        stream.pix_fmt = "yuv420p"
        stream.height, stream.width = height, width
        stream.codec_context.time_base = tick = Fraction(1, fps * 10)
        stream.thread_type = "NONE"
        for position, image in enumerate(_images(frames, height, width)):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round(place(position) * 10), tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _images(frames: int, height: int, width: int) -> Iterator[np.ndarray]:
    random = np.random.default_rng(0)
    for _ in range(frames):
        yield random.integers(0, 255, (height, width, 3), dtype=np.uint8)
