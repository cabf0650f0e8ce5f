"""Where the rows of each episode of a v3.0 dataset are, whose files hold many.

Rows are found by their column ``episode_index``, not by the file that ``meta/episodes`` names:
early releases of LeRobot's converter name the file before the right one where a file is full,
which LeRobot itself does not notice, since it numbers the rows of all files through.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from gr00t_assets.core.finding import Collector
from gr00t_assets.datasets.lerobot.columns import EPISODE_INDEX, FileFaults
from gr00t_assets.datasets.lerobot.episodes import V30_EPISODES, Episode, SharedFiles
from gr00t_assets.datasets.lerobot.features import Feature
from gr00t_assets.datasets.lerobot.folder import Folder, episode_names, report_missing_files
from gr00t_assets.datasets.lerobot.rows import Rows, read_rows

_NUMBERS = Feature(EPISODE_INDEX, "int64", (1,), (), {})


@dataclass(frozen=True)
class RowRange:
    """Rows of one episode that follow each other in one file.

    Attributes:
        episode: Episode index.
        file: The file, relative to the dataset.
        start: Position of the first of them in the file.
        count: How many.
    """

    episode: int
    file: str
    start: int
    count: int


def find_rows(
    folder: Folder,
    episodes: Sequence[Episode],
    files: Collection[str],
    features: Mapping[str, Feature],
    visit: Callable[[str, Rows], None] | None = None,
    faults: FileFaults | None = None,
) -> dict[int, RowRange]:
    """Where the rows of every episode are; each file is read once.

    The folder's collector takes: files that are missing or unreadable, rows missing or too many,
    rows of an episode that is not listed or that lies in several places.

    Args:
        files: Those that there are, and those that ``meta/episodes`` names.
        features: Declared ones by name.
        visit: Called with each file and the rows of each episode in it, of all columns. Without
            it ``episode_index`` alone is read.
        faults: Takes what is wrong with a column, until all files were read.

    Returns:
        By episode that is listed and whole, in the order of files and of rows in them.
    """
    collector, features = folder.collector, {EPISODE_INDEX: _NUMBERS, **features}
    only = () if visit else (EPISODE_INDEX,)
    ranges: list[RowRange] = []
    for file in files:
        path = folder.opened(file)
        with collector.guard(file):
            options = {"shared": True, "only": only, "faults": faults}
            reading = () if path is None else read_rows(collector, path, file, features, **options)
            for rows in reading:
                ranges.append(RowRange(rows.episode or 0, file, rows.start, rows.count))
                if visit is not None:
                    visit(file, rows)
    parts: dict[int, list[RowRange]] = defaultdict(list)
    for part in ranges:
        parts[part.episode].append(part)
    whole = {
        episode.index: parts[episode.index][0]
        for episode in episodes
        if [part.count for part in parts[episode.index]] == [episode.length]
    }
    absent = {file for file in files if not folder.exists(file)}
    if len(whole) < len(episodes):
        report_missing_files(folder, sorted(absent), "parquet-missing")
    else:
        for file in sorted(absent):
            collector.report("data-file-absent", file, "no such file")
    listed = {index: part for index, part in parts.items() if not folder.leaves_out(index)}
    _check_ranges(collector, episodes, listed, absent)
    return {part.episode: part for part in ranges if whole.get(part.episode) is part}


def _check_ranges(
    collector: Collector,
    episodes: Sequence[Episode],
    ranges: Mapping[int, list[RowRange]],
    absent: Collection[str],
) -> None:
    """Hold the rows that there are against the list of episodes."""
    for index in sorted(set(ranges) - {episode.index for episode in episodes}):
        part = ranges[index][0]
        found = f"{part.count} rows of episode {index}, which {V30_EPISODES} does not list"
        collector.report("rows-unlisted", part.file, found)
    moved = []
    for episode in episodes:
        index, length = episode.index, episode.length
        parts, shared = ranges.get(index, []), episode.shared or SharedFiles()
        file = parts[0].file if parts else shared.data_file or "data"
        count = sum(part.count for part in parts)
        if count != length and not (count == 0 and file in absent):
            found = f"{count} rows of episode {index}"
            found += f" from row {parts[0].start}" if parts else ""
            collector.report("shared-row-count", file, found, length=length)
        elif len(parts) > 1:
            places = "; ".join(f"{part.file} from row {part.start}" for part in parts[:4])
            collector.report("rows-scattered", file, f"rows of episode {index} lie apart: {places}")
        if shared.rows and shared.rows[1] - shared.rows[0] != length:
            found = f"episode {index} goes from dataset_from_index {shared.rows[0]} to "
            found += f"dataset_to_index {shared.rows[1]}"
            collector.report("row-range", V30_EPISODES, found, length=length)
        if any(shared.data_file not in (None, *absent, part.file) for part in parts):
            moved.append(index)
    if moved:
        found = f"the rows of {episode_names(moved)} are in another file than is named"
        collector.report("rows-moved", V30_EPISODES, found)
