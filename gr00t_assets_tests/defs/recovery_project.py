"""A project of the no-op trainer under a real ``gr00t-assets dev`` that can lose power."""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dagster as dg

from gr00t_assets_tests.defs.dagster_dev import Page, change_settings, dagster_dev
from gr00t_assets_tests.defs.project import Project
from gr00t_assets_tests.gpu.test_guard import wait_until


def quick_monitoring(project: Project) -> None:
    """Have run monitoring look every second, with short time limits."""
    change_settings(
        project,
        "run_monitoring",
        poll_interval_seconds=1,
        start_timeout_seconds=60,
        cancel_timeout_seconds=20,
    )


def processes(project: Project) -> list[int]:
    """Everything that still runs of a project, of whatever session: its environment says so."""
    mark = f"GR00T_ASSETS_ROOT={project.root}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def power_cut(project: Project) -> None:
    """Kill all of it at once, and see that nothing is left."""
    for _ in range(100):
        found = processes(project)
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not found:
            return
        wait_until(lambda: not processes(project), 0.2)
    raise AssertionError(processes(project))


@contextmanager
def powered(project: Project, module: str) -> Iterator[Page]:
    """Page, daemon and code server; when the block ends nothing of the project runs any more."""
    with dagster_dev(project, module) as page:
        try:
            yield page
        finally:
            power_cut(project)


def runs(project: Project, **filters: Any) -> list[dg.DagsterRun]:
    """Runs of the project's instance, the newest first."""
    with project.instance() as instance:
        return list(instance.get_runs(filters=dg.RunsFilter(**filters)))


def statuses(project: Project, tags: Mapping[str, str] | None = None) -> list[str]:
    """The status of each run, the oldest first."""
    return [run.status.value for run in reversed(runs(project, tags=dict(tags or {})))]
