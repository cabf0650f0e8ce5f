"""What a person names as the source of a new dataset, and the dataset from it to look at."""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.files import PARTIAL
from gr00t_assets.core.project import Store, project_root
from gr00t_assets.core.yaml_files import validation_problems
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.lerobot.features import INFO
from gr00t_assets.datasets.source_kinds import (
    FolderSource,
    GitSource,
    HubSource,
    Source,
    without_credentials,
)
from gr00t_assets.datasets.sources.fetch import exclusive, fetch, local_folder, remove_downloads
from gr00t_assets.datasets.sources.git_source import git_commit
from gr00t_assets.datasets.sources.hub_source import hub_commit
from gr00t_assets.datasets.sources.version_files import refuse_links

_HUB_PAGE = re.compile(
    r"(?:https?://(?:www\.)?huggingface\.co|hf:/)/datasets/([^/]+/[^/?#@]+)(?:(?:/tree/|@)([^/?#]+))?.*"
)
_HUB_ID = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(?<!\.git))()")
_GIT_PAGE = re.compile(r"(https?://[^/]+/[^/]+/[^/]+)/(?:-/)?tree/([^/]+)/(.+?)/?")
_GIT = re.compile(r"(\w+://|[\w.-]+@[\w.-]+:).+|.+\.git")


def named_source(text: str, revision: str | None = None, path: str | None = None) -> Source:
    """The source that a text names.

    Args:
        text: A folder; ``owner/name`` or a page of the Hub; an address of git, or a page of a
            folder on its web server, such as https://github.com/OWNER/NAME/tree/main/FOLDER.
        revision: Branch, tag or commit of the Hub or of git.
        path: Folder inside a git repository.

    Raises:
        DatasetError: It names none of them, or a repository that cannot be had.
    """
    folder = Path(text).expanduser()
    if folder.is_dir():
        return FolderSource(path=_shown_folder(folder))
    shown = without_credentials(text)
    try:
        if page := _HUB_PAGE.fullmatch(text) or _HUB_ID.fullmatch(text):
            repository, of_page = page.groups()
            return HubSource(repo_id=repository, revision=revision or of_page or "main")
        if not _GIT.fullmatch(text):
            what = "a folder, the owner/name of a Hub dataset, or the address of a repository"
            raise DatasetError(text, f"there is no folder {folder.absolute()}.", [f"give {what}"])
        if page := _GIT_PAGE.fullmatch(text):
            text, of_page, inside = page.groups()
            revision, path = revision or of_page, path or inside
        if urlsplit(text).password:
            problem = "this address holds a password, and data/datasets.yaml is checked in."
            remedy = "take it out of the address; git asks its credential helper"
            raise DatasetError(shown, problem, [remedy])
        commit = git_commit(text, revision or "HEAD", without_credentials(text))
        return GitSource(repository=text, revision=commit, path=path or ".")
    except ValidationError as failure:
        lines = [item.text for item in validation_problems(failure, GitSource)]
        raise DatasetError(shown, "this cannot be the source of a dataset.", lines) from failure


def _shown_folder(folder: Path) -> str:
    """Relative to the project where it was given so, or lies in it; else absolute."""
    absolute, root = Path(os.path.normpath(folder.absolute())), project_root()
    if folder.is_absolute() and not absolute.is_relative_to(root):
        return str(absolute)
    return os.path.relpath(absolute, root)


def name_of_source(source: Source) -> str:
    """The name that a dataset gets where none is given: the last of its path or repository."""
    match source:
        case FolderSource():
            place = os.path.normpath(project_root() / source.path)
        case HubSource():
            place = source.repo_id
        case GitSource():
            whole = source.path in (".", "")
            place = source.repository.rstrip("/").removesuffix(".git") if whole else source.path
        case _:
            place = source.kind
    return re.sub(r"[^A-Za-z0-9._-]+|\.{2,}", "-", Path(place).name).strip(".-") or "dataset"


@contextmanager
def taken_source(
    entry: CatalogEntry, store: Store, log: Callable[[str], None]
) -> Iterator[tuple[Path, Source]]:
    """A dataset where it lies, or downloaded for as long as it is looked at; its pinned source.

    Where the block fails, nothing of a download is left.
    """
    source, local = entry.source, local_folder(entry)
    if local is not None:
        if isinstance(source, FolderSource):
            _require_dataset(local.directory)
        refuse_links(local.directory, entry.name)
        yield local.directory, source
        return
    if isinstance(source, HubSource):
        source = source.model_copy(update={"revision": hub_commit(source, entry.name)})
    commit = source.revision if isinstance(source, GitSource | HubSource) else None
    with exclusive(entry.name, store, log) as folder:
        try:
            with tempfile.TemporaryDirectory(prefix=f".fetch{PARTIAL}", dir=folder) as scratch:
                yield fetch(entry, commit, folder, Path(scratch), log).directory, source
        except BaseException:
            drop_download(folder)
            raise


def _require_dataset(folder: Path) -> None:
    """Refuse a folder that is no dataset; those one or two folders below it are named."""
    if (folder / INFO).is_file():
        return
    files = [*folder.glob(f"*/{INFO}"), *folder.glob(f"*/*/{INFO}")]
    inside = ", ".join(sorted(str(file.parents[1]) for file in files)[:8])
    remedy = f"name one of those in it: {inside}"
    lines = [remedy if inside else "give the folder that holds meta, data and videos"]
    raise DatasetError(str(folder), f"it has no {INFO}: it is no dataset.", lines)


def drop_download(folder: Path) -> None:
    """Remove a download, and the dataset's folder in the store where nothing else is in it."""
    remove_downloads(folder)
    if {path.name for path in folder.iterdir()} <= {".lock"}:
        shutil.rmtree(folder)
