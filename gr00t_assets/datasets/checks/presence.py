"""Which files of the listed episodes are missing, by chunk and by camera where all of one are."""

import os
from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath

from gr00t_assets.datasets.checks.features import Feature
from gr00t_assets.datasets.checks.folder import Folder
from gr00t_assets.datasets.checks.info import FILE, Info
from gr00t_assets.datasets.checks.lists import EPISODES, Listed

BRING = "copy or download it again, or take the episode out of the meta files"


def check_data_files(folder: Folder, info: Info, episodes: Iterable[Listed]) -> None:
    """Report missing Parquet files, and those of episodes that are not listed."""
    wanted = [file for one in episodes if (file := info.data_file(one.index)) is not None]
    _missing(folder, wanted, "parquet-missing", "the rows of a listed episode")
    roots = {PurePosixPath(file).parts[0] for file in wanted if "/" in file}
    listed = set(wanted)
    for root in sorted(roots):
        if not folder.holds(root):
            continue
        for parent, _, names in os.walk(folder.directory / root):
            for name in names:
                file = Path(parent, name).relative_to(folder.directory).as_posix()
                if name.endswith(".parquet") and file not in listed:
                    folder.collector.warn(
                        "episode-unlisted",
                        file,
                        "rows of an episode that is not listed",
                        f"a line in {EPISODES} for each file",
                        "restore the line, or remove the file; it is not trained on",
                    )


def check_cameras(
    folder: Folder, info: Info, episodes: Collection[Listed], used: Collection[str]
) -> list[Feature]:
    """Report missing videos.

    Args:
        folder: The dataset.
        info: Its ``info.json``.
        episodes: The listed ones.
        used: Camera features that ``modality.json`` names.

    Returns:
        Cameras that have files.
    """
    present = []
    usable = info.video_path is not None and info.chunks_size is not None
    for camera in info.cameras if usable else ():
        files = [
            file
            for one in episodes
            if (file := info.video_file(one.index, camera.name)) is not None
        ]
        if any(folder.exists(file) for file in files):
            present.append(camera)
            _missing(folder, files, "video-missing", f"the video of camera {camera.name}")
            continue
        needed = camera.name in used
        report = folder.collector.error if needed else folder.collector.warn
        report(
            "camera-missing" if needed else "camera-without-files",
            FILE,
            f"camera {camera.name} is declared and has no video",
            "a video of each episode for every declared camera",
            "bring its videos, or take the camera out of meta/info.json"
            + (" and meta/modality.json" if needed else ""),
        )
    return present


def _missing(folder: Folder, files: Iterable[str], code: str, what: str) -> None:
    chunks: dict[str, list[str]] = defaultdict(list)
    for file in files:
        chunks[str(PurePosixPath(file).parent)].append(file)
    for chunk, members in chunks.items():
        if not folder.exists(chunk):
            folder.collector.error(
                "chunk-missing",
                chunk,
                "no such folder",
                f"{len(members)} files, from {PurePosixPath(members[0]).name} on",
                "copy or download the folder again",
            )
            continue
        for file in members:
            if not folder.exists(file):
                folder.collector.error(code, file, "no such file", what, BRING)
