"""A working copy of a v3.0 dataset, replaced as a whole by its v2.1 form."""

import shutil
from pathlib import Path

from gr00t_assets.datasets.lerobot.v3.convert import Progress, convert_to_v21

CONVERTER_VERSION = 1
"""Raised when the same source begins to give other files."""


def convert_in_place(directory: Path, name: str, progress: Progress | None = None) -> list[str]:
    """Replace a working copy by its v2.1 form.

    Its files may be links to those of a download: none is opened for writing.

    Args:
        directory: A v3.0 dataset that may be removed, such as a scratch copy; never a source.
        name: What errors call the dataset.
        progress: Called after each file with the files written and the files in all.

    Returns:
        What is odd, and yet converted, the conversion itself first.

    Raises:
        DatasetError: It cannot be converted; it is as it was.
        StoreError: The disk is full; it is as it was.
    """
    fresh = directory.with_name(f"{directory.name}.v21")
    warnings = convert_to_v21(directory, fresh, progress, name=name)
    shutil.rmtree(directory)
    fresh.rename(directory)
    return ["converted from LeRobot v3.0 to v2.1; every frame was compared", *warnings]
