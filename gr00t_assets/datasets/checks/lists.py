"""``meta/tasks.jsonl`` and ``meta/episodes.jsonl``, line by line."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gr00t_assets.core.finding import Collector, short
from gr00t_assets.datasets.checks.folder import Folder
from gr00t_assets.datasets.checks.json_files import RESTORE, read_lines

TASKS = "meta/tasks.jsonl"
EPISODES = "meta/episodes.jsonl"

LARGEST_INDEX = 10_000_000
_DAMAGED = ("line-not-json", "field", "too-many-lines")

LONGEST_EPISODE = 1_000_000
"""Rows; more than nine hours at 30 rows a second."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An episode as ``episodes.jsonl`` lists it."""

    index: int
    length: int


def check_tasks(folder: Folder) -> dict[int, str] | None:
    """Instructions by task index; ``None`` where the file cannot be had."""
    lines = read_lines(folder, TASKS)
    if lines is None:
        return None
    tasks: dict[int, str] = {}
    for number, item in lines:
        where = f"line {number}"
        index = _whole(folder.collector, TASKS, where, item, "task_index", 0, LARGEST_INDEX)
        text = item.get("task")
        if not isinstance(text, str):
            _wrong(folder.collector, TASKS, where, item, "task", "text")
        elif index is not None:
            _see_task(folder.collector, where, tasks, index, text)
    if not tasks and folder.collector.count(*_DAMAGED) == 0:
        folder.collector.error("no-tasks", TASKS, "no task", "at least one instruction", RESTORE)
    return tasks


def _see_task(
    collector: Collector, where: str, tasks: dict[int, str], index: int, text: str
) -> None:
    if index in tasks:
        collector.error(
            "task-duplicate",
            TASKS,
            f"{where}: task index {index} again, as {short(text)}",
            f"one line an index; it is {short(tasks[index])} before",
            "remove the line that is wrong",
        )
        return
    if not text.strip():
        collector.error(
            "task-empty", TASKS, f"{where}: an empty text", "an instruction", "write what was done"
        )
    elif len(text.split()) < 2:
        collector.warn(
            "task-not-instruction",
            TASKS,
            f"{where}: task {index} is {short(text)}",
            "an instruction to the robot, such as 'pick the pear'",
            "see that no row that is trained on has it as its instruction",
        )
    tasks[index] = text


@dataclass(frozen=True)
class Episodes:
    """The episodes that can be looked at, by index, and whether they are all that there are."""

    listed: list[Listed]
    whole: bool


def check_episodes(folder: Folder, tasks: Mapping[int, str] | None) -> Episodes | None:
    """Read the list; ``None`` where the file cannot be had."""
    lines = read_lines(folder, EPISODES)
    if lines is None:
        return None
    collector = folder.collector
    before = collector.count(*_DAMAGED)
    known = None if tasks is None else set(tasks.values())
    found: dict[int, Listed] = {}
    last = -1
    ordered = True
    for number, item in lines:
        where = f"line {number}"
        index = _whole(collector, EPISODES, where, item, "episode_index", 0, LARGEST_INDEX)
        length = _whole(collector, EPISODES, where, item, "length", 1, LONGEST_EPISODE)
        _see_texts(collector, where, item.get("tasks"), known)
        if index is None:
            continue
        if index in found:
            collector.error(
                "episode-duplicate",
                EPISODES,
                f"{where}: episode {index} again",
                "one line an episode",
                "remove one of the lines",
            )
            continue
        if index < last and ordered:
            ordered = False
            collector.warn(
                "episode-order",
                EPISODES,
                f"{where}: episode {index} after episode {last}",
                "episodes in the order of their index",
                "sort the lines by episode_index",
            )
        last = index
        found[index] = Listed(index, length if length is not None else 0)
    whole = collector.count(*_DAMAGED) == before
    if not found and whole:
        collector.error("no-episodes", EPISODES, "no episode", "at least one", RESTORE)
    if whole:
        whole = _see_gaps(collector, found)
    return Episodes([found[index] for index in sorted(found)], whole)


def _see_gaps(collector: Collector, found: Mapping[int, Listed]) -> bool:
    """Whether every episode up to the last one is listed."""
    last = max(found, default=-1)
    absent = last + 1 - len(found)
    if absent <= 0:
        return True
    first = next(index for index in range(last + 1) if index not in found)
    collector.error(
        "episode-missing",
        EPISODES,
        f"{absent} of the episodes 0 to {last} are not listed, first {first}",
        "every episode from 0 on",
        f"bring episode {first} back, or number the episodes anew",
    )
    return False


def _see_texts(collector: Collector, where: str, texts: Any, known: set[str] | None) -> None:
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        collector.warn(
            "episode-tasks",
            EPISODES,
            f"{where}: tasks is {short(texts)}",
            "a list of instructions",
            "list what was done in the episode",
        )
        return
    for text in texts if known is not None else ():
        if text not in known:
            collector.warn(
                "episode-task-unknown",
                EPISODES,
                f"{where}: {short(text)}",
                "instructions of meta/tasks.jsonl",
                "add it to meta/tasks.jsonl or correct the line; the rows decide what is trained",
            )


def _whole(
    collector: Collector, file: str, where: str, item: Any, name: str, least: int, most: int
) -> int | None:
    value = item.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    _wrong(collector, file, where, item, name, f"a whole number, {least} to {most:,}")
    return None


def _wrong(
    collector: Collector, file: str, where: str, item: Any, name: str, expected: str
) -> None:
    shown = f"{name} is {short(item[name])}" if name in item else f"no {name}"
    collector.error("field", file, f"{where}: {shown}", f"{name}: {expected}", RESTORE)
