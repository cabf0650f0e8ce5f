"""What tests leave behind: processes, held slots, files in the folder for temporary files.

Every process that a test starts inherits a mark in its environment, wherever its parents go. The
session has a folder of its own for temporary files, which is to be empty in the end.
"""

import os
import re
import shutil
import tempfile
import time
import uuid
from pathlib import Path

import psutil

MARK = "TESTS_STARTED_BY"
"""Environment variable: the session, and of a worker of pytest-xdist its name after a slash."""

PATIENCE = 10.0
"""Seconds in which what is about to end is to end."""

ENDS_BY_ITSELF = (
    "multiprocessing.resource_tracker",
    "multiprocessing.forkserver",
    "wandb-core",  # ends with the process that --pid names
)
KEPT = re.compile(
    r"(pymp-|torchinductor_|torchelastic_|matplotlib-|node-compile-cache|hsperfdata_|wandb-|debug-cli)"
    r"|.*wandb-(media|artifacts)$"
)
"""Names of what libraries keep, or remove when their process ends."""


def mark_session(worker: str | None) -> str:
    """Mark what is started from now on; the mark."""
    mark = f"{os.environ[MARK]}/{worker}" if worker else uuid.uuid4().hex
    os.environ[MARK] = mark
    return mark


def own_temporary_folder() -> Path:
    """A new folder for temporary files of this process and of all that it starts.

    Pytest's own folders stay where they would be.
    """
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    folder = Path(tempfile.mkdtemp(prefix="tests-"))
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    return folder


def processes_left(mark: str, seconds: float = PATIENCE) -> list[str]:
    """Processes that were started under a mark, or by one that was, and still run; kills them."""
    deadline = time.monotonic() + seconds
    while (found := _marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.2)
    lines = []
    for process in found:
        try:
            command = " ".join(process.cmdline())[:300] or process.name()
            lines.append(f"process {process.pid}, parent {process.ppid()}: {command}")
            lines += [f"slot {file} held by process {process.pid}" for file in _slots(process)]
            process.kill()
        except psutil.Error:
            continue
    return lines


def slots_left() -> list[str]:
    """Slots that this process holds: files that it has open."""
    return [f"slot {file} held by the tests' own process" for file in _slots(psutil.Process())]


def files_left(folder: Path) -> list[str]:
    """Files and folders in the session's folder for temporary files; removes it.

    The socket of a server that a test killed cannot be removed by it.
    """
    left = [
        path
        for path in sorted(folder.iterdir())
        if not KEPT.match(path.name) and (path.is_dir() or path.stat().st_size)
    ]
    lines = [f"{'folder' if path.is_dir() else 'file'} {path}: {_content(path)}" for path in left]
    shutil.rmtree(folder, ignore_errors=True)
    return lines


def _marked(mark: str) -> list[psutil.Process]:
    own = psutil.Process()
    kin = {own.pid, *(process.pid for process in own.parents())}
    below = {process.pid for process in own.children(recursive=True)}
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid in kin or process.status() == psutil.STATUS_ZOMBIE:
                continue
            marked = f"{process.environ().get(MARK, '')}/".startswith(f"{mark}/")
            command = " ".join(process.cmdline())
            if (marked or process.pid in below) and not any(x in command for x in ENDS_BY_ITSELF):
                found.append(process)
        except psutil.Error:
            continue
    return found


def _slots(process: psutil.Process) -> list[str]:
    return [file.path for file in process.open_files() if "/slots/" in file.path]


def _content(path: Path) -> str:
    names = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []
    return ", ".join(names[:5]) or "empty" if path.is_dir() else f"{path.stat().st_size} bytes"
