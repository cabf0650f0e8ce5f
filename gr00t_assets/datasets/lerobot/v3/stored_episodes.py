"""Which rows and frames of a dataset its copy in the store has, and under which numbers."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gr00t_assets.core.finding import Collector
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.episodes import Episode, SharedFiles, VideoSegment
from gr00t_assets.datasets.lerobot.video_packets import (
    LOSSLESS_FORMATS,
    Cut,
    VideoFiles,
    VideoPackets,
    copied_from,
)

_NEAR_SECONDS = 0.25
"""How much of what is at rest is kept for a key frame to begin with."""


@dataclass(frozen=True)
class Changes:
    """What a copy is to differ in from its source, episodes by their numbers there.

    Attributes:
        leaves_out: Whether an episode is left out.
        trimmed: Rows to cut off at start and end. An episode begins with a key frame before where
            one is near, so that its video need not be encoded anew.
        renamed: New instruction by the old one.
    """

    leaves_out: Callable[[int], bool] | None = None
    trimmed: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredEpisode:
    """An episode of the copy.

    Attributes:
        index: Its number in the copy.
        source: The episode that it is made from.
        start: Rows that are cut off at its start.
        length: Rows that it has.
        first: Number of its first row in the copy.
    """

    index: int
    source: Episode
    start: int
    length: int
    first: int

    @property
    def is_trimmed(self) -> bool:
        """Whether it lacks rows of its source."""
        return self.length < self.source.length

    @property
    def is_changed(self) -> bool:
        """Whether its counting columns differ from those of its source."""
        return self.is_trimmed or self.index != self.source.index


def stored_episodes(
    dataset: LeRobotDataset,
    trimmed: Mapping[int, tuple[int, int]],
    videos: Mapping[str, VideoFiles],
) -> tuple[StoredEpisode, ...]:
    """The episodes of a copy, numbered from 0.

    Args:
        trimmed: Rows to cut off at start and end, by number in the source.
        videos: By camera, where the frames of the episodes are.
    """
    places: dict[int, list[tuple[VideoPackets, Cut]]] = defaultdict(list)
    for files in videos.values():
        for table, cuts in files.values():
            for cut in cuts:
                places[cut.episode].append((table, cut))
    near, episodes, first = round(_NEAR_SECONDS * dataset.fps), [], 0
    for index, episode in enumerate(dataset.episodes):
        start, end = trimmed.get(episode.index, (0, 0))
        stop = episode.length - end
        for begin in range(start, max(start - near, 0) - 1, -1):
            spans = [(table, cut.start + begin) for table, cut in places[episode.index]]
            if all(copied_from(*span, stop - begin) is not None for span in spans):
                start = begin
                break
        episodes.append(StoredEpisode(index, episode, start, stop - start, first))
        first += stop - start
    return tuple(episodes)


def trimmed_videos(
    collector: Collector, videos: Mapping[str, VideoFiles], episodes: Sequence[StoredEpisode]
) -> dict[str, VideoFiles]:
    """The frames that the copy has; those that can neither be copied nor encoded are findings."""
    trimmed = {item.source.index: item for item in episodes if item.is_trimmed}
    result: dict[str, VideoFiles] = {}
    for camera, files in videos.items():
        result[camera] = {}
        for file, (table, cuts) in files.items():
            shorter = [_shorter(table, cut, trimmed.get(cut.episode)) for cut in cuts]
            result[camera][file] = table, shorter
            lost = [cut.episode for cut in shorter if cut.packet is None]
            if lost and trimmed and table.pixel_format not in LOSSLESS_FORMATS:
                found = f"pixel format {table.pixel_format} cannot be encoded anew without loss, "
                found += f"and episode {lost[0]} has no key frame where it would begin"
                collector.report("video-not-trimmed", file, found)
    return result


def _shorter(table: VideoPackets, cut: Cut, episode: StoredEpisode | None) -> Cut:
    if episode is None:
        return cut
    start = cut.start + episode.start
    return Cut(cut.episode, start, episode.length, copied_from(table, start, episode.length))


def with_own_files(dataset: LeRobotDataset, episode: Episode) -> Episode:
    """An episode of v2.x as one that lies from the beginning of its video files on."""
    end = episode.length / dataset.fps
    videos = {
        camera: VideoSegment(str(dataset.info.video_file(episode.index, camera)), 0.0, end)
        for camera in dataset.video_cameras
    }
    return replace(episode, shared=SharedFiles(videos=videos))
