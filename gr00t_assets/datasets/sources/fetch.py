"""Bringing a dataset to this machine, one process at a time."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.files import PARTIAL
from gr00t_assets.core.locks import exclusive_lock
from gr00t_assets.core.project import Store, project_root
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.expert_recording import record_expert
from gr00t_assets.datasets.lerobot.writer import V21
from gr00t_assets.datasets.source_kinds import (
    EnvironmentSource,
    FolderSource,
    GitSource,
    HubSource,
    SyntheticSource,
)
from gr00t_assets.datasets.sources.git_source import fetch_git
from gr00t_assets.datasets.sources.hub_source import fetch_hub
from gr00t_assets.datasets.sources.version_files import files_by_path, refuse_links
from gr00t_assets.datasets.synthetic.generator import generate

LOCAL_DATASETS = "GR00T_ASSETS_DATASETS"
"""Environment variable: a folder of datasets that are taken instead of downloading them."""

_DOWNLOAD = ".download-"
_LEFTOVERS = (f".fetch{PARTIAL}*", f".*{PARTIAL}*")


def no_log(line: str) -> None:
    """Drop a line about progress."""


@contextmanager
def exclusive(name: str, store: Store, log: Callable[[str], None]) -> Iterator[Path]:
    """Lock a dataset's folder in the store, and remove what a killed process left unfinished.

    The kernel drops the lock when its holder dies; see flock(2).

    Yields:
        The dataset's folder in the store.
    """
    folder = store.dataset_record(name).parent
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(folder / ".lock", f"the dataset {name}, being brought into the store", log):
        for leftover in {path for pattern in _LEFTOVERS for path in folder.glob(pattern)}:
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
        yield folder


@dataclass(frozen=True)
class Fetched:
    """A dataset on this machine.

    Attributes:
        directory: Its folder.
        description: Where it was taken from, in words.
        revision: Commit of the source, where it has one.
        temporary: Whether the folder was made for this and may be changed.
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
    source, names = entry.source, [entry.name]
    if isinstance(source, GitSource):
        names.append(Path(source.path).name)
    elif isinstance(source, HubSource):
        names.append(source.repo_id.split("/")[-1])
    parent = os.environ.get(LOCAL_DATASETS)
    for name in filter(None, names if parent else ()):
        if (folder := Path(parent or "", name)).is_dir():
            where = f"folder ${LOCAL_DATASETS}/{name}, in place of {source.describe()}"
            return Fetched(folder, where, None, temporary=False)
    if not isinstance(source, FolderSource):
        return None
    folder = project_root() / source.path
    if not folder.is_dir():
        remedy = "correct its path in data/datasets.yaml, or set "
        remedy += f"{LOCAL_DATASETS} to a folder that holds {entry.name}"
        raise DatasetError(entry.name, f"there is no folder {folder}.", [remedy])
    return Fetched(folder, source.describe(), None, temporary=False)


def fetch(
    entry: CatalogEntry,
    commit: str | None,
    folder: Path,
    scratch: Path,
    log: Callable[[str], None] = no_log,
) -> Fetched:
    """Bring a dataset here, from the generator, an environment, a git repository or the Hub.

    Args:
        commit: Commit of the source, where it has one.
        folder: The dataset's folder in the store. A download stays below it, in
            ``.download-COMMIT``, until ``remove_downloads``, so that what breaks can go on.
        scratch: An empty folder on the same disk; the dataset is laid out in it.

    Raises:
        DatasetError: It cannot be had; the message says what to do.
        SimulationError: The environment cannot be opened, or has no expert.
        StoreError: The disk has no room for it.
    """
    source = entry.source
    directory = scratch / "dataset"
    if isinstance(source, SyntheticSource):
        directory.mkdir()
        generate(source, directory)
    elif isinstance(source, EnvironmentSource):
        record_expert(source, directory, V21, log)
    elif isinstance(source, GitSource | HubSource) and commit is not None:
        download = folder / f"{_DOWNLOAD}{commit}"
        remove_downloads(folder, keep=download)
        if isinstance(source, GitSource):
            downloaded = fetch_git(source, download, entry.name, log)
        else:
            fetch_hub(source, commit, download, entry.name, log)
            downloaded = download
        refuse_links(downloaded, entry.name)
        lay_out(downloaded, directory)
    return Fetched(directory, source.describe(), commit, temporary=True)


def remove_downloads(folder: Path, keep: Path | None = None) -> None:
    """Remove the downloads of a dataset; its version in the store has replaced them."""
    for download in folder.glob(f"{_DOWNLOAD}*"):
        if download != keep:
            shutil.rmtree(download, ignore_errors=True)


def lay_out(
    source: Path, target: Path, copied: bool = False, replaced: Mapping[Path, Path] | None = None
) -> None:
    """Put the files of a dataset under another folder without taking them from the first.

    Args:
        copied: Whether the files get bytes of their own; else both share them where the disk can.
        replaced: Files that stand in for those of the dataset, by path relative to it.
    """
    for path, file in files_by_path(source, replaced).items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        if file == source / path and not copied and not file.is_symlink():
            try:
                os.link(file, target / path)
                continue
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP):
                    raise
        shutil.copyfile(file, target / path)
