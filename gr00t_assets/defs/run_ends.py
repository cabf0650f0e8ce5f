"""Why a run failed, as the events of the run tell it."""

from typing import NamedTuple

import dagster as dg
from dagster._core.events import JobFailureData, RunFailureReason

from gr00t_assets.defs.training_runs import by_a_server
from gr00t_assets.runs.ends import End, end_of_training

_BROKEN = {RunFailureReason.JOB_INITIALIZATION_FAILURE}


class RunEnd(NamedTuple):
    """How a run ended, and what was said of it in one line."""

    end: End
    words: str


def end_of_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> RunEnd:
    """Why a run of status FAILURE failed.

    A run whose worker, code server or machine was killed has no failed step. One that was
    interrupted without anybody having asked on the page died as well, unless it belonged to a
    terminal, where Ctrl-C is somebody's wish.
    """
    steps = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    ends = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    last = ends[-1].dagster_event if ends else None
    said = last.message if last is not None and last.message else "it ended without a word"
    data = last.event_specific_data if last is not None else None
    reason = data.failure_reason if isinstance(data, JobFailureData) else None
    if reason in _BROKEN:
        return RunEnd("repeats", _line(said))
    if reason == RunFailureReason.UNEXPECTED_TERMINATION:
        asked = not by_a_server(run)
        return RunEnd("repeats" if asked else "crash", "it was interrupted")
    if not steps:
        return RunEnd("crash", _line(said))
    found = [_step_end(event.dagster_event) for event in steps if event.dagster_event]
    order: tuple[End, ...] = ("repeats", "full disk", "crash")
    return min(found, key=lambda each: order.index(each.end))


def _step_end(event: dg.DagsterEvent) -> RunEnd:
    data = event.step_failure_data
    shown = data.user_failure_data
    message = shown.description or "" if shown else ""
    facts = {name: value.value for name, value in shown.metadata.items()} if shown else {}
    message = message or (data.error.message if data.error else "")
    cause = data.error_source
    end = end_of_training(message, facts)
    if cause is not None and cause.value == "INTERRUPT":
        end = "crash"
    return RunEnd(end, _line(message))


def _line(text: str) -> str:
    return (text.strip().splitlines() or ["it ended without a word"])[0]
