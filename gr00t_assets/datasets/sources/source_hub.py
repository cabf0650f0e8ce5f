"""A dataset from the Hugging Face Hub, at one commit."""

import io
import shutil
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from gr00t_assets.core.errors import DatasetError, Gr00tAssetsError, StoreError
from gr00t_assets.core.files import free_bytes
from gr00t_assets.datasets.sources.content_hash import is_content
from gr00t_assets.datasets.sources.source_hub_errors import endpoint, explained
from gr00t_assets.datasets.sources.source_hub_files import (
    PARTS,
    Fetch,
    HubFile,
    StoppedError,
    bytes_there,
    complete_files,
    download,
)
from gr00t_assets.datasets.sources.source_kinds import HubSource

_TIMEOUT = 10.0
_LOG_EVERY = 10.0
_SHOWN = 20


def hub_commit(source: HubSource, name: str) -> str:
    """The commit that a revision means now; a full commit hash is not asked about.

    Raises:
        HubUnreachableError: The Hub gives no answer.
        DatasetError: The Hub has no such repository or revision, or does not show it.
    """
    from huggingface_hub import HfApi

    if source.pinned:
        return source.revision
    try:
        info = HfApi(endpoint=endpoint()).dataset_info(
            source.repo_id, revision=source.revision, timeout=_TIMEOUT
        )
    except Exception as error:
        raise explained(error, source, name) from error
    if info.sha is None:
        raise DatasetError(name, f"{source.describe()} has no commit.", ["try again"])
    return info.sha


def fetch_hub(
    source: HubSource, commit: str, directory: Path, name: str, log: Callable[[str], None]
) -> None:
    """Bring a dataset repository at a commit into a folder, continuing what is there.

    ``HF_ENDPOINT`` and a token in the environment are honoured; the token is in no message. The
    client's own download into a folder starts a file from its beginning after each failure, so the
    files are fetched here, with the client's listing, requests and resuming inside one call.

    Args:
        source: The repository.
        commit: Full hash.
        directory: Folder of this very commit, empty or left by an earlier call that failed.
        name: What errors call the dataset.
        log: Where lines about its progress go.

    Raises:
        HubUnreachableError: The connection broke; what came is kept in ``directory``.
        DatasetError: The Hub does not show the repository or commit, or sent wrong bytes.
        StoreError: The disk has less room than the files need.
    """
    started = time.monotonic()
    directory.mkdir(parents=True, exist_ok=True)
    files = _listed(source, commit, name)
    right = complete_files(files, directory)
    missing = [file for file in files if file.path not in right]
    total = sum(file.size for file in files)
    have = bytes_there(files, directory)
    log(f"{name}: {len(files)} files, {_mb(total)}, of {source.repo_id} at {commit[:12]}")
    if have:
        log(f"{name}: {len(right)} files, {_mb(have)} are here from an earlier try")
    _refuse_too_large(total - have, directory, name)
    last = started

    def report(done: int, size: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _LOG_EVERY:
            last = time.monotonic()
            here = total - sum(file.size for file in missing) + size
            log(
                f"{name}: {len(right) + done} of {len(files)} files, "
                f"{_mb(here)} of {_mb(total)}, {last - started:.0f} s"
            )

    try:
        wrong = download(missing, directory, _fetcher(source, commit), report)
    except (Gr00tAssetsError, StoppedError):
        raise
    except OSError as error:
        if error.errno is not None:
            raise
        raise explained(error, source, name) from error
    except Exception as error:
        raise explained(error, source, name) from error
    if wrong:
        _raise_wrong(wrong, source, commit, name)
    shutil.rmtree(directory / PARTS, ignore_errors=True)
    seconds = time.monotonic() - started
    log(f"{name}: {len(files)} files, {_mb(total)}, hashes right, {seconds:.1f} s")


def _listed(source: HubSource, commit: str, name: str) -> list[HubFile]:
    """Every file of the dataset at a commit, as the Hub lists it."""
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    try:
        entries = list(
            HfApi(endpoint=endpoint()).list_repo_tree(
                source.repo_id, repo_type="dataset", revision=commit, recursive=True
            )
        )
    except Exception as error:
        raise explained(error, source, name) from error
    _refuse_strange([entry.path for entry in entries], name)
    files = []
    for entry in entries:
        if isinstance(entry, RepoFile) and is_content(PurePosixPath(entry.path)):
            if entry.lfs is not None:
                file = HubFile(entry.path, entry.lfs.size, entry.lfs.sha256, lfs=True)
            else:
                file = HubFile(entry.path, entry.size, entry.blob_id, lfs=False)
            files.append(file)
    if not files:
        problem = f"{source.describe()} has no files at {commit[:12]}."
        raise DatasetError(name, problem, ["mend source in data/datasets.yaml"])
    return files


def _fetcher(source: HubSource, commit: str) -> Fetch:
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers
    from huggingface_hub.utils import tqdm as Bar

    class Silent(Bar):
        """No progress bar; lines are logged instead."""

        def __init__(self, *arguments: object, **named: object) -> None:
            super().__init__(*arguments, **(named | {"disable": True}))

    headers = build_hf_headers() | {"Accept-Encoding": "identity"}

    def fetch(file: HubFile, into: io.BufferedWriter, have: int) -> None:
        url = hf_hub_url(
            source.repo_id,
            file.path,
            repo_type="dataset",
            revision=commit,
            endpoint=endpoint(),
        )
        http_get(
            url,
            into,
            resume_size=have,
            headers=headers,
            expected_size=file.size,
            displayed_filename=file.path,
            tqdm_class=Silent,
        )

    return fetch


def _refuse_strange(paths: list[str], name: str) -> None:
    strange = [
        path for path in paths if path.startswith("/") or "\\" in path or ".." in path.split("/")
    ]
    if strange:
        details = [*strange[:_SHOWN], "nothing was downloaded; tell the owner of the repository"]
        raise DatasetError(name, "the Hub lists files that leave the dataset's folder.", details)


def _refuse_too_large(needed: int, directory: Path, name: str) -> None:
    free = free_bytes(directory)
    if needed > free:
        raise StoreError(
            name,
            f"it needs {_mb(needed)} more, and {_mb(free)} are free on the disk of the store.",
            ["free some space, or move the store with GR00T_ASSETS_STORE, and run it again"],
        )


def _raise_wrong(wrong: list[str], source: HubSource, commit: str, name: str) -> None:
    more = [f"and {len(wrong) - _SHOWN} more"] if len(wrong) > _SHOWN else []
    raise DatasetError(
        name,
        f"{len(wrong)} file(s) came with other bytes than {source.repo_id} lists.",
        [
            *wrong[:_SHOWN],
            *more,
            f"expected the hashes of commit {commit}; what came was removed",
            "try again; what was right is kept",
        ],
    )


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"
