"""Bringing a dataset to this machine."""

import os
from dataclasses import dataclass
from pathlib import Path

from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.source_git import fetch_git
from gr00t_assets.datasets.source_hub import fetch_hub
from gr00t_assets.datasets.source_kinds import (
    FolderSource,
    GitSource,
    HubSource,
    SyntheticSource,
)
from gr00t_assets.datasets.synthetic.generator import generate
from gr00t_assets.errors import DatasetError
from gr00t_assets.project import project_root

LOCAL_DATASETS = "GR00T_ASSETS_DATASETS"
"""Environment variable: a folder of datasets that are taken instead of downloading them."""


@dataclass(frozen=True)
class Fetched:
    """A dataset on this machine.

    Attributes:
        directory: Its folder.
        description: Where it was taken from, in words.
        revision: Commit of the source, where it has one.
        temporary: Whether the folder was made for this and may be taken apart.
    """

    directory: Path
    description: str
    revision: str | None
    temporary: bool


def local_folder(entry: CatalogEntry) -> Fetched | None:
    """The dataset where it lies on this machine already, or None.

    ``$GR00T_ASSETS_DATASETS/NAME``, with the entry's name or the last part of its path or
    repository, comes before every other source.

    Raises:
        DatasetError: The source is a folder that does not exist.
    """
    source = entry.source
    around = os.environ.get(LOCAL_DATASETS)
    for name in _local_names(entry) if around else ():
        folder = Path(around or "") / name
        if folder.is_dir():
            where = f"folder ${LOCAL_DATASETS}/{name}, in place of {source.describe()}"
            return Fetched(folder, where, None, temporary=False)
    if not isinstance(source, FolderSource):
        return None
    folder = project_root() / source.path
    if not folder.is_dir():
        raise DatasetError(
            entry.name,
            f"there is no folder {folder}.",
            [
                "mend its path in data/datasets.yaml, or set "
                f"{LOCAL_DATASETS} to a folder that holds {entry.name}"
            ],
        )
    return Fetched(folder, source.describe(), None, temporary=False)


def fetch(entry: CatalogEntry, scratch: Path) -> Fetched:
    """Bring a dataset here, from this machine, the generator, a git repository or the Hub.

    Args:
        entry: What to bring.
        scratch: An empty folder to download into.

    Raises:
        DatasetError: It cannot be had; the message says what to do.
    """
    found = local_folder(entry)
    if found is not None:
        return found
    source = entry.source
    directory = scratch / "dataset"
    directory.mkdir()
    revision = None
    if isinstance(source, SyntheticSource):
        generate(source, directory)
    elif isinstance(source, GitSource):
        revision = source.revision
        directory = fetch_git(source, directory, entry.name)
    elif isinstance(source, HubSource):
        revision = fetch_hub(source, directory, entry.name)
    return Fetched(directory, source.describe(), revision, temporary=True)


def _local_names(entry: CatalogEntry) -> list[str]:
    source = entry.source
    names = [entry.name]
    if isinstance(source, GitSource):
        names.append(Path(source.path).name)
    elif isinstance(source, HubSource):
        names.append(source.repo_id.split("/")[-1])
    return [name for name in dict.fromkeys(names) if name]
