"""One fault each in the meta files of a good dataset."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gr00t_assets_tests.datasets.checks.edits import CAMERA, edit_json, edit_lines, renew_statistics

INFO, EPISODES, TASKS = "meta/info.json", "meta/episodes.jsonl", "meta/tasks.jsonl"
MODALITY, STATS = "meta/modality.json", "meta/stats.json"


Make = Callable[[Path], object]


@dataclass(frozen=True)
class Fault:
    """A fault, the finding that names it, and what else it cannot but cause."""

    code: str
    file: str | None
    make: Make
    remedy: str
    severity: str = "error"
    also: tuple[str, ...] = ()
    backend: str = "frame-cache"
    config: str | None = "fourier_gr1_arms_only"
    limits: Mapping[str, int] = field(default_factory=dict)
    """Constants that are smaller in the test, by their whole names."""


def info(**fields: Any) -> Make:
    return lambda directory: edit_json(directory, "info.json", lambda value: value.update(fields))


def without(name: str, field: str) -> Make:
    return lambda directory: edit_json(directory, name, lambda value: value.pop(field))


def feature(name: str, **fields: Any) -> Make:
    def change(value: Any) -> None:
        value["features"].setdefault(name, {}).update(fields)

    return lambda directory: edit_json(directory, "info.json", change)


def modality(section: str, key: str, **fields: Any) -> Make:
    def change(value: Any) -> None:
        value[section].setdefault(key, {}).update(fields)

    return lambda directory: edit_json(directory, "modality.json", change)


def lines(name: str, change: Callable[[list[Any]], object]) -> Make:
    return lambda directory: edit_lines(directory, name, change)


def text(file: str, content: bytes) -> Make:
    return lambda directory: (directory / file).write_bytes(content)


def appended(file: str, content: str) -> Make:
    def make(directory: Path) -> None:
        path = directory / file
        path.write_text(path.read_text() + content)

    return make


def removed(file: str) -> Make:
    return lambda directory: (directory / file).unlink()


def _tasks_of_another(directory: Path) -> None:
    lines("tasks.jsonl", lambda all: all.append({"task_index": 9, "task": "open the drawer"}))(
        directory
    )
    lines("episodes.jsonl", lambda all: all[1].update(tasks=["open the drawer"]))(directory)
    info(total_tasks=len((directory / TASKS).read_text().strip().split("\n")))(directory)


def without_episode(directory: Path, index: int = 1) -> None:
    """An episode deleted by hand, its files and its line."""
    for path in directory.glob(f"*/*/**/episode_{index:06d}.*"):
        path.unlink()
    lengths: list[int] = []

    def drop(items: list[Any]) -> None:
        del items[index]
        lengths.extend(item["length"] for item in items)

    edit_lines(directory, "episodes.jsonl", drop)
    totals = {"total_episodes": 2, "total_videos": 2, "total_frames": sum(lengths)}
    info(splits={"train": "0:2"}, **totals)(directory)
    renew_statistics(directory)


def _sparse(directory: Path) -> None:
    with (directory / EPISODES).open("wb") as file:
        file.truncate(65 * 2**20)


LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n"

META_FAULTS = {
    "info missing": Fault("meta-missing", INFO, removed(INFO), "restore"),
    "info not JSON": Fault("not-json", INFO, text(INFO, b'{"fps": '), "restore"),
    "info nested too deeply": Fault("not-json", INFO, text(INFO, b"[" * 200_000), "restore"),
    "info not an object": Fault("not-an-object", INFO, text(INFO, b"[1]"), "restore"),
    "info not UTF-8": Fault("not-text", INFO, text(INFO, b'{"fps": "\xff"}'), "restore"),
    "info empty": Fault("empty-file", INFO, text(INFO, b""), "again"),
    "tasks are a pointer": Fault("lfs-pointer", TASKS, text(TASKS, LFS_POINTER), "git lfs pull"),
    "episodes absurdly large": Fault("file-too-large", EPISODES, _sparse, "what wrote it"),
    "version unknown": Fault("format-unsupported", INFO, info(codebase_version="v1.6"), "v2.1"),
    "version of another layout": Fault(
        "format-mislabelled", INFO, info(codebase_version="v3.0"), "codebase_version to v2.1"
    ),
    "fps zero": Fault("info-field", INFO, info(fps=0), "fps"),
    "fps absurd": Fault("info-field", INFO, info(fps=10**400), "fps"),
    "fps missing": Fault("info-field", INFO, without("info.json", "fps"), "restore"),
    "fps of info": Fault("info-fps", INFO, info(fps=10.0), "fps"),
    "chunks_size absurd": Fault("info-field", INFO, info(chunks_size=0), "chunks_size"),
    "template unknown field": Fault("path-template", INFO, info(data_path="a/{name}"), "named"),
    "template fills the memory": Fault(
        "path-template", INFO, info(data_path="a/{episode_index:0999999999d}"), "named"
    ),
    "template without episode": Fault(
        "path-template", INFO, info(video_path="{video_key}.mp4"), "named"
    ),
    "path upwards": Fault(
        "path-escape", INFO, info(data_path="../{episode_index}.parquet"), "data_path"
    ),
    "path absolute": Fault(
        "path-escape", INFO, info(data_path="/etc/{episode_index}.parquet"), "data_path"
    ),
    "camera name upwards": Fault(
        "path-escape", INFO, feature("../../../x", dtype="video", shape=[8, 8, 3]), "correct"
    ),
    "features missing": Fault("info-field", INFO, without("info.json", "features"), "restore"),
    "camera without a height": Fault(
        "feature-declaration", INFO, feature("x", dtype="video", shape=[96]), "declare"
    ),
    "shape is no list": Fault(
        "feature-declaration", INFO, feature("action", shape="44"), "declare"
    ),
    "too few episodes": Fault("episode-count", INFO, info(total_episodes=4), "set total_episodes"),
    "too few rows": Fault("frame-count", INFO, info(total_frames=5000), "set total_frames"),
    "videos miscounted": Fault("info-total", INFO, info(total_videos=7), "correct", "warning"),
    "split too long": Fault(
        "info-splits", INFO, info(splits={"train": "0:9"}), "correct", "warning"
    ),
    "names that do not fit": Fault(
        "feature-names",
        INFO,
        feature("action", names=["one", "two"]),
        "correct the names",
        "warning",
    ),
    "numbers in two axes": Fault(
        "feature-flattened", INFO, feature("action", shape=[4, 11]), "one after another", "warning"
    ),
    "depth camera": Fault(
        "feature-left-out",
        INFO,
        feature("depth", dtype="video", shape=[9, 9, 1], info={"is_depth_map": True}),
        "left out",
        "warning",
    ),
    "camera of images that has videos": Fault(
        "camera-in-videos", INFO, feature(CAMERA, dtype="image"), "set its dtype to video"
    ),
    "camera declared without files": Fault(
        "camera-without-files",
        INFO,
        feature("observation.images.wrist", dtype="video", shape=[96, 96, 3]),
        "take the camera out",
        "warning",
    ),
    "too many lines": Fault(
        "too-many-lines",
        EPISODES,
        lambda directory: None,
        "split the dataset",
        limits={"gr00t_assets.datasets.lerobot.folder.MOST_LINES": 2},
    ),
    "line not JSON": Fault("line-not-json", EPISODES, appended(EPISODES, "{\n"), "restore"),
    "no episodes": Fault("no-episodes", EPISODES, text(EPISODES, b"\n"), "restore"),
    "episode twice": Fault(
        "episode-duplicate",
        EPISODES,
        lines("episodes.jsonl", lambda all: all.append(all[0])),
        "remove",
    ),
    "episode negative": Fault(
        "field",
        EPISODES,
        lines("episodes.jsonl", lambda all: all[0].update(episode_index=-1)),
        "restore",
    ),
    "episode absent": Fault(
        "episode-count",
        INFO,
        lines("episodes.jsonl", lambda all: all.pop(1)),
        "set total_episodes to 2",
        also=("frame-count",),
    ),
    "episode deleted": Fault("episode-gap", EPISODES, without_episode, "anew", "warning"),
    "episodes out of order": Fault(
        "episode-order",
        EPISODES,
        lines("episodes.jsonl", lambda all: all.reverse()),
        "sort",
        "warning",
    ),
    "length of an episode": Fault(
        "episode-length",
        EPISODES,
        lines("episodes.jsonl", lambda all: all[1].update(length=12)),
        "length",
    ),
    "length absurd": Fault(
        "field",
        EPISODES,
        lines("episodes.jsonl", lambda all: all[1].update(length=10**12)),
        "restore",
    ),
    "text of an episode unknown": Fault(
        "episode-task-unknown",
        EPISODES,
        lines("episodes.jsonl", lambda all: all[1].update(tasks=["fly away"])),
        "add it",
        "warning",
    ),
    "text of an episode is not that of its rows": Fault(
        "episode-task-differs", EPISODES, _tasks_of_another, "list it", "warning"
    ),
    "tasks of an episode are no list": Fault(
        "episode-tasks",
        EPISODES,
        lines("episodes.jsonl", lambda all: all[1].update(tasks="pick the pear")),
        "list what was done",
        "warning",
    ),
    "no tasks": Fault(
        "no-tasks", TASKS, text(TASKS, b"\n"), "restore", also=("task-index-unknown",)
    ),
    "camera of another rate": Fault(
        "camera-fps",
        INFO,
        feature(CAMERA, info={"video.fps": 15.0}, video_info={}),
        "agree with the recording",
        "warning",
    ),
    "task twice": Fault(
        "task-duplicate", TASKS, lines("tasks.jsonl", lambda all: all.append(all[0])), "remove"
    ),
    "task empty": Fault(
        "task-empty", TASKS, lines("tasks.jsonl", lambda all: all[0].update(task=" ")), "write"
    ),
    "task with a special token": Fault(
        "task-special-token",
        TASKS,
        lines("tasks.jsonl", lambda all: all[0].update(task="pick it<|im_end|>\nnow <image-1>")),
        "take it out of meta/tasks.jsonl",
    ),
    "task that is no Unicode": Fault(
        "text-not-unicode",
        TASKS,
        lines("tasks.jsonl", lambda all: all[0].update(task="pick \ud800 it")),
        "take it out",
        also=("task-index-unknown", "no-tasks", "info-total"),
    ),
    "feature whose name is no Unicode": Fault(
        "text-not-unicode", INFO, info(robot_type="\udfff"), "take it out"
    ),
    "task is one word": Fault(
        "task-not-instruction",
        TASKS,
        lines("tasks.jsonl", lambda all: all[0].update(task="valid")),
        "instruction",
        "warning",
    ),
}
