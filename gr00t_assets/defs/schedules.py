"""A schedule for each sweep that has a cron expression: it requests what is not yet trained."""

import hashlib
import re
from collections.abc import Mapping

import dagster as dg

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.project import Store
from gr00t_assets.defs.jobs import sweep as sweep_job
from gr00t_assets.defs.partitions import SWEEPS
from gr00t_assets.defs.resources import StoreResource
from gr00t_assets.defs.run_ends import end_of_run
from gr00t_assets.defs.training_runs import CONFIG_HASH, in_words, newest_run, request, unfinished
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.runs.ends import trained_by
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.pruned import HOW_TO_GO_ON, over
from gr00t_assets.runs.spec import current_config_hash

TRAINED = "it is trained"
PRUNED = f"it was pruned; {HOW_TO_GO_ON}"

_SHOWN = 20


def schedule_name(sweep: str) -> str:
    """The name of a sweep's schedule; Dagster allows letters, digits and underscores.

    Example:
        >>> schedule_name("demo")
        'sweep_demo'
    """
    plain = re.sub(r"[^A-Za-z0-9_]", "_", sweep)
    ending = "" if plain == sweep else "_" + hashlib.sha256(sweep.encode()).hexdigest()[:6]
    return f"sweep_{plain}{ending}"


def sweep_requests(
    sweep: Sweep, store: Store, instance: dg.DagsterInstance
) -> tuple[list[dg.RunRequest], dict[str, str]]:
    """What of a sweep has to be trained now, and why the rest has not.

    Missing is what has no finished run of its present configuration. What waits or trains already
    is left alone, whoever asked for it, and so is what failed: a run that died is the sensor's to
    ask for again, and one that failed for a reason that would come back waits for a person, or for
    another configuration. A run that was cancelled is asked for again.

    Returns:
        Requests, those of high priority first and else in the order of the file; and for every
        other experiment the reason.
    """
    busy = unfinished(instance)
    requests: list[dg.RunRequest] = []
    reasons: dict[str, str] = {}
    for experiment in sorted(sweep.experiments, key=lambda each: -each.priority):
        try:
            config_hash = current_config_hash(experiment, store)
            reason = _reason(experiment, config_hash, busy, store, instance)
        except Gr00tAssetsError as error:
            reasons[experiment.name] = error.explain()
            continue
        if reason is None:
            requests.append(request(experiment, config_hash, f"{experiment.name}:{config_hash}"))
        else:
            reasons[experiment.name] = reason
    return requests, reasons


def _reason(
    experiment: Experiment,
    config_hash: str,
    busy: Mapping[str, str],
    store: Store,
    instance: dg.DagsterInstance,
) -> str | None:
    """Why an experiment is not asked for; ``None`` where it is."""
    directory = store.run_directory(experiment.name, config_hash)
    manifest = load_manifest(directory)
    if over(manifest, experiment):
        return TRAINED if manifest is None or manifest.status == "finished" else PRUNED
    if experiment.name in busy:
        return busy[experiment.name]
    if process := trained_by(directory):
        return f"{process} trains it"
    if waits := _source(experiment, store):
        return waits
    run = newest_run(instance, experiment.name)
    if run is None or run.status != dg.DagsterRunStatus.FAILURE:
        return None
    end, words = end_of_run(instance, run)
    if end != "repeats":
        again = "once there is room, " if end == "full disk" else ""
        return f"{in_words(run)} died ({words}); {again}resume_crashed_runs asks for it again"
    if run.tags.get(CONFIG_HASH) != config_hash:
        return None
    return f"{in_words(run)} failed ({words}); mend that and launch it from the page"


def _source(experiment: Experiment, store: Store) -> str | None:
    """The experiment that this one goes on from, where it is not finished."""
    source = experiment.continued()
    if source is None:
        return None
    directory = store.run_directory(source.name, current_config_hash(source, store))
    manifest = load_manifest(directory)
    finished = manifest is not None and manifest.status == "finished"
    return None if finished else f"it goes on from {source.name}, which is not trained yet"


def in_lines(reasons: Mapping[str, str]) -> str:
    """Why experiments were not asked for, those with one reason together."""
    alike: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        alike.setdefault(reason, []).append(name)
    lines = []
    for reason, names in alike.items():
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        lines.append(f"{', '.join(names[:_SHOWN])}{more}: {reason}")
    return "\n".join(lines)


def sweep_schedule(sweep: Sweep, cron: str) -> dg.ScheduleDefinition:
    """The schedule of a sweep, which a person switches on on the page; times are UTC."""

    @dg.schedule(
        job=sweep_job,
        cron_schedule=cron,
        name=schedule_name(sweep.name),
        description=f"What is not yet trained of the sweep {sweep.name}. {sweep.description}",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )
    def tick(
        context: dg.ScheduleEvaluationContext, store: StoreResource
    ) -> list[dg.RunRequest] | dg.SkipReason:
        requests, reasons = sweep_requests(sweep, store, context.instance)
        if set(reasons.values()) == {TRAINED} and not requests:
            return dg.SkipReason(f"every experiment of {sweep.name} is trained")
        if not requests:
            return dg.SkipReason(in_lines(reasons))
        context.log.info(f"{len(requests)} of {len(sweep.experiments)} experiments are asked for")
        if reasons:
            context.log.info(in_lines(reasons))
        return requests

    return tick


schedules = [sweep_schedule(sweep, sweep.schedule) for sweep in SWEEPS.values() if sweep.schedule]
