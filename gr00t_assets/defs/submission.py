"""Runs put into the queue from a shell, as Dagster's daemon puts those of a schedule."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

from gr00t_assets.core.errors import PageError
from gr00t_assets.core.project import project_root
from gr00t_assets.defs.dagster_internals import (
    PARTITION_TAG,
    WorkspaceFileTarget,
    WorkspaceProcessContext,
)
from gr00t_assets.defs.training_runs import SWEEP_JOB

_PAGES, _WORKSPACE = "page-*.yaml", "workspace.yaml"
"""What ``gr00t-assets dev`` says of its code server, and what a project is served from else."""


def submit(
    requests: Sequence[dg.RunRequest], instance: dg.DagsterInstance, tags: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Put requests of the job ``sweep`` into the queue, each with further tags.

    Yields:
        The experiment and the id of its run, once that is in the queue.

    Raises:
        PageError: The project's definitions cannot be loaded.
    """
    if not requests:
        return
    with _served_job(instance) as (workspace, location, job):
        plan = location.get_execution_plan(job, {}, step_keys_to_execute=None, known_state=None)
        graph = location.get_repository(job.repository_handle.repository_name).asset_graph
        for request in requests:
            assert request.partition_key is not None
            partition = {PARTITION_TAG: request.partition_key}
            run = instance.create_run(
                job_name=job.name,
                run_id=None,
                run_config={},
                status=dg.DagsterRunStatus.NOT_STARTED,
                tags={**job.run_tags, **request.tags, **partition, **tags},
                root_run_id=None,
                parent_run_id=None,
                step_keys_to_execute=None,
                execution_plan_snapshot=plan.execution_plan_snapshot,
                job_snapshot=job.job_snapshot,
                parent_job_snapshot=job.parent_job_snapshot,
                asset_selection=None,
                asset_check_selection=None,
                resolved_op_selection=job.resolved_op_selection,
                op_selection=job.op_selection,
                remote_job_origin=job.get_remote_origin(),
                job_code_origin=job.get_python_origin(),
                asset_graph=graph,
            )
            instance.submit_run(run.run_id, workspace)
            yield request.partition_key, run.run_id


@contextmanager
def _served_job(instance: dg.DagsterInstance) -> Iterator[tuple[Any, Any, Any]]:
    """The workspace, code location and job; the code server of a running page is asked first."""
    pages = Path(instance.root_directory).glob(_PAGES)
    newest = sorted(pages, key=lambda file: file.stat().st_mtime, reverse=True)
    problems: list[str] = []
    for file in (*newest, project_root() / _WORKSPACE):
        if not file.is_file():
            problems.append(f"there is no {file}")
            continue
        target = WorkspaceFileTarget([str(file)])
        with WorkspaceProcessContext(instance, target, code_server_log_level="warning") as context:
            workspace = context.create_request_context()
            for location in workspace.code_locations:
                for repository in location.get_repositories().values():
                    if repository.has_job(SWEEP_JOB):
                        yield workspace, location, repository.get_full_job(SWEEP_JOB)
                        return
            problems += [error.message.strip() for error in workspace.code_location_errors()]
    problem = f"the project's definitions cannot be loaded, or have no job {SWEEP_JOB}."
    raise PageError(_WORKSPACE, problem, problems)
