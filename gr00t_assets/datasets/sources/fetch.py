"""Bringing a dataset to this machine, one process at a time, from an entry or a text."""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.files import PARTIAL
from gr00t_assets.core.locks import Log, exclusive_lock
from gr00t_assets.core.project import Store, project_root
from gr00t_assets.core.yaml_files import validation_problems
from gr00t_assets.datasets import source_kinds as kinds
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.expert_recording import record_expert
from gr00t_assets.datasets.lerobot.features import INFO
from gr00t_assets.datasets.lerobot.writer import V21
from gr00t_assets.datasets.source_kinds import Source
from gr00t_assets.datasets.sources.git_source import fetch_git, git_commit
from gr00t_assets.datasets.sources.hub_source import fetch_hub, hub_commit
from gr00t_assets.datasets.sources.versions import files_by_path, refuse_links
from gr00t_assets.datasets.synthetic.generator import generate

LOCAL_DATASETS = "GR00T_ASSETS_DATASETS"  # variable: a folder of datasets in place of downloads

_DOWNLOAD = ".download-"

_HUB_PAGE = re.compile(
    r"(?:https?://(?:www\.)?huggingface\.co|hf:/)/datasets/([^/]+/[^/?#@]+)(?:(?:/tree/|@)([^/?#]+))?.*"
)
_HUB_ID = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(?<!\.git))()")
_GIT_PAGE = re.compile(r"(https?://[^/]+/[^/]+/[^/]+)/(?:-/)?tree/([^/]+)/(.+?)/?")
_GIT = re.compile(r"(\w+://|[\w.-]+@[\w.-]+:).+|.+\.git")


def no_log(line: str) -> None:
    """Drop a line about progress."""


