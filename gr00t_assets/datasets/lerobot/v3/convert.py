"""From LeRobot v3.0, many episodes in a file, to v2.1, one file for each.

v2.1 is what Isaac-GR00T N1.5 and this package read. Rows are written as they are, frames are shown
as they are, and the source is never written to.
"""

from collections.abc import Callable
from pathlib import Path

from gr00t_assets.core.files import published_directory
from gr00t_assets.datasets.frames.frames import VideoError
from gr00t_assets.datasets.lerobot.v3.cut import cut_video
from gr00t_assets.datasets.lerobot.v3.episodes import EPISODES
from gr00t_assets.datasets.lerobot.v3.findings import Findings, listed
from gr00t_assets.datasets.lerobot.v3.layout import V30Meta, read_meta
from gr00t_assets.datasets.lerobot.v3.lossless import LOSSLESS_FORMATS
from gr00t_assets.datasets.lerobot.v3.packets import Cut, PacketTable, place_episodes, read_packets
from gr00t_assets.datasets.lerobot.v3.rows import cut_rows, find_rows
from gr00t_assets.datasets.lerobot.v3.v21_meta import data_path, video_path, write_meta

Progress = Callable[[int, int], None]
"""Called with the files written so far and the files that there will be."""


def convert_to_v21(
    source: Path,
    destination: Path,
    progress: Progress | None = None,
    *,
    name: str | None = None,
    verify: bool = True,
) -> list[str]:
    """Write a v3.0 dataset as a v2.1 dataset with equal rows and equal frames.

    Everything is looked at before anything is written. Memory does not grow with the size of the
    dataset, but for 50 bytes a frame of the longest video file.

    Args:
        source: Folder of the v3.0 dataset; only read.
        destination: Folder to make; it may be there and be empty.
        progress: Called after each file.
        name: What errors call the dataset; the folder's name by default.
        verify: Decode what was written and compare every frame with the source's.

    Returns:
        What is odd, and yet converted.

    Raises:
        DatasetError: All that is missing, unreadable or contradictory, at once; ``destination``
            is as it was.
        StoreError: The disk is full.
    """
    findings = Findings(source, name or source.name)
    _see_destination(findings, destination)
    meta = read_meta(findings)
    runs = find_rows(meta, findings)
    videos = _find_frames(meta, findings)
    findings.stop()
    total = len(meta.episodes) * (1 + len(meta.cameras))
    written = 0

    def done(_: int) -> None:
        nonlocal written
        written += 1
        if progress is not None:
            progress(written, total)

    codecs: dict[str, set[str]] = {}
    with published_directory(destination) as partial:
        cut_rows(runs, lambda episode: partial / data_path(episode), done, findings)
        findings.stop()
        for camera, files in videos.items():
            anew, kept = [], set()
            for path, (table, cuts) in files.items():
                try:
                    changed = cut_video(
                        path,
                        table,
                        cuts,
                        lambda episode, camera=camera: partial / video_path(episode, camera),
                        verify,
                    )
                except VideoError as error:
                    findings.problems.append(f"{findings.shown(path)}: {error}")
                    changed = []
                anew += changed
                if len(changed) < len(cuts):
                    kept.add(table.codec)
                for cut in cuts:
                    done(cut.episode)
            if anew:
                codecs[camera] = kept | {"h264"}
                findings.warnings.append(_encoded(camera, sorted(anew), partial, files))
        with findings.reading(EPISODES):
            write_meta(meta, partial, codecs)
        findings.stop()
    return findings.warnings


def _see_destination(findings: Findings, destination: Path) -> None:
    if destination.resolve().is_relative_to(findings.directory.resolve()):
        findings.problems.append(f"{destination} is inside of the source, which is never written")
    elif destination.is_dir() and not any(destination.iterdir()):
        destination.rmdir()
    elif destination.exists():
        findings.problems.append(f"{destination} is there already: name a new folder")
    findings.stop()


def _find_frames(
    meta: V30Meta, findings: Findings
) -> dict[str, dict[Path, tuple[PacketTable, list[Cut]]]]:
    """By camera and file: its packets, and which frames are whose."""
    found: dict[str, dict[Path, tuple[PacketTable, list[Cut]]]] = {}
    for camera in meta.cameras:
        wanted: dict[Path, list[tuple[int, int, float, float]]] = {}
        for episode in meta.episodes:
            segment = episode.segments[camera]
            item = (episode.index, episode.length, segment.start, segment.end)
            wanted.setdefault(segment.path, []).append(item)
        files = found.setdefault(camera, {})
        for path in sorted(wanted):
            try:
                table = read_packets(path)
            except VideoError as error:
                findings.problems.append(f"{findings.shown(path)}: {error}")
                continue
            shown = findings.shown(path)
            cuts = place_episodes(table, wanted[path], meta.fps, shown, findings)
            without = [cut.episode for cut in cuts if cut.packet is None]
            if without and table.pixel_format not in LOSSLESS_FORMATS:
                findings.problems.append(
                    f"{shown}: {listed(without)} cannot be cut out: no key frame at the border, "
                    f"and pixel format {table.pixel_format} cannot be encoded anew without loss"
                )
            files[path] = (table, cuts)
    return found


def _encoded(
    camera: str,
    anew: list[int],
    directory: Path,
    files: dict[Path, tuple[PacketTable, list[Cut]]],
) -> str:
    size = sum((directory / video_path(episode, camera)).stat().st_size for episode in anew)
    return (
        f"{camera}: {listed(anew)} of {sum(len(cuts) for _, cuts in files.values())} cannot be cut "
        f"out as they are (no clean key frame at the border); encoded anew as H.264 without loss, "
        f"{size / 1e6:.1f} MB"
    )
