"""The sensor that asks for the next round of a sweep with ``until`` when one has finished."""

from datetime import UTC, datetime

import dagster as dg

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.project import Store
from gr00t_assets.defs.partitions import loaded_requests
from gr00t_assets.defs.resources import StoreResource
from gr00t_assets.defs.schedules import sweep_job, sweep_requests
from gr00t_assets.experiments.project_files import read_project
from gr00t_assets.experiments.sweep_rounds import AskedRound, load_rounds, save_round
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.runs.stored_run import read_runs

_INTERVAL_SECONDS = 30


def round_requests(
    sweep: Sweep, store: Store, instance: dg.DagsterInstance
) -> tuple[list[dg.RunRequest], str]:
    """Requests for the runs of the present round that were never asked for, and what goes on.

    A round is written down before its runs are asked for. Where a tick dies between the two, the
    next one asks for them; for none twice, since a request has the name and configuration of its
    experiment for a key, and Dagster takes one key once. The first round, of the sweep's file, is
    for a person or the sweep's schedule to start.
    """
    from gr00t_assets.comparison.all_runs import from_store
    from gr00t_assets.planning.sweep_plan import next_step

    rounds = load_rounds(sweep.name, store)
    sweep = sweep.with_rounds(rounds)
    step = next_step(sweep, from_store(read_runs(sweep.experiments, store, curves=False)))
    assert step is not None
    if step.experiments and step.proposal is not None:
        asked = AskedRound(
            asked_at=datetime.now(UTC).isoformat(timespec="seconds"),
            experiments=tuple(item.name for item in step.experiments),
            chance=step.proposal.chance,
            hours=step.hours,
            reason=step.proposal.reason,
        )
        rounds = save_round(sweep.name, store, asked)
        sweep = sweep.with_rounds(rounds)
    requests, _ = sweep_requests(sweep, store, instance)
    own = [request for request in requests if request.partition_key in rounds.names]
    return own, f"{sweep.name}: {step.words}"


@dg.sensor(
    job=sweep_job,
    minimum_interval_seconds=_INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Asks for the next round of seeds of a sweep with 'until' when all before have finished, "
        "until its question is settled or its hours are spent."
    ),
)
def next_rounds(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult:
    """One tick; see ``round_requests``."""
    requests, lines = [], []
    for sweep in read_project().sweeps.values():
        if sweep.until is not None:
            try:
                asked, line = round_requests(sweep, store, context.instance)
            except Gr00tAssetsError as error:
                asked, line = [], error.explain()
            requests += asked
            lines.append(line)
    requests = loaded_requests(requests)
    text = "\n".join(lines) or "no sweep has 'until'"
    if requests:
        context.log.info(text)
    return dg.SensorResult(requests, skip_reason=None if requests else dg.SkipReason(text))