@contextmanager
def exclusive(name: str, store: Store, log: Log) -> Iterator[Path]:
    """Lock a dataset's folder in the store, and remove what a killed process left unfinished.

    The kernel drops the lock when its holder dies; see flock(2). Yields the folder.
    """
    folder, what = store.dataset_record(name).parent, f"the dataset {name}, being brought"
    with ExitStack() as locks:
        is_held = False
        while not is_held:
            folder.mkdir(parents=True, exist_ok=True)
            lock = exclusive_lock(folder / ".lock", f"{what} into the store", log)
            descriptor = locks.enter_context(lock)
            with suppress(FileNotFoundError):  # Who held it before may have removed the folder.
                is_held = os.path.samestat(os.fstat(descriptor), (folder / ".lock").stat())
        for leftover in folder.glob(f".*{PARTIAL}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield folder


def local_folder(entry: CatalogEntry) -> tuple[Path, str] | None:
    """The dataset where it lies on this machine already, and that place in words; or None.

    ``$GR00T_ASSETS_DATASETS/NAME``, with the entry's name or the last part of its path or
    repository, comes before every other source. A DatasetError where a named folder is missing.
    """
    source, names = entry.source, [entry.name]
    if isinstance(source, kinds.GitSource):
        names.append(Path(source.path).name)
    elif isinstance(source, kinds.HubSource):
        names.append(source.repo_id.split("/")[-1])
    parent = os.environ.get(LOCAL_DATASETS)
    for name in filter(None, names if parent else ()):
        if (folder := Path(parent or "", name)).is_dir():
            return folder, f"folder ${LOCAL_DATASETS}/{name}, in place of {source.describe()}"
    if not isinstance(source, kinds.FolderSource):
        return None
    folder = project_root() / source.path
    if not folder.is_dir():
        remedy = "correct its path in data/datasets.yaml, or set "
        remedy += f"{LOCAL_DATASETS} to a folder that holds {entry.name}"
        raise DatasetError(entry.name, f"there is no folder {folder}.", [remedy])
    return folder, source.describe()


def fetch(entry: CatalogEntry, commit: str | None, folder: Path, scratch: Path, log: Log) -> Path:
    """Bring a dataset here, from the generator, an environment, a git repository or the Hub.

    Args:
        commit: Commit of the source, where it has one.
        folder: The dataset's folder in the store. A download stays below it, in
            ``.download-COMMIT``, until ``remove_downloads``, so that what breaks can go on.
        scratch: An empty folder on the same disk, in which the returned one is made.

    Raises:
        DatasetError: It cannot be had; the message says what to do.
        SimulationError: The environment cannot be opened, or has no expert.
        StoreError: The disk has no room for it.
    """
    source, directory = entry.source, scratch / "dataset"
    if isinstance(source, kinds.SyntheticSource):
        directory.mkdir()
        generate(source, directory)
    elif isinstance(source, kinds.EnvironmentSource):
        record_expert(source, directory, V21, log)
    elif isinstance(source, kinds.GitSource | kinds.HubSource) and commit is not None:
        download = folder / f"{_DOWNLOAD}{commit}"
        remove_downloads(folder, keep=download)
        if isinstance(source, kinds.GitSource):
            download = fetch_git(source, download, entry.name, log)
        else:
            fetch_hub(source, commit, download, entry.name, log)
        refuse_links(download, entry.name)
        lay_out(download, directory)
    return directory


def remove_downloads(folder: Path, keep: Path | None = None) -> None:
    """Remove the downloads of a dataset; its version in the store has replaced them."""
    for download in folder.glob(f"{_DOWNLOAD}*"):
        if download != keep:
            shutil.rmtree(download, ignore_errors=True)


def lay_out(
    source: Path, target: Path, copied: bool = False, replaced: Mapping[Path, Path] | None = None
) -> None:
    """Put the files of a dataset, and those that replace some, under another folder as well.

    They are ``copied``, or both folders share their bytes where the disk can.
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


def named_source(text: str, revision: str | None = None, path: str | None = None) -> Source:
    """The source that a text names, at a branch, tag or commit, in a folder of a git repository.

    The text is a folder; ``owner/name`` or a page of the Hub; an address of git, or a page of a
    folder on its web server, such as https://github.com/OWNER/NAME/tree/main/FOLDER. A DatasetError
    where it is none of them, or a repository cannot be had.
    """
    folder = Path(text).expanduser()
    if folder.is_dir():
        return kinds.FolderSource(path=_shown_folder(folder))
    shown = kinds.without_credentials(text)
    try:
        if page := _HUB_PAGE.fullmatch(text) or _HUB_ID.fullmatch(text):
            repository, of_page = page.groups()
            return kinds.HubSource(repo_id=repository, revision=revision or of_page or "main")
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
        commit = git_commit(text, revision or "HEAD", kinds.without_credentials(text))
        return kinds.GitSource(repository=text, revision=commit, path=path or ".")
    except ValidationError as failure:
        lines = [item.text for item in validation_problems(failure, kinds.GitSource)]
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
        case kinds.FolderSource():
            place = os.path.normpath(project_root() / source.path)
        case kinds.HubSource():
            place = source.repo_id
        case kinds.GitSource():
            whole = source.path in (".", "")
            place = source.repository.rstrip("/").removesuffix(".git") if whole else source.path
        case _:
            place = source.kind
    return re.sub(r"[^A-Za-z0-9._-]+|\.{2,}", "-", Path(place).name).strip(".-") or "dataset"


@contextmanager
def taken_source(entry: CatalogEntry, store: Store, log: Log) -> Iterator[tuple[Path, Source]]:
    """A dataset where it lies, or downloaded for as long as it is looked at; its pinned source.

    Where the block fails, nothing of a download is left.
    """
    source = entry.source
    if local := local_folder(entry):
        if isinstance(source, kinds.FolderSource):
            _require_dataset(local[0])
        refuse_links(local[0], entry.name)
        yield local[0], source
        return
    if isinstance(source, kinds.HubSource):
        source = source.model_copy(update={"revision": hub_commit(source, entry.name)})
    commit = source.revision if isinstance(source, kinds.GitSource | kinds.HubSource) else None
    with exclusive(entry.name, store, log) as folder:
        try:
            with tempfile.TemporaryDirectory(prefix=f".fetch{PARTIAL}", dir=folder) as scratch:
                yield fetch(entry, commit, folder, Path(scratch), log), source
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
