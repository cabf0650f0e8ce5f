"""Seconds and memory of the whole check of a dataset, by its format and number of episodes.

    python -m benchmarks.validation

Makes datasets out of a few synthetic demonstrations, each episode with its own indices and a
little noise on its actions, and checks each in a process of its own. Videos of v2.1 are hard links
to those of the few: they are walked through for every episode, and mostly read from the page cache.
v3.0 is laid out as LeRobot does: many episodes in a file, a row group for each.
"""

import argparse
import json
import os
import resource
import shutil
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
from gr00t_assets.datasets.source_kinds import SyntheticSource
from gr00t_assets.datasets.synthetic.generator import generate
from gr00t_assets_tests.datasets.lerobot.v3.v30 import convert_to_v30

SIZES = (250, 1000)
ROWS = 50_000
EPISODES_A_FILE = 250
MOST_SECONDS, MOST_MEGABYTES = 10.0, 1000.0
MOST_GROWTH = 1.3
"""Time of an episode in the largest dataset over that in the smallest."""

CONFIG = "fourier_gr1_arms_only"
CAMERA = "observation.images.ego_view"


def replicate(few: Path, episodes: int, target: Path) -> None:
    """Write a dataset of many episodes after the pattern of a few."""
    info = json.loads((few / "meta/info.json").read_text())
    stored = json.loads((few / "meta/stats.json").read_text())
    listed = [
        json.loads(line) for line in (few / "meta/episodes.jsonl").read_text().strip().split("\n")
    ]
    tables = [
        pq.read_table(few / info["data_path"].format(episode_chunk=0, episode_index=index))
        for index in range(len(listed))
    ]
    random = np.random.default_rng(0)
    running = RunningStatistics()
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
    command = [sys.executable, "-m", "benchmarks.validation", "--check", str(directory)]
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
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--episodes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--rows", type=int, default=ROWS, help="of a v3.0 dataset in few files")
    parser.add_argument("--check", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.check:
        check(arguments.check)
        return 0
    print("format  episodes    rows  seconds   CPU s     MB  ms an episode  findings")
    figures: dict[tuple[str, int], dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        few = Path(scratch) / "few"
        generate(SyntheticSource(episodes=8), few)
        lines = (few / "meta/episodes.jsonl").read_text().strip().split("\n")
        length = sum(json.loads(line)["length"] for line in lines) / len(lines)
        few_files = round(arguments.rows / length)
        for count in sorted({*arguments.episodes, few_files}):
            target = Path(scratch) / str(count)
            replicate(few, count, target)
            for version, folder in (("v2.1", target), ("v3.0", Path(f"{target}-v30"))):
                if version == "v3.0":
                    convert_to_v30(target, folder, EPISODES_A_FILE)
                found = figures[version, count] = measured(folder)
                print(
                    f"{version:>6} {count:>9} {count * length:>7.0f} {found['seconds']:>8.1f} "
                    f"{found['cpu']:>7.1f} {found['megabytes']:>6.0f} "
                    f"{1000 * found['cpu'] / count:>14.1f}  {found['summary']}",
                    flush=True,
                )
                for error in found["errors"]:
                    print(error)
            shutil.rmtree(target)
            shutil.rmtree(f"{target}-v30")
    first, last = min(arguments.episodes), max(arguments.episodes)
    per_episode = {key: value["cpu"] / key[1] for key, value in figures.items()}
    results = {
        f"growth of v2.1 from {first} to {last} episodes, at most {MOST_GROWTH}": (
            per_episode["v2.1", last] / per_episode["v2.1", first],
            MOST_GROWTH,
        ),
        "CPU time of v3.0 over that of v2.1, at most 1": (
            per_episode["v3.0", last] / per_episode["v2.1", last],
            1.0,
        ),
    }
    for version in ("v2.1", "v3.0"):
        figure = figures[version, last]
        results[f"CPU s of {last} episodes in {version}, at most {MOST_SECONDS:g}"] = (
            figure["cpu"],
            MOST_SECONDS,
        )
        results[f"MB of {last} episodes in {version}, at most {MOST_MEGABYTES:g}"] = (
            figure["megabytes"],
            MOST_MEGABYTES,
        )
    results[f"CPU s of {arguments.rows} rows in few files, at most {MOST_SECONDS / 2:g}"] = (
        figures["v3.0", few_files]["cpu"],
        MOST_SECONDS / 2,
    )
    for name, (value, most) in results.items():
        print(f"{value:8.2f}  {name}{'' if value <= most else '  MISSED'}")
    sound = not any(figure["errors"] for figure in figures.values())
    return 0 if sound and all(value <= most for value, most in results.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
