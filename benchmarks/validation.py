"""Seconds and memory of the whole check of a dataset, by its number of episodes.

    python benchmarks/validation.py

Makes datasets out of a few synthetic demonstrations, each episode with its own indices and a little
noise on its actions, and checks each in a process of its own. Videos are hard links to those of the
few: they are walked through for every episode, and mostly read from the page cache.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gr00t_assets.datasets.fit.dataset_check import check_dataset
from gr00t_assets.datasets.lerobot.statistics import RunningStatistics
from gr00t_assets.datasets.synthetic.generator import generate
from gr00t_assets.datasets.synthetic.spec import SyntheticSpec

SIZES = (250, 500, 1000)
MOST_SECONDS, MOST_MEGABYTES = 60.0, 1000.0
MOST_GROWTH = 1.3
"""Time of an episode in the largest dataset over that in the smallest."""

CONFIG = "fourier_gr1_arms_only"
CAMERA = "observation.images.ego_view"


def replicate(few: Path, episodes: int, target: Path) -> None:
    """Write a dataset of many episodes after the pattern of a few."""
    info = json.loads((few / "meta/info.json").read_text())
    stored = json.loads((few / "meta/stats.json").read_text())
    listed = [json.loads(line) for line in (few / "meta/episodes.jsonl").read_text().splitlines()]
    tables = [
        pq.read_table(few / info["data_path"].format(episode_chunk=0, episode_index=index))
        for index in range(len(listed))
    ]
    random = np.random.default_rng(0)
    running = RunningStatistics(44)
    lines, row = [], 0
    for index in range(episodes):
        pattern = index % len(listed)
        table, place = tables[pattern], {"episode_chunk": index // 1000, "episode_index": index}
        count = table.num_rows
        actions = np.stack(table.column("action").to_numpy())
        actions += random.normal(0, 1e-4, (count, 1))
        running.add(actions)
        changed = {
            "action": pa.array(list(actions)),
            "episode_index": pa.array(np.full(count, index)),
            "index": pa.array(np.arange(row, row + count)),
        }
        for name, values in changed.items():
            table = table.set_column(table.column_names.index(name), name, values)
        path = target / info["data_path"].format(**place)
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)
        video = target / info["video_path"].format(**place, video_key=CAMERA)
        video.parent.mkdir(parents=True, exist_ok=True)
        old = {"episode_chunk": 0, "episode_index": pattern, "video_key": CAMERA}
        os.link(few / info["video_path"].format(**old), video)
        lines.append(json.dumps({**listed[pattern], "episode_index": index}) + "\n")
        row += count
    info |= {"total_episodes": episodes, "total_frames": row, "total_videos": episodes}
    info["splits"] = {"train": f"0:{episodes}"}
    stored["action"] = {name: values.tolist() for name, values in running.result().items()}
    meta = target / "meta"
    meta.mkdir()
    for name in ("modality.json", "tasks.jsonl"):
        (meta / name).write_bytes((few / "meta" / name).read_bytes())
    (meta / "episodes.jsonl").write_text("".join(lines))
    (meta / "info.json").write_text(json.dumps(info))
    (meta / "stats.json").write_text(json.dumps(stored))


def measured(directory: Path) -> dict[str, Any]:
    """Seconds, MB and findings of a check in a process of its own."""
    command = [sys.executable, __file__, "--check", str(directory)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def check(directory: Path) -> None:
    """Check one dataset and print the figures as JSON."""
    began, cpu = time.perf_counter(), time.process_time()
    findings = check_dataset(directory, CONFIG)
    figures = {
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "summary": findings.summary(),
        "errors": [item.model_dump() for item in findings.errors],
    }
    print(json.dumps(figures))


def main() -> int:
    """Print the table; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--episodes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--check", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.check:
        check(arguments.check)
        return 0
    print(f"{'episodes':>8} {'seconds':>8} {'CPU s':>8} {'MB':>6} {'ms an episode':>14}  findings")
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        few = Path(scratch) / "few"
        generate(SyntheticSpec(episodes=8), few)
        for count in arguments.episodes:
            target = Path(scratch) / str(count)
            replicate(few, count, target)
            found = measured(target)
            rows.append((count, found))
            each = 1000 * found["seconds"] / count
            print(
                f"{count:>8} {found['seconds']:>8.1f} {found['cpu']:>8.1f} "
                f"{found['megabytes']:>6.0f} {each:>14.1f}  {found['summary']}",
                flush=True,
            )
            for error in found["errors"]:
                print(error)
    (first, small), (last, large) = rows[0], rows[-1]
    growth = (large["cpu"] / last) / (small["cpu"] / first)
    print(f"CPU time of an episode at {last} over that at {first}: {growth:.2f}")
    print(f"target: {MOST_SECONDS:.0f} s, {MOST_MEGABYTES:.0f} MB, growth below {MOST_GROWTH}")
    good = (
        large["seconds"] < MOST_SECONDS
        and large["megabytes"] < MOST_MEGABYTES
        and growth < MOST_GROWTH
        and not large["errors"]
    )
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
