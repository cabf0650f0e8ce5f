"""Which of rows, videos and ``episodes.jsonl`` is wrong about an episode's length."""

from collections.abc import Mapping

from gr00t_assets.core.finding import Collector
from gr00t_assets.datasets.checks.lists import EPISODES, Listed


def check_lengths(
    collector: Collector,
    file: str,
    episode: Listed,
    rows: int | None,
    frames: Mapping[str, int],
) -> None:
    """Report what differs, and of three counts the one that is alone.

    Args:
        collector: Takes the findings.
        file: The episode's rows.
        episode: As ``episodes.jsonl`` lists it; length 0 is unknown.
        rows: Counted; none where the file cannot be read.
        frames: Counted, by video file.
    """
    listed = episode.length or None
    right = {count for count in (listed, rows) if count is not None}
    if len(right) == 2:
        if frames and set(frames.values()) == {rows}:
            collector.error(
                "episode-length",
                EPISODES,
                f"episode {episode.index} has length {listed}",
                f"{rows}, as its rows and videos have it",
                "correct the length",
            )
            return
        collector.error(
            "row-count",
            file,
            f"{rows} rows",
            f"{listed}, the length in {EPISODES}"
            + (", as its videos have it" if set(frames.values()) == {listed} else ""),
            "put the whole episode in place, or correct its length in " + EPISODES,
        )
    for name, count in frames.items():
        if right and count not in right:
            collector.error(
                "video-frames",
                name,
                f"{count} frames",
                f"{rows if rows is not None else listed}, one for each row of {file}",
                "encode the video again from the recording, or cut the rows to it",
            )
