"""Runs of a sweep that are asked for from a shell, and what becomes of each."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import dagster as dg
from pydantic import Field

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.files import FrozenModel
from gr00t_assets.core.project import Store
from gr00t_assets.defs.schedules import GOES_ON_FROM, sweep_requests
from gr00t_assets.defs.submission import submit
from gr00t_assets.defs.training_runs import (
    ENGINE,
    RunEnd,
    end_of_run,
    newest_run,
    short_name,
    unfinished_runs,
)
from gr00t_assets.experiments.engine_file import LOCAL
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.gpu.wait_queue import waiting
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.progress import Progress, read_progress
from gr00t_assets.runs.retry import is_complete
from gr00t_assets.runs.run_directory import training_process
from gr00t_assets.runs.spec import current_config_hash

ASKED_AGAIN_WITHIN = 180.0
"""Seconds in which the sensor asks again for a run that died; then it is taken for failed."""

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
    """The runs of a sweep's file; those of later rounds the sensor ``next_rounds`` asks for.

    Attributes:
        sweep: With the experiments of its file.
        asked: Run ids by experiment, of those that were asked for here.
        reasons: Why the others were not, by experiment.

    Args:
        sweep: Any sweep of the project.
        store: Where its runs are.
        instance: Whose queue they are put into.
        engine: To train on, in place of that of each experiment.
    """

    def __init__(
        self, sweep: Sweep, store: Store, instance: dg.DagsterInstance, engine: str | None = None
    ) -> None:
        self.sweep = sweep.first_round
        self.asked: dict[str, str] = {}
        self.reasons: dict[str, str] = {}
        self._store, self._instance, self._engine = store, instance, engine
        self._directories: dict[str, Path] = {}
        self._trained: dict[str, ExperimentState] = {}
        self._ends: dict[str, RunEnd] = {}

    def ask(
        self,
        experiments: Sequence[Experiment] | None = None,
        before: Callable[[list[Experiment]], object] | None = None,
    ) -> None:
        """Ask for what is missing, as the sweep's schedule does.

        Args:
            experiments: Of these alone; of all where left out.
            before: Is called with those that are to be asked for.

        Raises:
            PageError: The project's definitions cannot be loaded.
        """
        own = self.sweep.experiments if experiments is None else tuple(experiments)
        by_name = {experiment.name: experiment for experiment in own}
        chosen = replace(self.sweep, experiments=own)
        requests, reasons = sweep_requests(chosen, self._store, self._instance)
        self.reasons |= reasons
        if requests and before is not None:
            before([by_name[str(request.partition_key)] for request in requests])
        tags = {ENGINE: self._engine} if self._engine else {}
        for name, run_id in submit(requests, self._instance, tags):
            self.asked[name] = run_id
            self.reasons.pop(name, None)

    def states(self) -> list[ExperimentState]:
        """What has become of each; one that goes on from another is asked for when that is trained.

        In the order of the file.
        """
        runs = unfinished_runs(self._instance)
        slots = {waiter.run_id for waiter in waiting(self._store)}
        own = {item.name: item for item in self.sweep.experiments}
        states = {name: self._state(own[name], runs.get(name), slots) for name in own}
        again = []
        for experiment in sorted(own.values(), key=lambda item: len(item.continued_steps)):
            source = experiment.continued()
            if source is None or states[experiment.name].state != "waiting":
                continue
            before = states.get(source.name)
            if not self.reasons.get(experiment.name, "").startswith(GOES_ON_FROM):
                continue
            if before is None or before.state == "failed":
                reason = self.reasons[experiment.name]
                states[experiment.name] = _failed(experiment.name, reason)
            elif before.is_trained:
                again.append(experiment)
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
            return _failed(name, error.headline)
        progress = read_progress(directory)
        if manifest is not None and is_complete(manifest, experiment):
            state: State = "finished" if manifest.status == "finished" else "pruned"
            found = ExperimentState(experiment=name, state=state, progress=progress)
            self._trained[name] = found
            return found
        if run is not None:
            return _of_run(name, run, progress, run.run_id in slots)
        if process := training_process(directory):
            reason = f"{process} trains it"
            return ExperimentState(
                experiment=name, state="training", reason=reason, progress=progress
            )
        return self._ended(name, progress)

    def _ended(self, name: str, progress: Progress | None) -> ExperimentState:
        """Of one without a run that is at work."""
        reason = self.reasons.get(name)
        if reason is not None and reason.startswith(GOES_ON_FROM):
            return ExperimentState(experiment=name, state="waiting", reason=reason)
        run = newest_run(self._instance, name)
        if run is None:
            return _failed(name, reason or "it was not asked for")
        if not run.is_finished:
            return _of_run(name, run, progress, waits=False)
        if run.status == dg.DagsterRunStatus.CANCELED:
            return _failed(name, f"{short_name(run)} was cancelled", progress, run.run_id)
        if run.status == dg.DagsterRunStatus.SUCCESS:
            text = f"{short_name(run)} trained another configuration; ask for the sweep again"
            return _failed(name, text, progress, run.run_id)
        if run.run_id not in self._ends:
            self._ends[run.run_id] = end_of_run(self._instance, run)
        end, cause = self._ends[run.run_id]
        record = self._instance.get_run_record_by_id(run.run_id)
        ended = record.end_time if record is not None and record.end_time else 0.0
        if end == "repeats" or time.time() - ended > ASKED_AGAIN_WITHIN:
            return _failed(name, f"{short_name(run)}: {cause}", progress, run.run_id)
        reason = f"{short_name(run)} died ({cause}) and is asked for again"
        return ExperimentState(
            experiment=name, state="waiting", reason=reason, run_id=run.run_id, progress=progress
        )


def _failed(
    name: str, reason: str, progress: Progress | None = None, run_id: str | None = None
) -> ExperimentState:
    return ExperimentState(
        experiment=name, state="failed", reason=reason, run_id=run_id, progress=progress
    )


def _of_run(
    name: str, run: dg.DagsterRun, progress: Progress | None, waits: bool
) -> ExperimentState:
    """Of one whose run is not over."""
    state, reason = _BEFORE_TRAINING.get(run.status, "training"), None
    if run.status == dg.DagsterRunStatus.CANCELING:
        state, reason = "waiting", "it is being cancelled"
    elif waits:
        state, reason = "waiting", "it waits for a slot"
    elif state == "training" and progress and progress.engine != LOCAL and progress.node is None:
        state, reason = "waiting", f"it waits in the queue of {progress.engine}"
    return ExperimentState(
        experiment=name, state=state, reason=reason, run_id=run.run_id, progress=progress
    )
