"""The versions of a dataset in the store: the record of the current one, and their files.

A version is named by a hash over the SHA-256 of each of its files. Those hashes are kept beside it,
and are known to be right themselves since they give its name. A version of an older store has no
such record: it is hashed whole, and the record is written where the whole gives its name.
"""

import hashlib
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePath

from pydantic import Field

from gr00t_assets.core.checksums import changed_files, load_sealed, read_sealed, sealed, sha256
from gr00t_assets.core.errors import DatasetError, StoreError
from gr00t_assets.core.files import LARGEST_LIST, FrozenModel, write_json
from gr00t_assets.core.project import Store, materialize_command
from gr00t_assets.core.text import format_bytes
from gr00t_assets.datasets.curation import Curated
from gr00t_assets.datasets.lerobot.features import Camera

NOT_CONTENT = ("README.md",)  # files beside the data that describe it and do not change it

ROWS_BYTES, _SECONDS = 512 << 20, 0.5
"""Bytes of rows that are hashed when a training starts, and how long more are, drawn at random."""

_UNRECORDED_BYTES = 4 << 30  # of a version that is hashed whole for lack of a record
_SHOWN = 20


class DatasetRecord(FrozenModel):
    """A dataset in the store, complete and readable; its version is its ``content_hash``."""

    name: str
    version: str
    source: str = Field(description="Where it was taken from, in words, with the revision")
    revision: str | None = Field(description="Commit of the source, where it has one")
    codebase_version: str = Field(description="LeRobot's format: v2.0 or v2.1")
    robot_type: str
    episodes: int
    frames: int
    fps: float
    cameras: tuple[Camera, ...]
    tasks: tuple[str, ...]
    size_bytes: int
    warnings: tuple[str, ...] = Field(default=(), description="Odd, and yet usable")
    curated: Curated | None = Field(default=None, description="How it differs from its source")

    @property
    def hours(self) -> float:
        """Length of all episodes together."""
        return self.frames / self.fps / 3600

    def directory(self, store: Store) -> Path:
        """Where this version's files are."""
        return store.dataset_directory(self.name, self.version)


def save_record(record: DatasetRecord, store: Store) -> None:
    """Make ``record`` the current version of its dataset."""
    write_json(store.dataset_record(record.name), sealed(record.model_dump(mode="json")))


def load_record(name: str, store: Store) -> DatasetRecord:
    """The current version of a dataset; a DatasetError where it, or its files, are not there."""
    remedy, path = f"run: {materialize_command('dataset', name)}", store.dataset_record(name)
    if not path.is_file():
        raise DatasetError(name, "this dataset is not in the store.", [remedy])
    found = f"{path} cannot be read."
    record = load_sealed(path, DatasetRecord, lambda why: DatasetError(name, found, [why, remedy]))
    if not record.directory(store).is_dir():
        raise DatasetError(name, f"version {record.version} is gone from the store.", [remedy])
    return record


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
    """The files of a dataset by path in its folder, sorted, with those that stand in for some."""
    own = {path: directory / path for path in content_files(directory)}
    return dict(sorted({**own, **(replaced or {})}.items()))


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


def first_lines(lines: Sequence[str]) -> list[str]:
    """The first twenty lines of an error, and how many more there are."""
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return [*lines[:_SHOWN], *more]


def refuse_links(directory: Path, name: str) -> None:
    """Stop at links that leave the dataset's folder, point at nothing, or stand for a folder.

    A link to a file inside the folder is allowed; the store gets a copy of that file. Nothing is
    read through any other link: a DatasetError names each with where it points.
    """
    top, problems = directory.resolve(), []
    for path in filter(Path.is_symlink, top.rglob("*")):
        relative = path.relative_to(top)
        if is_content(relative) and (problem := _link_problem(path, top)):
            problems.append(f"{relative.as_posix()}: {problem}")
    if problems:
        problem = f"its folder has {len(problems)} symbolic link(s) that are not followed."
        remedy = "put the files themselves there: cp -rL FOLDER COPY"
        raise DatasetError(name, problem, [*first_lines(sorted(problems)), remedy])


