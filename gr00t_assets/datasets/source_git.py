"""A dataset from a folder of a git repository, at one commit, without the rest of it."""

import os
import shutil
import subprocess
from pathlib import Path

from gr00t_assets.datasets.lerobot_files import is_lfs_pointer
from gr00t_assets.datasets.source_kinds import GitSource, without_credentials
from gr00t_assets.errors import DatasetError

_TIMEOUT = 3600.0


def fetch_git(source: GitSource, directory: Path, name: str) -> Path:
    """Check out one folder of one commit, and its Git LFS files.

    Args:
        source: Repository, commit and folder.
        directory: Empty folder for the checkout.
        name: What errors call the dataset.

    Returns:
        Folder of the dataset inside ``directory``.

    Raises:
        DatasetError: git is missing, the repository or commit cannot be had, the folder is not in
            it, or it needs Git LFS and there is none.
    """
    whole = source.path == "."
    _git(directory, name, "init", "--quiet")
    _git(directory, name, "remote", "add", "origin", source.repository)
    if not whole:
        _git(directory, name, "sparse-checkout", "set", "--no-cone", f"/{source.path}/")
    fetch = ("fetch", "--quiet", "--depth", "1", "--filter=blob:none", "origin", source.revision)
    _git(directory, name, *fetch)
    _git(directory, name, "checkout", "--quiet", "FETCH_HEAD")
    dataset = directory / source.path
    if not dataset.is_dir():
        raise DatasetError(
            name,
            f"commit {source.revision[:12]} has no folder {source.path}.",
            [f"repository: {without_credentials(source.repository)}"],
        )
    if any(is_lfs_pointer(path) for path in dataset.rglob("*") if path.is_file()):
        if shutil.which("git-lfs") is None:
            raise DatasetError(
                name,
                "its files are in Git LFS, and git-lfs is not installed.",
                ["install git-lfs", _REMEDY],
            )
        include = () if whole else (f"--include={source.path}/**",)
        _git(directory, name, "lfs", "pull", *include)
    return dataset


_REMEDY = "or set GR00T_ASSETS_DATASETS to a folder that holds a copy of it"


def _git(directory: Path, name: str, *arguments: str) -> None:
    environment = os.environ | {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "LC_ALL": "C",
    }
    command = ["git", "-c", "advice.detachedHead=false", "-C", str(directory), *arguments]
    try:
        done = subprocess.run(
            command,
            env={key: value for key, value in environment.items() if key != "GIT_DIR"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=_TIMEOUT,
        )
    except FileNotFoundError as error:
        raise DatasetError(name, "git is not installed.", ["install git", _REMEDY]) from error
    except subprocess.TimeoutExpired as error:
        problem = f"git {arguments[0]} did not end within {_TIMEOUT / 60:.0f} minutes."
        raise DatasetError(name, problem, ["try again", _REMEDY]) from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise DatasetError(
            name,
            f"git {arguments[0]} failed.",
            [
                *(without_credentials(line) for line in said[-4:]),
                "see that the repository and commit exist and can be reached from here",
                _REMEDY,
            ],
        )
