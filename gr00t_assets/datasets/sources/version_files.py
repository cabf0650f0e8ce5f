"""The files of a dataset version in the store against what the version was made of.

A version is named by a hash over the SHA-256 of each of its files. Those hashes are kept beside it,
and are known to be right themselves since they give its name. A version of an older store has no
such record: it is hashed whole, and the record is written where the whole gives its name.
"""

import random
import time
from contextlib import suppress

from gr00t_assets.core.checksums import changed_files, read_sealed, sealed
from gr00t_assets.core.errors import DatasetError, StoreError
from gr00t_assets.core.files import LARGEST_LIST, write_json
from gr00t_assets.core.project import Store, materialize_command
from gr00t_assets.core.text import format_bytes
from gr00t_assets.datasets.record import load_record
from gr00t_assets.datasets.sources.content import (
    content_files,
    content_hashes,
    first_lines,
    hash_of_files,
)

ROWS_BYTES, _SECONDS = 512 << 20, 0.5
"""Bytes of rows that are hashed when a training starts, and how long more are, drawn at random."""

_UNRECORDED_BYTES = 4 << 30
"""Bytes of a version that is hashed whole when a training starts, for lack of a record."""


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
    """Hold every file of a version against its hash.

    Raises:
        DatasetError: One has changed, is missing, or was added.
    """
    if changed := changed_version_files(name, version, store):
        raise _damaged(name, version, changed, store)


def check_rows_and_meta(name: str, version: str, store: Store, *, with_videos: bool = False) -> str:
    """Hold the files that a training reads against their hashes, in a bounded time.

    All of ``meta/`` and up to ``ROWS_BYTES`` of the rows are hashed; of longer ones those that half
    a second is enough for, drawn at random, others at every start.

    Args:
        with_videos: Whether the training reads the videos as well.

    Returns:
        What was looked at, in words.

    Raises:
        DatasetError: A file has changed, or is missing.
    """
    directory = store.dataset_directory(name, version)
    recorded = recorded_files(name, version, store)
    if recorded is None:
        size = sum((directory / path).stat().st_size for path in content_files(directory))
        if size > _UNRECORDED_BYTES:
            return (
                f"no file of {name}, {format_bytes(size)}, was compared: nothing is recorded of "
                "them; gr00t-assets store verify records it"
            )
        require_sound_version(name, version, store)
        return f"all files of {name} are those of version {version}"
    meta = {path for path in recorded if path.startswith("meta/")}
    others = random.sample(sorted(recorded.keys() - meta), len(recorded) - len(meta))
    others.sort(key=lambda path: not path.endswith(".parquet"))
    chosen = sorted(meta)
    chosen += [path for path in others if with_videos or path.endswith(".parquet")]
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
