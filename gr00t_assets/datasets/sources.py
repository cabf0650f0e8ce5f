"""Bringing a dataset from where it is into a folder."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.content_hash import content_files
from gr00t_assets.datasets.modality_presets import preset_path
from gr00t_assets.datasets.source_kinds import (
    FolderSource,
    GitSource,
    HubSource,
    SyntheticSource,
)
from gr00t_assets.errors import DatasetError
from gr00t_assets.project import project_root

LOCAL = "GR00T_ASSETS_DATASETS"
"""Variable that names a folder of datasets; what is there is not downloaded."""


@dataclass(frozen=True)
class Origin:
    """Where a dataset is taken from, before it is.

    Attributes:
        text: In words; two origins of one text and one revision hold the same data if ``pinned``.
        revision: Commit, where the source has one.
        pinned: Whether the data behind it can never change.
        folder: The folder on this machine, where it is one.
    """

    text: str
    revision: str | None = None
    pinned: bool = False
    folder: Path | None = None


def find_origin(entry: CatalogEntry) -> Origin:
    """Where an entry is taken from on this machine.

    Raises:
        DatasetError: It is a folder, and that folder does not exist.
    """
    local = _local_folder(entry)
    if local is not None:
        return Origin(f"folder {local.name} in {LOCAL}", folder=local)
    source = entry.source
    if isinstance(source, SyntheticSource):
        return Origin(f"{source.describe()} ({source.digest()})", pinned=True)
    if isinstance(source, FolderSource):
        folder = (project_root() / source.path).resolve()
        if not folder.is_dir():
            raise DatasetError(
                entry.name,
                f"there is no folder {folder}.",
                [f"set source.path of {entry.name} in data/datasets.yaml"],
            )
        return Origin(f"folder {source.path}", folder=folder)
    if isinstance(source, GitSource):
        text = f"{source.path} of {source.repository}"
        return Origin(text, revision=source.revision, pinned=True)
    commit = bool(re.fullmatch(r"[0-9a-f]{40}", source.revision))
    return Origin(f"Hub dataset {source.repo_id}", revision=source.revision, pinned=commit)


def fetch(entry: CatalogEntry, origin: Origin, directory: Path) -> str | None:
    """Fill the existing empty folder ``directory`` with the dataset.

    Returns:
        The commit that was taken, where the source has one.

    Raises:
        DatasetError: It cannot be had; the message says how to have it another way.
    """
    source = entry.source
    if origin.folder is not None:
        _copy(origin.folder, directory)
        return None
    if isinstance(source, SyntheticSource):
        from gr00t_assets.datasets.synthetic import generate

        generate(source, directory)
        return None
    if isinstance(source, GitSource):
        _fetch_git(entry.name, source, directory)
        return source.revision
    assert isinstance(source, HubSource)
    commit = _fetch_hub(entry.name, source, directory)
    if source.modality is not None:
        (directory / "meta").mkdir(exist_ok=True)
        shutil.copyfile(preset_path(source.modality), directory / "meta" / "modality.json")
    return commit


def _local_folder(entry: CatalogEntry) -> Path | None:
    """The entry's folder in ``GR00T_ASSETS_DATASETS``, by its own name or its source's."""
    root = os.environ.get(LOCAL)
    if not root or isinstance(entry.source, SyntheticSource | FolderSource):
        return None
    source = entry.source
    named = source.path if isinstance(source, GitSource) else source.repo_id
    for name in (entry.name, PurePosixPath(named).name):
        folder = Path(root).resolve() / name
        if folder.is_dir():
            return folder
    return None


def _copy(folder: Path, directory: Path) -> None:
    for path in content_files(folder):
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / path, directory / path)


def _fetch_git(name: str, source: GitSource, directory: Path) -> None:
    """Only the wanted folder of the wanted commit, then its large files."""
    clone = directory / ".clone"
    clone.mkdir()
    commands = [
        ["init", "--quiet"],
        ["remote", "add", "origin", source.repository],
        ["sparse-checkout", "set", "--no-cone", f"/{source.path}/"],
        ["fetch", "--quiet", "--depth", "1", "--filter=blob:none", "origin", source.revision],
        ["checkout", "--quiet", "FETCH_HEAD"],
    ]
    if shutil.which("git-lfs"):
        commands.append(["lfs", "pull", "--include", f"{source.path}/**"])
    for arguments in commands:
        _git(name, source, clone, arguments)
    found = clone / source.path
    if not found.is_dir():
        problem = f"{source.repository} has no folder {source.path} at {source.revision[:12]}."
        raise DatasetError(name, problem)
    for path in found.iterdir():
        path.rename(directory / path.name)
    shutil.rmtree(clone)


def _git(name: str, source: GitSource, clone: Path, arguments: list[str]) -> None:
    result = subprocess.run(
        ["git", "-C", str(clone), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
    )
    if result.returncode:
        raise DatasetError(
            name,
            f"{source.repository} at {source.revision[:12]} cannot be fetched.",
            [*result.stderr.strip().splitlines()[-3:], _way_out(name)],
        )


def hub_commit(name: str, source: HubSource) -> str:
    """The commit that a Hub dataset's revision stands for now.

    Raises:
        DatasetError: The Hub cannot be asked, or has no such dataset.
    """
    with _hub_explained(name, source):
        from huggingface_hub import HfApi

        return str(HfApi().dataset_info(source.repo_id, revision=source.revision).sha)


def _fetch_hub(name: str, source: HubSource, directory: Path) -> str:
    commit = hub_commit(name, source)
    with _hub_explained(name, source):
        from huggingface_hub import snapshot_download

        snapshot_download(source.repo_id, repo_type="dataset", revision=commit, local_dir=directory)
    shutil.rmtree(directory / ".cache", ignore_errors=True)
    return commit


@contextmanager
def _hub_explained(name: str, source: HubSource) -> Iterator[None]:
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except (HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        reason = next(iter(str(error).strip().splitlines()), "no reason given")
        raise DatasetError(
            name,
            f"Hub dataset {source.repo_id} at {source.revision} cannot be downloaded.",
            [f"{type(error).__name__}: {reason}", _way_out(name)],
        ) from error


def _way_out(name: str) -> str:
    return f"without a network, put the dataset into a folder {name} and name its parent in {LOCAL}"
