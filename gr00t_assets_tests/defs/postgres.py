"""A PostgreSQL server of one's own in a temporary folder, from the machine's own package."""

import importlib.util
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from gr00t_assets_tests.defs.dagster_dev import free_port
from gr00t_assets_tests.defs.project import Project


def postgres_programs() -> Path | None:
    """The folder of ``initdb`` and ``pg_ctl``: on the PATH, or where Debian puts it."""
    found = shutil.which("initdb")
    if found and shutil.which("pg_ctl"):
        return Path(found).resolve().parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return debian[-1].parent if debian else None


def postgres_lacks() -> str | None:
    """What is missing for Dagster on PostgreSQL, in a line; ``None`` where nothing is."""
    missing = [
        f"pip install {package}"
        for module, package in (
            ("dagster_postgres", "dagster-postgres"),
            ("psycopg2", "psycopg2-binary"),
        )
        if importlib.util.find_spec(module) is None
    ]
    if postgres_programs() is None:
        missing.append("apt-get install postgresql")
    return f"PostgreSQL is left out; it needs: {', '.join(missing)}" if missing else None


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A server on a free port of 127.0.0.1 for as long as the block lasts; yields its URL.

    initdb refuses to run as root: root starts it as the user ``postgres``, or ``nobody``.

    Raises:
        subprocess.CalledProcessError: It does not start; its output is in the error.
    """
    programs = postgres_programs()
    assert programs is not None, postgres_lacks()
    user = _user()
    folder.mkdir(mode=0o755)
    data, port = folder / "data", free_port()
    if user is not None:
        shutil.chown(folder, user)
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    _run(user, programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8")
    start = [programs / "pg_ctl", "-D", data, "-w", "-l", folder / "server.log"]
    _run(user, *start, "-o", options, "start")
    try:
        yield f"postgresql+psycopg2://postgres@127.0.0.1:{port}/postgres"
    finally:
        _run(user, programs / "pg_ctl", "-D", data, "-m", "immediate", "stop")


def use_postgres(project: Project, url: str) -> None:
    """Have a project's instance keep its runs and events there."""
    path = project.root / "dagster.yaml"
    settings: dict[str, Any] = yaml.safe_load(path.read_text())
    settings["storage"] = {"postgres": {"postgres_url": url}}
    path.write_text(yaml.safe_dump(settings))


def _user() -> str | None:
    if os.geteuid() != 0:
        return None
    users = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in users else "nobody"


def _run(user: str | None, *command: object) -> None:
    subprocess.run(
        [str(part) for part in command],
        user=user,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=True,
    )
