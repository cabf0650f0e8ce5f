"""Frames per second: decoded in order, read from the frame cache, decoded at random.

``python -m benchmarks.frames [--dataset FOLDER]``, on synthetic demonstrations by default. Target:
1,000 frames per CPU second in order, on videos of 256 x 256.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from gr00t_assets.datasets.frame_cache import FrameCache, build_frame_cache
from gr00t_assets.datasets.frames import decode
from gr00t_assets.datasets.lerobot import LeRobotDataset
from gr00t_assets.datasets.synthetic.generator import generate
from gr00t_assets.datasets.synthetic.spec import SyntheticSpec

TARGET = 1000


def timed(work: Callable[[], int]) -> tuple[int, float, float]:
    """Frames, CPU seconds and seconds of some work."""
    wall, cpu = time.perf_counter(), time.process_time()
    frames = work()
    return frames, time.process_time() - cpu, time.perf_counter() - wall


def decoded_in_order(dataset: LeRobotDataset, camera: str) -> int:
    return sum(
        sum(1 for _ in decode(dataset.video_path(episode.index, camera)))
        for episode in dataset.episodes
    )


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


def main() -> int:
    """Print the table; 1 where the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", type=Path, help="a LeRobot dataset")
    folder = parser.parse_args().dataset
    with tempfile.TemporaryDirectory() as scratch:
        if folder is None:
            folder = Path(scratch) / "synthetic"
            _, cpu, _ = timed(lambda: generate(SyntheticSpec(), folder) or 0)
            print(f"synthetic demonstrations made in {cpu:.1f} CPU s")
        dataset = LeRobotDataset.open(folder)
        camera = dataset.cameras[0]
        directory = Path(scratch) / "cache" / "version"
        build = timed(lambda: build_frame_cache(dataset, [camera], directory).frames)
        cache = FrameCache.open(directory)
        rows = {
            "decoded in order": timed(lambda: decoded_in_order(dataset, camera)),
            "cached, written to disk": build,
            "read from the cache at random": timed(
                lambda: read_at_random(cache, camera, drawn(dataset, 5000))
            ),
            "decoded at random": timed(
                lambda: decoded_at_random(dataset, camera, drawn(dataset, 60))
            ),
        }
    print(f"{'frames of ' + camera:32} {'frames':>7} {'per CPU s':>10} {'per s':>8}")
    for name, (frames, cpu, wall) in rows.items():
        print(f"{name:32} {frames:>7} {frames / cpu:>10.0f} {frames / wall:>8.0f}")
    rate = {name: frames / cpu for name, (frames, cpu, _) in rows.items()}
    ratio = rate["read from the cache at random"] / rate["decoded at random"]
    print(f"the cache is {ratio:.0f} times faster than decoding at random")
    print(f"target: {TARGET} frames per CPU second in order")
    return 0 if rate["decoded in order"] >= TARGET else 1


if __name__ == "__main__":
    raise SystemExit(main())
