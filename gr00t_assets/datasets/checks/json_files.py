"""Meta files of JSON: an object, or one object a line; every fault of them is a finding."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from gr00t_assets.core.finding import Collector, short
from gr00t_assets.datasets.checks.folder import LARGEST_META_BYTES, LARGEST_OBJECT_BYTES, Folder

MOST_LINES = 200_000
"""Episodes or tasks that are looked at."""

MOST_LINE_CHARACTERS = 100_000

RESTORE = "restore the file from the recording or from its source"


def read_object(
    folder: Folder, file: str, missing: Callable[[Collector], None]
) -> dict[str, Any] | None:
    """The object of a JSON file.

    Args:
        folder: The dataset.
        file: Path inside it.
        missing: Reports that the file is not there.

    Returns:
        ``None`` where it cannot be had; why is a finding.
    """
    text = _text(folder, file, missing, LARGEST_OBJECT_BYTES)
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        folder.collector.error("not-json", file, _reason(error), "one JSON object", RESTORE)
        return None
    if not isinstance(value, dict):
        folder.collector.error("not-an-object", file, short(value), "one JSON object", RESTORE)
        return None
    return value


def read_lines(folder: Folder, file: str) -> Iterator[tuple[int, dict[str, Any]]] | None:
    """Line numbers and objects of a file with a JSON object on each line.

    Returns:
        ``None`` where the file cannot be had. Lines that are no objects are findings and are
        passed over.
    """
    text = _text(folder, file, partial(report_missing, file=file), LARGEST_META_BYTES)
    return None if text is None else _lines(folder.collector, file, text)


def report_missing(collector: Collector, file: str) -> None:
    """Report a meta file that every dataset has."""
    collector.error(
        "meta-missing", file, "no such file", "a file of LeRobot's format v2.0 or v2.1", RESTORE
    )


def _lines(collector: Collector, file: str, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        if number > MOST_LINES:
            collector.error(
                "too-many-lines",
                file,
                f"more than {MOST_LINES:,} lines",
                f"at most {MOST_LINES:,}",
                "split the dataset; the lines after these were not looked at",
            )
            return
        where = f"line {number}"
        if len(line) > MOST_LINE_CHARACTERS:
            collector.error(
                "line-not-json", file, f"{where} has {len(line):,} characters", _ONE, RESTORE
            )
            continue
        try:
            item = json.loads(line)
        except (ValueError, RecursionError) as error:
            collector.error("line-not-json", file, f"{where}: {_reason(error)}", _ONE, RESTORE)
            continue
        if isinstance(item, dict):
            yield number, item
        else:
            collector.error("line-not-json", file, f"{where}: {short(item)}", _ONE, RESTORE)


_ONE = "one JSON object on each line"


def _text(
    folder: Folder, file: str, missing: Callable[[Collector], None], most_bytes: int
) -> str | None:
    path = folder.opened(file, most_bytes)
    if path is None:
        if not folder.exists(file):
            missing(folder.collector)
        return None
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        folder.unreadable(file, error)
    except UnicodeDecodeError as error:
        folder.collector.error(
            "not-text", file, f"byte {error.start} is not UTF-8", "text in UTF-8", RESTORE
        )
    return None


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)
