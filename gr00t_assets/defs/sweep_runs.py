"""Runs of a sweep that are asked for from a shell, and what becomes of each.

They are put into the queue as Dagster's daemon puts those of a schedule.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import dagster as dg
from pydantic import Field

from gr00t_assets.core.errors import Gr00tAssetsError, PageError
from gr00t_assets.core.files import FrozenModel
from gr00t_assets.core.project import Store, project_root
from gr00t_assets.defs import training_runs
from gr00t_assets.defs.schedules import GOES_ON_FROM, training_requests
from gr00t_assets.experiments.engine_file import LOCAL
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.gpu.wait_queue import waiting
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.progress import Progress, read_progress
from gr00t_assets.runs.retry import is_complete
from gr00t_assets.runs.run_directory import training_process
from gr00t_assets.runs.spec import current_config_hash

ASKED_AGAIN_WITHIN = 180.0
"""Seconds in which the sensor asks again for a run that died; then it is taken for failed."""

_PAGES, _WORKSPACE = "page-*.yaml", "workspace.yaml"
"""What ``gr00t-assets dev`` says of its code server, and what a project is served from else."""

State = Literal["queued", "starting", "waiting", "training", "finished", "pruned", "failed"]

_BEFORE_TRAINING: dict[dg.DagsterRunStatus, State] = {
    dg.DagsterRunStatus.QUEUED: "queued",
    dg.DagsterRunStatus.NOT_STARTED: "queued",
    dg.DagsterRunStatus.STARTING: "starting",
}


class ExperimentState(FrozenModel):
    """What has become of an experiment."""

    experiment: str
    state: State
    reason: str | None = Field(default=None, description="Why it waits, or has failed")
    run_id: str | None = None
    progress: Progress | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it by itself."""
        return self.is_trained or self.state == "failed"

    @property
    def is_trained(self) -> bool:
        """Whether nothing is left to train."""
        return self.state in ("finished", "pruned")


