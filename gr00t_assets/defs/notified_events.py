"""What people are told of: failed and stalled trainings, finished sweeps, the morning's summary.

Every event is read anew from the instance and the store at each tick. Its key and its time stay the
same, so that the sensor can tell what was told already.
"""

import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property, partial
from typing import NamedTuple

import dagster as dg

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.project import Kind, Store
from gr00t_assets.defs import training_runs
from gr00t_assets.defs.sweep_runs import ExperimentState, SweepRuns
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.runs.manifest import MANIFEST, load_manifest
from gr00t_assets.runs.stored_run import read_runs

_MOST_NAMES = 20


class Message(NamedTuple):
    """What is sent: a title and the lines below it."""

    title: str
    lines: list[str]


class Event(NamedTuple):
    """One thing to tell; ``when`` it was, seconds since 1970, or infinite where it still is.

    ``message`` is written once, however many are told.
    """

    kind: Kind
    key: str
    when: float
    sweep: str
    message: Callable[[], Message]


@dataclass(frozen=True)
class Lab:
    """What events are read from: sweeps by name, the store, the instance, the page's address."""

    sweeps: Mapping[str, Sweep]
    store: Store
    instance: dg.DagsterInstance
    page: str | None = None

    @cached_property
    def sweep_of(self) -> dict[str, str]:
        """The sweep of each experiment, by name."""
        own = self.sweeps.values()
        return {item.name: sweep.name for sweep in own for item in sweep.experiments}

    def events(self, since: float) -> Iterator[Event]:
        """What failed or finished after ``since``, and what stands still now."""
        failed = self._failed(since)
        for name, record in failed:
            run = record.dagster_run
            sweep = self.sweep_of.get(name, run.tags.get(training_runs.SWEEP, ""))
            message = cache(partial(self._failure, name, run))
            yield Event("failed", run.run_id, _end(record), sweep, message)
        unfinished = training_runs.unfinished_runs(self.instance)
        for state in self._training(unfinished):
            if state.progress and state.progress.is_stalled():
                key, message = f"{state.run_id}:{state.progress.step}", partial(self._stall, state)
                sweep = self.sweep_of[state.experiment]
                yield Event("stalled", key, math.inf, sweep, cache(message))
        for sweep in self.sweeps.values():
            names = {item.name for item in sweep.experiments}
            ends = [_end(record) for name, record in failed if name in names]
            ends += self._trained(names, since).values()
            if ends and self._is_over(sweep, unfinished):
                key, message = f"{sweep.name}:{max(ends):.3f}", partial(self._result, sweep)
                yield Event("finished", key, max(ends), sweep.name, cache(message))

    def summary(self, since: float, takes: Callable[[str], bool]) -> Message | None:
        """What happened after ``since`` in the sweeps that ``takes`` says.

        ``None`` where nothing finished, failed or trains.
        """
        from gr00t_assets.reporting.report import sweep_message

        names = {name for name, sweep in self.sweep_of.items() if takes(sweep)}
        trained = self._trained(names, since)
        failed = {
            name: f"{name}: {training_runs.end_of_run(self.instance, record.dagster_run).reason}"
            for name, record in self._failed(since)
            if name in names - trained.keys()
        }
        every = training_runs.unfinished_runs(self.instance)
        unfinished = {name: run for name, run in every.items() if name in names}
        running = {state.experiment: _running(state) for state in self._training(unfinished)}
        waiting = [name for name in unfinished if name not in running]
        if not (trained or failed or running):
            return None
        lines = [
            f"Sweep {name}, {self._counts(self.sweeps[name])}: "
            + " ".join(sweep_message(self.sweeps[name], self.store, 0))
            for name in sorted({self.sweep_of[x] for x in [*trained, *failed, *running, *waiting]})
        ]
        counts = []
        for heading, words in (
            ("finished", list(trained)),
            ("failed", list(failed.values())),
            ("run", list(running.values())),
            ("wait", waiting),
        ):
            counts.append(f"{len(words)} {heading}")
            more = [f"and {len(words) - _MOST_NAMES} more"] * (len(words) > _MOST_NAMES)
            lines += ["", f"{counts[-1]}:", *words[:_MOST_NAMES], *more] if words else []
        return Message(", ".join(counts), [*lines, *self._link("runs")])

    def _failed(self, since: float) -> list[tuple[str, dg.RunRecord]]:
        """Experiments whose training failed after a moment, with its run; the oldest first."""
        after = datetime.fromtimestamp(since, UTC)
        filters = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=after)
        return [
            (name, record)
            for record in reversed(self.instance.get_run_records(filters=filters))
            if (name := training_runs.experiment_of(record.dagster_run)) and _end(record) > since
        ]

    def _trained(self, names: Collection[str], since: float) -> dict[str, float]:
        """Of those whose training finished after a moment, when it did."""
        ends: dict[str, float] = {}
        for name in names:
            for file in (self.store.root / "runs" / name).glob(f"[!.]*/{MANIFEST}"):
                with suppress(Gr00tAssetsError, OSError):
                    manifest = load_manifest(file.parent) if file.stat().st_mtime > since else None
                    if manifest is None or manifest.status not in ("finished", "pruned"):
                        continue
                    end = datetime.fromisoformat(manifest.finished_at).timestamp()
                    ends |= {name: end} if end > since else {}
        return ends

    def _training(self, runs: Mapping[str, dg.DagsterRun]) -> list[ExperimentState]:
        """Of runs by experiment those that train, and not those that wait for a slot or a node."""
        started = [x for x, run in runs.items() if run.status == dg.DagsterRunStatus.STARTED]
        return [state for state in self._states(started) if state.state == "training"]

    def _states(self, names: Collection[str]) -> list[ExperimentState]:
        every = (item for sweep in self.sweeps.values() for item in sweep.experiments)
        own = (item for item in every if item.name in names)
        return SweepRuns(own, self.store, self.instance).states()

    def _is_over(self, sweep: Sweep, unfinished: Collection[str]) -> bool:
        """Whether all of it is trained or failed for good, and it asks for no further round."""
        from gr00t_assets.comparison.all_runs import from_store
        from gr00t_assets.planning.sweep_plan import next_step

        names = {item.name for item in sweep.experiments}
        folder = self.store.root / "runs"
        if any(not any((folder / name).glob(f"*/{MANIFEST}")) for name in names & set(unfinished)):
            return False
        if not all(x.is_trained or (x.is_over and x.run_id) for x in self._states(names)):
            return False
        stored = read_runs(sweep.experiments, self.store, curves=False) if sweep.until else []
        step = next_step(sweep, from_store(stored))
        return step is None or step.words.startswith("stopped")

    def _failure(self, name: str, run: dg.DagsterRun) -> Message:
        sweep = self.sweeps.get(self.sweep_of.get(name, ""))
        limit = sweep.max_retries if sweep else 0
        number = int(run.tags.get(training_runs.RETRY_NUMBER, 0))
        end, reason, details = training_runs.end_of_run(self.instance, run)
        details = details or ("mend that, and launch it on the page",)
        if end == "full disk":
            details = ("gr00t-assets store prune; it goes on by itself once there is room",)
        elif end == "crash" and number < limit:
            details = (f"nothing to do, it is asked for again: retry {number + 1} of {limit}",)
        elif end == "crash":
            details = (f"it died {number + 1} times; mend that, and launch it on the page",)
        lines = [reason, *(f"- {line}" for line in details), *self._link(f"runs/{run.run_id}")]
        return Message(f"{name} failed", lines)

    def _stall(self, state: ExperimentState) -> Message:
        progress = state.progress
        assert progress is not None and progress.last_step_at is not None
        lines = [
            f"no step for {(time.time() - progress.last_step_at) / 60:.0f} min, usual are "
            f"{progress.usual_seconds:.2g} s, on {progress.node or progress.engine}",
            "- look at its log; cancelled and launched again it goes on from its last checkpoint",
            *self._link(f"runs/{state.run_id}"),
        ]
        step = f"step {progress.step} of {progress.steps}"
        return Message(f"{state.experiment} stands still at {step}", lines)

    def _result(self, sweep: Sweep) -> Message:
        from gr00t_assets.reporting.report import sweep_message

        lines = [*sweep_message(sweep, self.store), *self._link("assets/loss_comparison")]
        return Message(f"sweep {sweep.name} is over, {self._counts(sweep)}", lines)

    def _counts(self, sweep: Sweep) -> str:
        from gr00t_assets.reporting.summaries import status_counts

        return status_counts(
            "not asked for" if item.state == "failed" and not item.run_id else item.state
            for item in self._states([experiment.name for experiment in sweep.experiments])
        )

    def _link(self, path: str) -> list[str]:
        return [f"{self.page.rstrip('/')}/{path}"] if self.page else []


def _running(state: ExperimentState) -> str:
    progress = state.progress
    if progress is None:
        return state.experiment
    left = f", {progress.eta_seconds / 3600:.1f} h left" if progress.eta_seconds else ""
    return f"{state.experiment}: step {progress.step} of {progress.steps}{left}"


def _end(record: dg.RunRecord) -> float:
    return record.end_time or record.update_timestamp.timestamp()
