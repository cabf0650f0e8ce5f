"""Symbolic links of a dataset that would bring in what does not belong to it."""

import os
from pathlib import Path

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.sources.content_hash import is_content

_SHOWN = 20


def refuse_links(directory: Path, name: str) -> None:
    """Stop at links that leave the dataset's folder, point at nothing, or stand for a folder.

    A link to a file inside the folder is allowed; the store gets a copy of that file. Nothing is
    read through any other link.

    Args:
        directory: Folder of the dataset.
        name: What errors call the dataset.

    Raises:
        DatasetError: It has such links; each is named with where it points.
    """
    problems = link_problems(directory)
    if not problems:
        return
    more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
    raise DatasetError(
        name,
        f"its folder has {len(problems)} symbolic link(s) that are not followed.",
        [*problems[:_SHOWN], *more, "put the files themselves there: cp -rL FOLDER COPY"],
    )


def link_problems(directory: Path) -> list[str]:
    """What is wrong with each symbolic link below a folder, in the order of their paths.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "meta").symlink_to("/etc")
        >>> link_problems(folder)
        ['meta: leaves the dataset, to /etc']
    """
    top = directory.resolve()
    problems = []
    for around, folders, files in os.walk(top):
        for entry in (*folders, *files):
            path = Path(around, entry)
            shown = path.relative_to(top)
            if path.is_symlink() and is_content(shown) and (said := _problem(path, top)):
                problems.append(f"{shown.as_posix()}: {said}")
    return sorted(problems)


def _problem(link: Path, top: Path) -> str | None:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):
        return f"points at nothing, {link.readlink()}"
    if not target.is_relative_to(top):
        return f"leaves the dataset, to {link.readlink()}"
    return f"stands for the folder {link.readlink()}" if target.is_dir() else None