def _link_problem(link: Path, top: Path) -> str | None:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):
        return f"points at nothing, {link.readlink()}"
    if not target.is_relative_to(top):
        return f"leaves the dataset, to {link.readlink()}"
    return f"stands for the folder {link.readlink()}" if target.is_dir() else None


def changed_version_files(name: str, version: str, store: Store) -> list[str]:
    """What is wrong with the files of a version, each of which is read; a sentence each.

    Where there is no record of them and nothing is wrong, one is written.
    """
    directory = store.dataset_directory(name, version)
    recorded = recorded_files(name, version, store)
    if recorded is None:
        hashes = content_hashes(directory)
        if hash_of_files(hashes) != version:
            return [f"one of its {len(hashes)} files has changed, or is missing, or was added"]
        with suppress(OSError, StoreError):
            record_files(name, version, hashes, store)
        return []
    present = {path.as_posix() for path in content_files(directory)}
    added = [f"{path}: was added" for path in sorted(present - recorded.keys())]
    return changed_files(directory, recorded) + added


def record_files(name: str, version: str, hashes: dict[str, str], store: Store) -> None:
    """Keep the SHA-256 of a version's files, by their paths in it, beside the version."""
    write_json(store.dataset_files(name, version), sealed({"sha256": hashes}))


def recorded_files(name: str, version: str, store: Store) -> dict[str, str] | None:
    """SHA-256 of a version's files by path; None where there is no record, or it is damaged."""
    with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
        hashes = read_sealed(store.dataset_files(name, version), LARGEST_LIST)["sha256"]
        if hash_of_files(hashes) == version:
            return hashes
    return None


def require_sound_version(name: str, version: str, store: Store) -> None:
    """Hold every file of a version against its hash; a DatasetError names those that differ."""
    if changed := changed_version_files(name, version, store):
        raise _damaged(name, version, changed, store)


def check_rows_and_meta(name: str, version: str, store: Store, *, with_videos: bool = False) -> str:
    """Hold the files that a training reads, perhaps the videos as well, against their hashes.

    All of ``meta/`` and up to ``ROWS_BYTES`` of the rows are hashed; of longer ones those that half
    a second is enough for, drawn at random, others at every start. What was looked at is returned
    in words; a DatasetError where a file has changed, or is missing.
    """
    directory = store.dataset_directory(name, version)
    recorded = recorded_files(name, version, store)
    if recorded is None:
        size = sum((directory / path).stat().st_size for path in content_files(directory))
        if size > _UNRECORDED_BYTES:
            why = "nothing is recorded of them; gr00t-assets store verify records it"
            return f"no file of {name}, {format_bytes(size)}, was compared: {why}"
        require_sound_version(name, version, store)
        return f"all files of {name} are those of version {version}"
    meta = {path for path in recorded if path.startswith("meta/")}
    rows = {path for path in recorded.keys() - meta if path.endswith(".parquet")}
    others = recorded.keys() - meta - rows if with_videos else set()
    chosen = [*sorted(meta), *random.sample(sorted(rows), len(rows))]
    chosen += random.sample(sorted(others), len(others))
    until, done, count = time.monotonic() + _SECONDS, 0, 0
    for path in chosen:
        if path not in meta and done > ROWS_BYTES and time.monotonic() > until:
            break
        if changed := changed_files(directory, {path: recorded[path]}):
            raise _damaged(name, version, changed, store)
        done, count = done + (directory / path).stat().st_size, count + 1
    what = "meta files, rows and videos" if with_videos else "meta files and rows"
    return f"{count} of {len(chosen)} files of {name} ({what}) are those of version {version}"


def remedy_of_damage(name: str, version: str, store: Store) -> str:
    """What to do about a version whose files have changed."""
    with suppress(DatasetError):
        if load_record(name, store).version != version:
            return "it is not the current version: put its files back from a copy, or delete it"
    return f"take it anew from its source: {materialize_command('dataset', name)}"


def _damaged(name: str, version: str, changed: list[str], store: Store) -> DatasetError:
    problem = f"files of version {version} in the store are not as they were taken."
    details = [*first_lines(changed), remedy_of_damage(name, version, store)]
    return DatasetError(name, problem, details)
