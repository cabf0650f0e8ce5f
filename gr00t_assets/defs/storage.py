"""Dagster's SQLite storage, refused in words where its database cannot be used.

Dagster puts the path into a URL as it is: behind a ``?`` the rest is taken for options, ``%20`` for
a space, so that the database lies somewhere else; and it finds its runs again with a pattern, to
which ``*`` and ``[`` mean something. ``dagster.yaml`` names this class.
"""

import os
import re
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import click
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData

from gr00t_assets.core.errors import StoreError, rights, user_name
from gr00t_assets.core.project import Store

_MISTAKEN = re.compile(r"\?|%[0-9A-Fa-f]{2}|[*\[]")

_DATABASES = ("history/runs.db", "history/runs/index.db", "schedules/schedules.db")

_READ_WHOLE = 32 << 20
"""Bytes of a database that is looked through at every start; a tenth of a second."""


class CheckedSqliteStorage(DagsterSqliteStorage):
    """SQLite in a folder whose databases can be found again, read and written."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Any
    ) -> DagsterSqliteStorage:
        """The storage in ``base_dir``; nothing is written where that cannot be used.

        Raises:
            ClickException: Why not, and what to do; Dagster prints it without a stack.
        """
        folder = Path(config_value["base_dir"]).absolute()
        try:
            _require_plain_path(folder)
            _require_writable(folder)
            _require_sound(folder)
        except StoreError as error:
            raise click.ClickException(error.explain()) from None
        return super().from_config_value(inst_data, config_value)


def _require_plain_path(folder: Path) -> None:
    for up in (*reversed(folder.parents), folder):
        if part := _MISTAKEN.search(up.name):
            problem = (
                f"Dagster's database cannot be in a path with {part[0]!r}; nothing was written."
            )
            remedy = f"rename the folder {str(up)!r}, without it"
            raise StoreError(str(folder), problem, [remedy])


def _require_writable(folder: Path) -> None:
    existing = next(up for up in (folder, *folder.parents) if up.exists())
    for path in (existing, *(folder / name for name in _DATABASES)):
        if path.exists() and not os.access(path, os.W_OK, effective_ids=True):
            problem = f"{user_name()} may not write Dagster's database; it is of {rights(path)}."
            store = shlex.quote(str(Store.from_environment().root))
            remedy = f"work in a clone of your own, after: export GR00T_ASSETS_STORE={store}"
            raise StoreError(str(path), problem, [remedy])


def _require_sound(folder: Path) -> None:
    """Look through each database, as far as it is not large; a locked one is in use and sound."""
    for path in (folder / name for name in _DATABASES if (folder / name).exists()):
        try:
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
                whole = path.stat().st_size <= _READ_WHOLE
                check = "PRAGMA quick_check(1)" if whole else "SELECT count(*) FROM sqlite_master"
                (verdict,) = database.execute(check).fetchone()
        except sqlite3.OperationalError:
            continue
        except sqlite3.DatabaseError as error:
            verdict = str(error)
        if isinstance(verdict, str) and verdict != "ok":
            aside = shlex.quote(f"{folder}.damaged")
            command = f"mv {shlex.quote(str(folder))} {aside} && gr00t-assets store rematerialize"
            problem = f"Dagster's database is damaged: {verdict}. What was trained is not in it."
            raise StoreError(str(path), problem, [f"stop make dev, then run: {command}"])
