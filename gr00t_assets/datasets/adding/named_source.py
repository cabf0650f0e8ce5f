"""What a person names as the source of a new dataset: a folder, a Hub id or page, a repository."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.project import project_root
from gr00t_assets.core.yaml_files import validation_problems
from gr00t_assets.datasets.source_kinds import (
    FolderSource,
    GitSource,
    HubSource,
    Source,
    without_credentials,
)
from gr00t_assets.datasets.sources.git_source import git_commit

_HUB_PAGE = re.compile(
    r"(?:https?://(?:www\.)?huggingface\.co|hf:/)/datasets/([^/]+/[^/?#@]+)(?:(?:/tree/|@)([^/?#]+))?.*"
)
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
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
    page = _HUB_PAGE.fullmatch(text)
    if page or (_HUB_ID.fullmatch(text) and not text.endswith(".git")):
        repository, of_page = page.groups() if page else (text, None)
        return _valid(HubSource, text, repo_id=repository, revision=revision or of_page or "main")
    if not _GIT.fullmatch(text):
        lines = ["give a folder, the owner/name of a Hub dataset, or the address of a repository"]
        raise DatasetError(text, f"there is no folder {folder.absolute()}.", lines)
    address = text
    if page := _GIT_PAGE.fullmatch(text):
        address, of_page, inside = page.groups()
        revision, path = revision or of_page, path or inside
    if urlsplit(address).password:
        problem = "this address holds a password, and data/datasets.yaml is checked in."
        remedy = "take it out of the address; git asks its credential helper"
        raise DatasetError(without_credentials(address), problem, [remedy])
    commit = git_commit(address, revision or "HEAD", without_credentials(address))
    return _valid(GitSource, text, repository=address, revision=commit, path=path or ".")


def name_of_source(source: Source) -> str:
    """The name that a dataset gets where none is given."""
    match source:
        case FolderSource():
            name = Path(os.path.normpath(project_root() / source.path)).name
        case HubSource():
            name = source.repo_id.split("/")[-1]
        case GitSource():
            last = source.repository.rstrip("/").rsplit("/", 1)[-1].removesuffix(".git")
            name = last if source.path in (".", "") else Path(source.path).name
        case _:
            name = source.kind
    return re.sub(r"[^A-Za-z0-9._-]+|\.{2,}", "-", name).strip(".-") or "dataset"


def _shown_folder(folder: Path) -> str:
    """Relative to the project where it was given so, or lies in it; else absolute."""
    absolute, root = Path(os.path.normpath(folder.absolute())), project_root()
    if folder.is_absolute() and not absolute.is_relative_to(root):
        return str(absolute)
    return os.path.relpath(absolute, root)


def _valid(kind: type[HubSource] | type[GitSource], text: str, **fields: str) -> Source:
    try:
        return kind.model_validate(fields)
    except ValidationError as failure:
        lines = [item.text for item in validation_problems(failure, kind)]
        problem = "this cannot be the source of a dataset."
        raise DatasetError(without_credentials(text), problem, lines) from failure
