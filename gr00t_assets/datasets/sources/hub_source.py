"""A dataset from the Hugging Face Hub at one commit, each file held against the Hub's hash."""

import hashlib
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from gr00t_assets.core.errors import DatasetError, StoreError
from gr00t_assets.core.files import free_bytes
from gr00t_assets.core.locks import Log
from gr00t_assets.core.text import format_bytes
from gr00t_assets.datasets.lerobot.folder import leaves_folder
from gr00t_assets.datasets.source_kinds import HubSource, without_credentials
from gr00t_assets.datasets.sources.versions import NOT_CONTENT, first_lines, is_content

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile

_BUSY, _REFUSED = (408, 429), (401, 403)
_TIMEOUT, _LOG_SECONDS = 10.0, 10.0
_NOT_CONTENT_PATTERNS = [".*", "*/.*", *NOT_CONTENT]  # what ``is_content`` refuses


class HubUnreachableError(DatasetError):
    """The Hub gave no answer, or said that it cannot serve now."""


def hub_commit(source: HubSource, name: str) -> str:
    """The commit that a revision means now; a full commit hash is not asked about.

    Raises:
        HubUnreachableError: The Hub gives no answer.
        DatasetError: The Hub has no such repository or revision, or does not show it.
    """
    from huggingface_hub import HfApi

    if source.pinned:
        return source.revision
    hub, revision = HfApi(endpoint=_endpoint()), source.revision
    try:
        info = hub.dataset_info(source.repo_id, revision=revision, timeout=_TIMEOUT)
    except Exception as error:
        raise _explained(error, source, name) from error
    assert info.sha is not None
    return info.sha


def fetch_hub(source: HubSource, commit: str, directory: Path, name: str, log: Log) -> None:
    """Bring a dataset repository at a commit into a folder; what a failed call left there is used.

    The client downloads, also from Xet, and continues a file whose connection breaks for as long
    as the process lives. What it brought is held against the hashes of the commit.

    Raises:
        HubUnreachableError: The connection broke; complete files are kept in ``directory``.
        DatasetError: The Hub does not show the repository or commit, or sent wrong bytes.
        StoreError: The disk has less room than the files need.
    """
    started = time.monotonic()
    files = _listed(source, commit, name)
    directory.mkdir(parents=True, exist_ok=True)
    for unfinished in directory.rglob("*.incomplete"):
        unfinished.unlink()
    missing = _remove_wrong(files, directory)
    total, needed = (sum(file.size for file in part) for part in (files, missing))
    log(f"{name}: {len(files)} files, {format_bytes(total)}, of {source.repo_id} at {commit[:12]}")
    if needed < total:
        kept = f"{len(files) - len(missing)} files, {format_bytes(total - needed)}"
        log(f"{name}: {kept} are here from an earlier try")
    if needed > (free := free_bytes(directory)):
        free_now = f"{format_bytes(free)} are free on the disk of the store"
        problem = f"it needs {format_bytes(needed)} more, and {free_now}."
        remedy = "free some space, or move the store with GR00T_ASSETS_STORE, and run it again"
        raise StoreError(name, problem, [remedy])
    try:
        _download(source, commit, directory, lambda size: log(f"{name}: {size} are here"))
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _explained(error, source, name) from error
    if wrong := sorted(file.path for file in _remove_wrong(missing, directory)):
        problem = f"{len(wrong)} file(s) came with other bytes than {source.repo_id} lists."
        expected = f"expected the hashes of commit {commit}; what came was removed"
        details = [*first_lines(wrong), expected, "try again; what was right is kept"]
        raise DatasetError(name, problem, details)
    seconds = time.monotonic() - started
    log(f"{name}: {len(files)} files, {format_bytes(total)}, hashes right, {seconds:.1f} s")


def _listed(source: HubSource, commit: str, name: str) -> list["RepoFile"]:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    try:
        tree = HfApi(endpoint=_endpoint()).list_repo_tree(
            source.repo_id, repo_type="dataset", revision=commit, recursive=True
        )
        entries = list(tree)
    except Exception as error:
        raise _explained(error, source, name) from error
    paths = [entry.path for entry in entries]
    if outside := [path for path in paths if leaves_folder(path) or "\\" in path]:
        remedy = "nothing was downloaded; tell the owner of the repository"
        problem = "the Hub lists files that leave the dataset's folder."
        raise DatasetError(name, problem, [*first_lines(outside), remedy])
    files = [entry for entry in entries if isinstance(entry, RepoFile)]
    files = [file for file in files if is_content(PurePosixPath(file.path))]
    if not files:
        problem = f"{source.describe()} has no files at {commit[:12]}."
        raise DatasetError(name, problem, ["correct source in data/datasets.yaml"])
    return files


