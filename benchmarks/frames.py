"""Frames per second: decoded in order, written to the frame cache, read from it, decoded at random.

``python -m benchmarks.frames [--dataset FOLDER]``, on synthetic demonstrations by default. Target:
1,000 frames per CPU second in order, on videos of 256 x 256, and 20,000 a second read at random.
``--images`` measures the cache of PNG in the rows alone, 240 x 320 with the noise of a camera: 500
frames per CPU second.
"""

import argparse
import io
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.source_kinds import SyntheticSource
from gr00t_assets.datasets.synthetic.generator import generate
from gr00t_assets.datasets.videos import decode

TARGET = 1000
READ_TARGET = 20_000
IMAGE_TARGET = 500


def timed(work: Callable[[], int]) -> tuple[int, float, float]:
    """Frames, CPU seconds and seconds of some work."""
    wall, cpu = time.perf_counter(), time.process_time()
    frames = work()
    return frames, time.process_time() - cpu, time.perf_counter() - wall


def decoded_in_order(dataset: LeRobotDataset, camera: str, workers: int) -> int:
    """Every video from its first frame to its last, several videos at once; pixels are dropped."""

    def decoded(episode: int) -> int:
        return sum(1 for _ in decode(dataset.video_path(episode, camera)))

    with ThreadPoolExecutor(workers) as pool:
        return sum(pool.map(decoded, [episode.index for episode in dataset.episodes]))


def decoded_at_random(dataset: LeRobotDataset, camera: str, asked: list[tuple[int, float]]) -> int:
    """Seek to the key frame before each time and decode up to it."""
    for episode, timestamp in asked:
        with av.open(str(dataset.video_path(episode, camera))) as container:
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            container.seek(int(timestamp / stream.time_base), stream=stream)  # type: ignore[operator]
            for frame in container.decode(stream):
                if frame.time is not None and frame.time >= timestamp - 1e-3:
                    break
            frame.to_ndarray(format="rgb24")
    return len(asked)


def cached(
    dataset: LeRobotDataset, camera: str, scratch: str, workers: int, previous: Sequence[Path] = ()
) -> int:
    """The whole cache, synced to the disk."""
    directory = Path(scratch) / f"cache{workers}" / "version"
    info = build_frame_cache(dataset, [camera], directory, workers=workers, previous=previous)
    return info.frames


def read_in_batches(cache: FrameCache, camera: str, rows: np.ndarray) -> int:
    """As a loader does that looked up every row's frame before."""
    for first in range(0, len(rows), 32):
        cache.frames(camera, rows[first : first + 32])
    return len(rows)


def read_at_random(cache: FrameCache, camera: str, asked: list[tuple[int, float]]) -> int:
    for episode, timestamp in asked:
        cache.frame(episode, camera, timestamp)
    return len(asked)


def drawn(dataset: LeRobotDataset, count: int) -> list[tuple[int, float]]:
    """Episodes and timestamps at random."""
    random = np.random.default_rng(0)
    times = {episode.index: dataset.timestamps(episode.index) for episode in dataset.episodes}
    episodes = random.choice(list(times), count)
    return [(int(episode), float(random.choice(times[int(episode)]))) for episode in episodes]


def put_images_in_rows(folder: Path, height: int = 240, width: int = 320) -> str:
    """Turn the first camera of a dataset of v2.x into PNG in the rows.

    A slowly moving shade, and noise of two grey levels as a camera has.

    Returns:
        The camera.
    """
    dataset = LeRobotDataset.open(folder)
    camera, random = dataset.cameras[0], np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    shade = np.stack([0.8 * x, y, (x + y) / 3], axis=-1)
    for episode in dataset.episodes:
        path, images = dataset.parquet_path(episode.index), []
        for row in range(episode.length):
            noise = random.normal(10 * np.sin(row / 5), 2, shade.shape)
            image, output = (shade + noise).clip(0, 255).astype(np.uint8), io.BytesIO()
            Image.fromarray(image).save(output, "PNG")
            images.append({"bytes": output.getvalue(), "path": f"frame-{row:06d}.png"})
        pq.write_table(pq.read_table(path).append_column(camera, pa.array(images)), path)
    info = json.loads((folder / "meta/info.json").read_text())
    info["features"][camera] |= {"dtype": "image", "shape": [height, width, 3]}
    (folder / "meta/info.json").write_text(json.dumps(info))
    return camera


def measure_images() -> int:
    """Print the rates of images in the rows; 1 where the target is missed."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "synthetic"
        generate(SyntheticSource(episodes=3), folder)
        camera = put_images_in_rows(folder)
        dataset = LeRobotDataset.open(folder)
        rates = []
        for workers in (1, 2):
            frames, cpu, wall = timed(lambda n=workers: cached(dataset, camera, scratch, n))
            rates.append(frames / cpu)
            print(
                f"{frames} PNG in the rows cached, workers {workers}: "
                f"{frames / cpu:.0f} per CPU s, {frames / wall:.0f} per s"
            )
    print(f"target: {IMAGE_TARGET} frames per CPU second")
    return 0 if max(rates) >= IMAGE_TARGET else 1


def main() -> int:
    """Print the table; 1 where the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", type=Path, help="a LeRobot dataset")
    parser.add_argument("--images", action="store_true", help="images in the rows alone")
    arguments = parser.parse_args()
    if arguments.images:
        return measure_images()
    folder = arguments.dataset
    with tempfile.TemporaryDirectory() as scratch:
        if folder is None:
            folder = Path(scratch) / "synthetic"
            _, cpu, _ = timed(lambda: generate(SyntheticSource(), folder) or 0)
            print(f"synthetic demonstrations made in {cpu:.1f} CPU s")
        dataset = LeRobotDataset.open(folder)
        camera = dataset.cameras[0]
        rows = {}
        for workers in (1, 2):
            at_once = f"{workers} worker{'s' if workers > 1 else ''}"
            rows[f"decoded in order, {at_once}"] = timed(
                lambda workers=workers: decoded_in_order(dataset, camera, workers)
            )
            rows[f"cached on disk, {at_once}"] = timed(
                lambda workers=workers: cached(dataset, camera, scratch, workers)
            )
        directory = Path(scratch) / "cache1" / "version"
        rows["cached again, same videos"] = timed(
            lambda: cached(dataset, camera, scratch, 3, [directory])
        )
        cache = FrameCache.open(directory)
        asked = drawn(dataset, 20_000)
        rows_asked = np.random.default_rng(0).integers(0, dataset.frame_count, 20_000)
        rows |= {
            "read from the cache at random": timed(lambda: read_at_random(cache, camera, asked)),
            "read in batches of 32": timed(lambda: read_in_batches(cache, camera, rows_asked)),
            "decoded at random": timed(
                lambda: decoded_at_random(dataset, camera, drawn(dataset, 60))
            ),
        }
    print(f"{'frames of ' + camera:32} {'frames':>7} {'per CPU s':>10} {'per s':>8}")
    for name, (frames, cpu, wall) in rows.items():
        print(f"{name:32} {frames:>7} {frames / cpu:>10.0f} {frames / wall:>8.0f}")
    rate = {name: frames / cpu for name, (frames, cpu, _) in rows.items()}
    in_order, read = rate["decoded in order, 1 worker"], rate["read from the cache at random"]
    print(
        f"the cache is {read / rate['decoded at random']:.0f} times faster than decoding at random"
    )
    print(f"targets: {TARGET} frames per CPU second in order, {READ_TARGET} read at random")
    return 0 if in_order >= TARGET and read >= READ_TARGET else 1


if __name__ == "__main__":
    raise SystemExit(main())
