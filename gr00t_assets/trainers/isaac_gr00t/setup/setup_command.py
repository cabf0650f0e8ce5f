"""``gr00t-assets isaac setup`` on a terminal."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from gr00t_assets.core.files import free_bytes
from gr00t_assets.trainers.isaac_gr00t.doctor.sizes import gigabytes
from gr00t_assets.trainers.isaac_gr00t.setup.setup import (
    Watch,
    commands_of,
    describe,
    pending,
    set_up,
)
from gr00t_assets.trainers.isaac_gr00t.setup.setup_steps import Options

_ROOM = 12_000_000_000
"""Bytes: 8.4 GB of packages were measured without flash-attn, which adds under 1 GB, and pip keeps
what it downloads until a step is done."""

_LAST = 4096


def run_setup(directory: Path, options: Options, dry_run: bool) -> int:
    """Make the environment and say what is done; or print the commands that are left.

    Returns:
        Exit code: 0, or 130 where it was interrupted.

    Raises:
        SetupError: A step failed, or the folder holds something else.
    """
    directory = directory.expanduser().absolute()
    if dry_run:
        for step in pending(directory, options):
            for command in commands_of(step, directory, options):
                sys.stdout.write(command.shell() + "\n")
        return 0
    free = free_bytes(directory)
    if free < _ROOM:
        _say(f"note: {gigabytes(free)} free here; the whole takes up to {gigabytes(_ROOM)}")
    try:
        with _last_line() as watch:
            environment = set_up(directory, options, _say, watch)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command goes on where it stopped\n")
        return 130
    for line in describe(environment):
        _say(line)
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextmanager
def _last_line() -> Iterator[Watch | None]:
    """Shows the newest line of the log in place while a command runs, on a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with console.status("") as status:

        def watch(log: Path) -> None:
            with log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST))
                lines = file.read().decode(errors="replace").splitlines() or [""]
            status.update(escape(lines[-1][: console.width - 4]))

        yield watch
