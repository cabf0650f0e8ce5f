"""A dataset where it lies, or downloaded for as long as it is looked at."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.files import PARTIAL
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.lerobot.features import INFO
from gr00t_assets.datasets.source_kinds import FolderSource, GitSource, HubSource, Source
from gr00t_assets.datasets.sources.content import refuse_links
from gr00t_assets.datasets.sources.fetch import exclusive, fetch, local_folder, remove_downloads
from gr00t_assets.datasets.sources.hub_source import hub_commit


@contextmanager
def taken_source(
    entry: CatalogEntry, store: Store, log: Callable[[str], None]
) -> Iterator[tuple[Path, Source]]:
    """A dataset where it lies, or downloaded for as long as it is looked at; its pinned source.

    Where the block fails, nothing of a download is left.
    """
    source = entry.source
    local = local_folder(entry)
    if local is not None:
        if isinstance(source, FolderSource) and not (local.directory / INFO).is_file():
            _refuse_folder(local.directory)
        refuse_links(local.directory, entry.name)
        yield local.directory, source
        return
    commit = None
    if isinstance(source, HubSource):
        commit = hub_commit(source, entry.name)
        source = source.model_copy(update={"revision": commit})
    elif isinstance(source, GitSource):
        commit = source.revision
    with exclusive(entry.name, store, log) as folder:
        try:
            with tempfile.TemporaryDirectory(prefix=f".fetch{PARTIAL}", dir=folder) as scratch:
                yield fetch(entry, commit, folder, Path(scratch), log).directory, source
        except BaseException:
            drop_download(folder)
            raise


def drop_download(folder: Path) -> None:
    """Remove a download, and the dataset's folder in the store where nothing else is in it."""
    remove_downloads(folder)
    if {path.name for path in folder.iterdir()} <= {".lock"}:
        shutil.rmtree(folder)


def _refuse_folder(folder: Path) -> None:
    inside = _datasets_inside(folder)
    remedy = "give the folder that holds meta, data and videos"
    lines = [f"name one of those in it: {', '.join(inside)}"] if inside else [remedy]
    raise DatasetError(str(folder), f"it has no {INFO}: it is no dataset.", lines)


def _datasets_inside(folder: Path) -> list[str]:
    """Datasets one or two folders below a folder that is none itself."""
    files = [*folder.glob(f"*/{INFO}"), *folder.glob(f"*/*/{INFO}")]
    return sorted(str(file.parents[1]) for file in files)[:8]
