"""What belongs to a dataset: its files, the hash over them, and links that are not followed."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from gr00t_assets.core.checksums import sha256
from gr00t_assets.core.errors import DatasetError

NOT_CONTENT = ("README.md",)
"""Files beside the data that describe it and do not change it."""


def is_content(path: PurePath) -> bool:
    """Whether a file belongs to a dataset, by its path relative to the dataset's folder.

    Names that begin with a dot (.git, .gitattributes, .cache, .huggingface) and the README of a
    Hub repository do not, so that a clone, a download and a copy are the same dataset.

    Examples:
        >>> is_content(PurePath("meta/info.json")), is_content(PurePath(".cache/meta/info.json"))
        (True, False)
    """
    return str(path) not in NOT_CONTENT and not any(part.startswith(".") for part in path.parts)


def content_files(directory: Path) -> list[Path]:
    """Files that belong to a dataset, relative to its folder, sorted."""
    paths = (path.relative_to(directory) for path in directory.rglob("*") if path.is_file())
    return sorted(path for path in paths if is_content(path))


def files_by_path(directory: Path, replaced: Mapping[Path, Path] | None = None) -> dict[Path, Path]:
    """The files that a dataset consists of by path relative to its folder, sorted.

    Args:
        replaced: Files that stand in for those of the folder, by path relative to it.
    """
    own = {path: directory / path for path in content_files(directory)}
    return dict(sorted((own | dict(replaced or {})).items()))


def content_hash(directory: Path, replaced: Mapping[Path, Path] | None = None) -> str:
    """First 16 hex digits of a SHA-256 over every file's path and content."""
    return hash_of_files(content_hashes(directory, replaced))


def content_hashes(directory: Path, replaced: Mapping[Path, Path] | None = None) -> dict[str, str]:
    """SHA-256 of each file of a dataset by its path in it."""
    files = files_by_path(directory, replaced).items()
    return {path.as_posix(): sha256(file) for path, file in files}


def hash_of_files(hashes: Mapping[str, str]) -> str:
    """The content hash of a dataset whose files have these SHA-256, by their paths in it."""
    total = hashlib.sha256()
    for path in sorted(map(PurePath, hashes)):
        total.update(f"{path.as_posix()}\0{hashes[path.as_posix()]}\n".encode())
    return total.hexdigest()[:16]


_SHOWN = 20


def first_lines(lines: Sequence[str]) -> list[str]:
    """The first twenty lines of an error, and how many more there are."""
    others = len(lines) - _SHOWN
    return [*lines[:_SHOWN], *([f"and {others} more"] if others > 0 else [])]


def refuse_links(directory: Path, name: str) -> None:
    """Stop at links that leave the dataset's folder, point at nothing, or stand for a folder.

    A link to a file inside the folder is allowed; the store gets a copy of that file. Nothing is
    read through any other link.

    Raises:
        DatasetError: It has such links; each is named with where it points.
    """
    problems = link_problems(directory)
    if not problems:
        return
    raise DatasetError(
        name,
        f"its folder has {len(problems)} symbolic link(s) that are not followed.",
        [*first_lines(problems), "put the files themselves there: cp -rL FOLDER COPY"],
    )


def link_problems(directory: Path) -> list[str]:
    """What is wrong with each symbolic link below a folder, in the order of their paths.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Path(folder, "meta").symlink_to("/etc")
        ...     link_problems(Path(folder))
        ['meta: leaves the dataset, to /etc']
    """
    top = directory.resolve()
    problems = []
    for parent, folders, files in os.walk(top):
        for entry in (*folders, *files):
            path = Path(parent, entry)
            relative = path.relative_to(top)
            if path.is_symlink() and is_content(relative) and (problem := _link_problem(path, top)):
                problems.append(f"{relative.as_posix()}: {problem}")
    return sorted(problems)


def _link_problem(link: Path, top: Path) -> str | None:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):
        return f"points at nothing, {link.readlink()}"
    if not target.is_relative_to(top):
        return f"leaves the dataset, to {link.readlink()}"
    return f"stands for the folder {link.readlink()}" if target.is_dir() else None