class SweepRuns:
    """The runs of some experiments, such as those of a sweep's file.

    Attributes:
        experiments: By name, in their order.
        asked: Run ids by experiment, of those that were asked for here, on ``engine`` in place of
            that of each experiment.
        reasons: Why the others were not, by experiment.
    """

    def __init__(
        self,
        experiments: Iterable[Experiment],
        store: Store,
        instance: dg.DagsterInstance,
        engine: str | None = None,
    ) -> None:
        self.experiments = {experiment.name: experiment for experiment in experiments}
        self.asked: dict[str, str] = {}
        self.reasons: dict[str, str] = {}
        self._store, self._instance, self._engine = store, instance, engine
        self._directories: dict[str, Path] = {}
        self._trained: dict[str, ExperimentState] = {}
        self._ends: dict[str, training_runs.RunEnd] = {}

    def ask(
        self,
        names: Collection[str] | None = None,
        before: Callable[[list[Experiment]], object] | None = None,
    ) -> None:
        """Ask for what is missing of those of some names, of all by default, as the schedule does.

        ``before`` is called with those that are to be asked for.

        Raises:
            PageError: The project's definitions cannot be loaded.
        """
        own = [self.experiments[name] for name in (self.experiments if names is None else names)]
        requests, reasons = training_requests(own, self._store, self._instance)
        self.reasons |= reasons
        if requests and before is not None:
            before([self.experiments[str(request.partition_key)] for request in requests])
        tags = {training_runs.ENGINE: self._engine} if self._engine else {}
        for name, run_id in _submit(requests, self._instance, tags):
            self.asked[name] = run_id
            self.reasons.pop(name, None)

    def states(self) -> list[ExperimentState]:
        """What has become of each; one that goes on from another is asked for when that is trained.

        In the order of the file.
        """
        runs = training_runs.unfinished_runs(self._instance)
        slots = {waiter.run_id for waiter in waiting(self._store)}
        own = self.experiments.values()
        states = {item.name: self._state(item, runs.get(item.name), slots) for item in own}
        again = []
        for experiment in sorted(own, key=lambda item: len(item.continued_steps)):
            name, source = experiment.name, experiment.continued()
            reason = self.reasons.get(name, "")
            is_waiting = states[name].state == "waiting" and reason.startswith(GOES_ON_FROM)
            if source is None or not is_waiting:
                continue
            before = states.get(source.name)
            if before is None or before.state == "failed":
                states[name] = ExperimentState(experiment=name, state="failed", reason=reason)
            elif before.is_trained:
                again.append(name)
        if again:
            self.ask(again)
        return list(states.values())

    def _state(
        self, experiment: Experiment, run: dg.DagsterRun | None, slots: Iterable[str | None]
    ) -> ExperimentState:
        name = experiment.name
        if name in self._trained:
            return self._trained[name]
        try:
            if name not in self._directories:
                config_hash = current_config_hash(experiment, self._store)
                self._directories[name] = self._store.run_directory(name, config_hash)
            directory = self._directories[name]
            manifest = load_manifest(directory)
        except Gr00tAssetsError as error:
            return ExperimentState(experiment=name, state="failed", reason=error.headline)
        progress = read_progress(directory)
        if manifest is not None and is_complete(manifest, experiment):
            state = "finished" if manifest.status == "finished" else "pruned"
            self._trained[name] = ExperimentState(experiment=name, state=state, progress=progress)
            return self._trained[name]
        reason = self.reasons.get(name)
        if run is None and (process := training_process(directory)):
            state, reason = "training", f"{process} trains it"
        elif run is None and reason is not None and reason.startswith(GOES_ON_FROM):
            state = "waiting"
        elif (run := run or training_runs.newest_run(self._instance, name)) is None:
            state, reason = "failed", reason or "it was not asked for"
        elif run.is_finished:
            state, reason = self._ended(run)
        else:
            state, reason = _of_run(run, progress, run.run_id in slots)
        run_id = run.run_id if run else None
        return ExperimentState(
            experiment=name, state=state, reason=reason, run_id=run_id, progress=progress
        )

    def _ended(self, run: dg.DagsterRun) -> tuple[State, str]:
        """Of one whose newest run is over and has not trained its present configuration."""
        text = training_runs.short_name(run)
        if run.status == dg.DagsterRunStatus.CANCELED:
            return "failed", f"{text} was cancelled"
        if run.status == dg.DagsterRunStatus.SUCCESS:
            return "failed", f"{text} trained another configuration; ask for the sweep again"
        if run.run_id not in self._ends:
            self._ends[run.run_id] = training_runs.end_of_run(self._instance, run)
        end, cause, _ = self._ends[run.run_id]
        record = self._instance.get_run_record_by_id(run.run_id)
        ended = record.end_time if record is not None and record.end_time else 0.0
        if end == "repeats" or time.time() - ended > ASKED_AGAIN_WITHIN:
            return "failed", f"{text}: {cause}"
        return "waiting", f"{text} died ({cause}) and is asked for again"


def _of_run(run: dg.DagsterRun, progress: Progress | None, waits: bool) -> tuple[State, str | None]:
    """Of one whose run is not over."""
    state = _BEFORE_TRAINING.get(run.status, "training")
    if run.status == dg.DagsterRunStatus.CANCELING:
        return "waiting", "it is being cancelled"
    if waits:
        return "waiting", "it waits for a slot"
    if state == "training" and progress and progress.engine != LOCAL and progress.node is None:
        return "waiting", f"it waits in the queue of {progress.engine}"
    return state, None


def _submit(
    requests: Sequence[dg.RunRequest], instance: dg.DagsterInstance, tags: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Put requests of the job ``sweep`` into the queue; each experiment and the id of its run."""
    if not requests:
        return
    with _served_job(instance) as (workspace, location, job):
        plan = location.get_execution_plan(job, {}, step_keys_to_execute=None, known_state=None)
        graph = location.get_repository(job.repository_handle.repository_name).asset_graph
        for request in requests:
            assert request.partition_key is not None
            partition = {training_runs.PARTITION_TAG: request.partition_key}
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
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget

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
                    if repository.has_job(training_runs.SWEEP_JOB):
                        yield workspace, location, repository.get_full_job(training_runs.SWEEP_JOB)
                        return
            problems += [error.message.strip() for error in workspace.code_location_errors()]
    problem = (
        f"the project's definitions cannot be loaded, or have no job {training_runs.SWEEP_JOB}."
    )
    raise PageError(_WORKSPACE, problem, problems)
