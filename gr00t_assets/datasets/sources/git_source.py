"""A dataset from a folder of a git repository, at one commit, without the rest of it."""

import glob
import os
import shutil
import subprocess
import time
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.locks import Log
from gr00t_assets.datasets.lerobot.folder import is_lfs_pointer
from gr00t_assets.datasets.source_kinds import COMMIT, GitSource, without_credentials
from gr00t_assets.datasets.sources.versions import content_files

_TIMEOUT = 3600.0
_REMEDY = "or set GR00T_ASSETS_DATASETS to a folder that holds a copy of it"
_USER, _PASSWORD = "GR00T_ASSETS_GIT_USER", "GR00T_ASSETS_GIT_PASSWORD"
_HELPER = f'!f() {{ echo "username=${_USER}"; echo "password=${_PASSWORD}"; }}; f'
"""A credential helper that prints what the environment has; see gitcredentials(7)."""


def git_commit(repository: str, revision: str, name: str) -> str:
    """The commit that a branch, a tag or ``HEAD`` means now; a DatasetError where there is none."""
    if COMMIT.fullmatch(revision):
        return revision
    # git matches the ends of names: main is the end of work/main as well.
    places = ("", "refs/", "refs/heads/", "refs/tags/")
    names = [f"{place}{revision}{peeled}" for place in places for peeled in ("", "^{}")]
    answer = _git(Path.cwd(), name, repository, "ls-remote", "origin", *names)
    commits = {ref: commit for commit, ref in map(str.split, answer.splitlines())}
    if not (listed := [commits[ref] for ref in names if ref in commits]):
        problem = f"{without_credentials(repository)} has no branch or tag {revision}."
        raise DatasetError(name, problem, ["give --revision one that it has, or a full commit"])
    return listed[-1]


def fetch_git(source: GitSource, directory: Path, name: str, log: Log) -> Path:
    """Check out one folder of one commit, and its Git LFS files; gives the dataset's folder.

    git verifies every object by its hash, and git-lfs every file. Git LFS files that an earlier
    call for this commit brought are not brought again; a checkout is begun anew.

    Raises:
        DatasetError: git is missing, the repository or commit cannot be had, the folder is not in
            it, or it needs Git LFS and there is none.
    """
    started = time.monotonic()
    checkout = directory / "checkout"
    shutil.rmtree(checkout, ignore_errors=True)
    checkout.mkdir(parents=True)
    log(f"{name}: {source.describe()} at {source.revision[:12]}, by git")
    try:
        dataset = _check_out(source, checkout, directory / "lfs", name)
    except DatasetError:
        shutil.rmtree(checkout)
        if not any(directory.iterdir()):
            directory.rmdir()
        raise
    sizes = [(dataset / path).stat().st_size for path in content_files(dataset)]
    seconds = time.monotonic() - started
    log(f"{name}: {len(sizes)} files, {sum(sizes) / 1e6:.1f} MB, {seconds:.1f} s")
    return dataset


def _check_out(source: GitSource, checkout: Path, lfs: Path, name: str) -> Path:
    git, whole_repository = partial(_git, checkout, name, source.repository), source.path == "."
    pattern = glob.escape(source.path)
    git("init", "--quiet")
    git("config", "lfs.storage", str(lfs.resolve()))
    if not whole_repository:
        git("sparse-checkout", "set", "--no-cone", f"/{pattern}/")
    git("fetch", "--quiet", "--depth", "1", "--filter=blob:none", "origin", source.revision)
    git("checkout", "--quiet", "FETCH_HEAD")
    dataset = checkout / source.path
    if not dataset.is_dir():
        problem = f"commit {source.revision[:12]} has no folder {source.path}."
        raise DatasetError(name, problem, [f"repository: {without_credentials(source.repository)}"])
    if any(is_lfs_pointer(path) for path in dataset.rglob("*") if path.is_file()):
        if shutil.which("git-lfs") is None:
            problem = "its files are in Git LFS, and git-lfs is not installed."
            raise DatasetError(name, problem, ["install git-lfs", _REMEDY])
        git("lfs", "pull", *(() if whole_repository else (f"--include={pattern}/**",)))
    return dataset


def split_credentials(repository: str) -> tuple[str, dict[str, str]]:
    """An address without name and password, and the variables that hold them for git.

    Examples:
        >>> split_credentials("https://anna:a%2Fb@host/x.git")[0]
        'https://host/x.git'
        >>> split_credentials("git@host:x.git")
        ('git@host:x.git', {})
    """
    parts = urlsplit(repository)
    if parts.scheme not in ("http", "https") or "@" not in parts.netloc:
        return repository, {}
    user, _, host = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    secret = {_USER: unquote(name), _PASSWORD: unquote(password)}
    return parts._replace(netloc=host).geturl(), secret


def _git(directory: Path, name: str, repository: str, *arguments: str) -> str:
    """What git prints, run with ``origin`` in its environment alone.

    Git would show its address to everyone in the command line of its helper, so name and password
    are taken out of it and given by a credential helper, which has them from the environment.
    """
    address, secret = split_credentials(repository)
    fetched = "+refs/heads/*:refs/remotes/origin/*"
    options = [("remote.origin.url", address), ("remote.origin.fetch", fetched)]
    if secret:
        options += [("credential.helper", ""), ("credential.helper", _HELPER)]
    environment = os.environ | {"GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1"}
    environment |= {"LC_ALL": "C", **secret, "GIT_CONFIG_COUNT": str(len(options))}
    for number, (key, value) in enumerate(options):
        environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    environment.pop("GIT_DIR", None)
    command = ["git", "-c", "advice.detachedHead=false", "-C", str(directory), *arguments]
    try:
        result = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            errors="replace",
            timeout=_TIMEOUT,
            encoding="utf-8",
        )
    except FileNotFoundError as error:
        raise DatasetError(name, "git is not installed.", ["install git", _REMEDY]) from error
    except subprocess.TimeoutExpired as error:
        problem = f"git {arguments[0]} did not end within {_TIMEOUT / 60:.0f} minutes."
        raise DatasetError(name, problem, ["try again", _REMEDY]) from error
    if result.returncode:
        lines = [line for line in result.stderr.splitlines() if line.strip()][-4:]
        remedy = "see that the repository and commit exist and can be reached from here"
        details = [*map(without_credentials, lines), remedy, _REMEDY]
        raise DatasetError(name, f"git {arguments[0]} failed.", details)
    return result.stdout
