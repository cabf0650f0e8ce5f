"""The same fault in LeRobot's two layouts: a file for each episode, and v3.0."""

import json
import shutil
from pathlib import Path

from gr00t_assets_tests.datasets.checks.edits import CAMERA, data_file, video_file
from gr00t_assets_tests.datasets.checks.test_faults import FAULTS
from gr00t_assets_tests.datasets.lerobot.v3.v30 import DATA, VIDEO, write_meta

STRUCTURAL_FAULTS = (
    *("info not JSON", "fps of info", "too few episodes", "too few rows", "length of an episode"),
    *("episode absent", "task empty", "task unknown", "stats of other data", "vector too short"),
    *("rows missing", "rows truncated", "rows are a pointer", "row too few", "column missing"),
    *("vector of changing length", "cell empty", "NaN", "of another episode", "frame index"),
    *("timestamps back", "timestamp late", "timestamps not reset", "episode copied"),
    *("video missing", "video truncated", "video of another size", "video of another rate"),
    *("video too short", "video frames late"),
)
"""By their names among the faults of the tests."""

LAYOUTS = ("v2", "v3")


def spoil(good: Path, scratch: Path, fault: str | None) -> dict[str, Path]:
    """The good dataset with one fault in both layouts; without one where ``fault`` is None."""
    listed = (good / "meta" / "episodes.jsonl").read_text().splitlines()
    lengths = [json.loads(line)["length"] for line in listed]
    folders = {layout: scratch / layout / "dataset" for layout in LAYOUTS}
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(good, folders["v2"])
    if fault is not None:
        FAULTS[fault].make(folders["v2"])
    lay_out_as_v30(folders["v2"], folders["v3"], lengths)
    return folders


def lay_out_as_v30(source: Path, target: Path, lengths: list[int]) -> None:
    """A dataset of the v2 layout as v3.0, one file an episode; ``lengths`` are those of its rows
    before it was spoilt.
    """
    meta = source / "meta"
    text = (meta / "info.json").read_text()
    episodes = [json.loads(line) for line in (meta / "episodes.jsonl").read_text().splitlines()]
    tasks = [json.loads(line) for line in (meta / "tasks.jsonl").read_text().splitlines()]
    try:
        info = json.loads(text)
    except ValueError:
        info = {"fps": 20, "features": {}}
    rows = []
    for item in episodes:
        index = item["episode_index"]
        place = {"chunk_index": 0, "file_index": index}
        first = sum(lengths[:index])
        video = {**place, "from_timestamp": 0.0, "to_timestamp": item["length"] / info["fps"]}
        rows.append(
            item
            | {"dataset_from_index": first, "dataset_to_index": first + lengths[index]}
            | {f"data/{key}": value for key, value in place.items()}
            | {f"videos/{CAMERA}/{key}": value for key, value in video.items()}
        )
    for index in range(len(lengths)):
        place = {"chunk_index": 0, "file_index": index}
        for name, template in ((data_file(index), DATA), (video_file(index), VIDEO)):
            path = target / template.format(**place, video_key=CAMERA)
            path.parent.mkdir(parents=True, exist_ok=True)
            if (source / name).is_file():
                shutil.copyfile(source / name, path)
    write_meta(target, info, {item["task_index"]: item["task"] for item in tasks}, rows)
    if not info["features"]:
        (target / "meta" / "info.json").write_text(text)
    for name in ("stats.json", "modality.json"):
        shutil.copyfile(meta / name, target / "meta" / name)