def _is_right(file: "RepoFile", directory: Path) -> bool:
    """Whether the bytes are those that the Hub lists: SHA-256 of a Git LFS or Xet file, of another
    git's SHA-1 of the blob, which covers ``blob SIZE`` and a zero byte before the content.
    """
    path = directory / file.path
    if not path.is_file() or path.is_symlink() or path.stat().st_size != file.size:
        return False
    with path.open("rb") as content:
        if file.lfs is not None:
            return hashlib.file_digest(content, "sha256").hexdigest() == file.lfs.sha256
        header = b"blob %d\0" % file.size
        return hashlib.sha1(header + content.read()).hexdigest() == file.blob_id


def _remove_wrong(files: list["RepoFile"], directory: Path) -> list["RepoFile"]:
    """The files that are not there with the right bytes; what is there of them is removed."""
    with ThreadPoolExecutor() as pool:
        right = pool.map(lambda file: _is_right(file, directory), files)
        wrong = [file for file, matches in zip(files, right, strict=True) if not matches]
    for path in (directory / file.path for file in wrong):
        if path.is_symlink() or path.is_file():
            path.unlink()
    return wrong


def _download(source: HubSource, commit: str, directory: Path, log: Log) -> None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import tqdm as ProgressBar

    class ProgressLines(ProgressBar):
        """Lines about the bytes that have come in place of the client's progress bars."""

        came, total, logged = 0, 0, time.monotonic()

        def __init__(self, *arguments: Any, **named: Any) -> None:
            self._counts_bytes = named.get("name") == "huggingface_hub.snapshot_download"
            super().__init__(*arguments, **(named | {"disable": True}))

        def update(self, n: float | None = 1) -> bool | None:
            lines = type(self)
            if self._counts_bytes:
                lines.came += int(n or 0)
                if time.monotonic() - lines.logged >= _LOG_SECONDS:
                    lines.logged = time.monotonic()
                    log(f"{format_bytes(lines.came)} of {format_bytes(self.total or 0)}")
            return super().update(n)

    snapshot_download(
        source.repo_id,
        repo_type="dataset",
        revision=commit,
        local_dir=directory,
        ignore_patterns=_NOT_CONTENT_PATTERNS,
        endpoint=_endpoint(),
        tqdm_class=ProgressLines,
    )


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


def _explained(error: Exception, source: HubSource, name: str) -> DatasetError:
    """The error to raise in place of one of the Hub's client."""
    from huggingface_hub import errors, get_token

    cause = error.__cause__
    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(cause, Exception):
        error = cause
    names = " or ".join(dict.fromkeys([name, source.repo_id.split("/")[-1]]))
    local = f"or set GR00T_ASSETS_DATASETS to a folder that holds {names}"
    where = without_credentials(_endpoint() or "https://huggingface.co")
    status = error.response.status_code if isinstance(error, errors.HfHubHTTPError) else None
    token = "set HF_TOKEN to a token that may read it"
    if get_token():
        token = "the token that is set may not read it; " + token
    if isinstance(error, errors.GatedRepoError):
        problem = f"the Hub dataset {source.repo_id} is gated."
        return DatasetError(name, problem, ["accept its terms on its page", token, local])
    if isinstance(error, errors.RevisionNotFoundError):
        problem = f"the Hub dataset {source.repo_id} has no revision {source.revision}."
        return DatasetError(name, problem, ["correct revision in data/datasets.yaml", local])
    if isinstance(error, errors.RepositoryNotFoundError) or status in _REFUSED:
        problem = f"{where} has no dataset {source.repo_id}, or it is private."
        remedy = f"correct repo_id in data/datasets.yaml, or, where it is private, {token}"
        return DatasetError(name, problem, [f"it answered {status}", remedy, local])
    problem = f"{source.repo_id} cannot be downloaded from {where}."
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    remedy = "see that this machine reaches the Hub, and try again; what is complete is kept"
    answered = status is not None and status < 500 and status not in _BUSY
    answered = answered or isinstance(error, errors.HFValidationError)
    kind = DatasetError if answered else HubUnreachableError
    return kind(name, problem, [without_token(reason), remedy, local])


def without_token(text: str) -> str:
    """A text without the token, and addresses without user, password and signed query."""
    from huggingface_hub import get_token

    for token in (get_token(), os.environ.get("HF_TOKEN")):
        text = text.replace(token, "***") if token else text
    return re.sub(r"(\w+://[^\s'\"?]+)\?[^\s'\"]+", r"\1", without_credentials(text))
