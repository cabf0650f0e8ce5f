"""The version of a dataset: a hash of everything that belongs to it."""

import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePath

NOT_CONTENT = ("README.md",)
"""Files beside the data that describe it and do not change it."""


def is_content(path: PurePath) -> bool:
    """Whether a file belongs to a dataset, by its path relative to the dataset's folder.

    Names that begin with a dot (.git, .gitattributes, .cache, .huggingface) and the README of a
    Hub repository do not, so that a clone, a download and a copy are the same dataset.

    Example:
        >>> is_content(PurePath("meta/info.json")), is_content(PurePath(".cache/meta/info.json"))
        (True, False)
    """
    return str(path) not in NOT_CONTENT and not any(part.startswith(".") for part in path.parts)


def content_files(directory: Path) -> list[Path]:
    """Files that belong to a dataset, relative to its folder, sorted."""
    found = (path.relative_to(directory) for path in directory.rglob("*") if path.is_file())
    return sorted(path for path in found if is_content(path))


def content_hash(directory: Path, replaced: Mapping[Path, Path] | None = None) -> str:
    """First 16 hex digits of a SHA-256 over every file's path and content.

    Args:
        directory: Folder of the dataset.
        replaced: Files that stand in for those of the folder, by path relative to it.
    """
    sources = {path: directory / path for path in content_files(directory)} | dict(replaced or {})
    total = hashlib.sha256()
    for path in sorted(sources):
        with sources[path].open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.as_posix()}\0{digest}\n".encode())
    return total.hexdigest()[:16]
