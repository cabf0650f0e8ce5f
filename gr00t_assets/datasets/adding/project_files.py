"""The files of a new dataset in a project: all of them appear, or none."""

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import yaml

from gr00t_assets.core.errors import CatalogError
from gr00t_assets.core.files import write_bytes
from gr00t_assets.core.locks import LockWait
from gr00t_assets.core.processes import try_lock
from gr00t_assets.core.project import project_root
from gr00t_assets.datasets.catalog import CatalogEntry, load_catalog


def write_project_files(files: Mapping[Path, str], entry: CatalogEntry | None) -> list[Path]:
    """Write new files, and last an entry at the end of ``data/datasets.yaml``; the paths.

    The catalog's comments and order stay; it is read with the entry before it is replaced. A file
    that is there is kept. Where anything fails, nothing is left that was not there.

    Raises:
        CatalogError: The catalog cannot be appended to, or has the name by now.
        StoreError: The disk is full.
    """
    catalog = project_root() / "data" / "datasets.yaml"
    catalog.parent.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(catalog.parent):
        new = [file for file in files if not file.exists()]
        folders = {folder for file in new for folder in file.parents if not folder.exists()}
        try:
            for file in new:
                write_bytes(file, files[file].encode())
            if entry is not None:
                write_bytes(catalog, _with_entry(catalog, entry).encode())
        except BaseException:
            for file in new:
                file.unlink(missing_ok=True)
            for folder in sorted(folders, reverse=True):
                with suppress(OSError):
                    folder.rmdir()
            raise
    return [*files, *([catalog] if entry else [])]


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Keep two commands from appending to the same text, by a lock on the folder; see flock(2)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        waiting = LockWait(folder, str(folder), lambda line: sys.stderr.write(line + "\n"))
        while not try_lock(descriptor):
            waiting.look()
            time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)


def _with_entry(catalog: Path, entry: CatalogEntry) -> str:
    """The text of the catalog with an entry after all others, once it has been read."""
    before = load_catalog(catalog) if catalog.is_file() else {}
    if entry.name in before:
        raise CatalogError(entry.name, "data/datasets.yaml has a dataset of this name by now.")
    text = catalog.read_text(encoding="utf-8").rstrip("\n") if catalog.is_file() else ""
    if not before:
        # An empty mapping in braces takes no lines after it.
        text = "\n".join(line for line in text.splitlines() if line.strip() not in ("{}", "---"))
    fields = entry.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)
    fields["source"] = {"kind": entry.source.kind, **fields["source"]}
    text += "\n\n" if text else ""
    text += yaml.safe_dump({entry.name: fields}, sort_keys=False, allow_unicode=True, width=96)
    after, lines = {}, ()
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder, catalog.name)
        trial.write_text(text, encoding="utf-8")
        try:
            after = load_catalog(trial)
        except CatalogError as error:
            lines = (error.problem, *error.details)
    if after != {**before, entry.name: entry}:
        problem = "an entry cannot be put at its end; nothing was written."
        remedy = "write each dataset on lines of its own, from the first column on"
        raise CatalogError("data/datasets.yaml", problem, [*lines, remedy])
    return text
