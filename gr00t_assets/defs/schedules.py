"""Jobs by name, a schedule for each sweep with a cron expression, and further rounds of seeds."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg

from gr00t_assets.core.errors import Gr00tAssetsError, SweepError
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import counted
from gr00t_assets.defs import training_runs
from gr00t_assets.defs.assets.analysis import loss_comparison, research_journal
from gr00t_assets.defs.assets.data import dataset, frame_cache, modality_config
from gr00t_assets.defs.assets.evaluation import open_loop_evaluation, rollouts
from gr00t_assets.defs.assets.training import checkpoint
from gr00t_assets.defs.partitions import SWEEPS, loaded_requests
from gr00t_assets.defs.queue import GPU
from gr00t_assets.defs.resources import StoreResource
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.project_files import read_project
from gr00t_assets.experiments.sweeps import AskedRound, Sweep, load_rounds, save_round
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.pruning import HOW_TO_CONTINUE
from gr00t_assets.runs.retry import is_complete
from gr00t_assets.runs.run_directory import training_process
from gr00t_assets.runs.spec import current_config_hash
from gr00t_assets.runs.stored_run import read_runs

sweep_job = dg.define_asset_job(
    training_runs.SWEEP_JOB,
    [checkpoint],
    description="Checkpoints and their checks, by experiment; the data must be there.",
    tags={GPU: "true"},
)

jobs = [
    dg.define_asset_job(
        "prepare_data",
        [dataset, modality_config, frame_cache],
        description="Datasets, their modality configs and frame caches, by dataset.",
    ),
    sweep_job,
    dg.define_asset_job(
        training_runs.EVALUATION_JOB,
        [open_loop_evaluation, rollouts],
        description="Open-loop evaluation and rollouts of what was trained, by experiment.",
        tags={GPU: "true"},
    ),
    dg.define_asset_job(
        "analysis",
        [loss_comparison, research_journal],
        description="The comparison of every experiment and the journal, with whatever was "
        "trained.",
    ),
]

TRAINED = "it is trained"
GOES_ON_FROM = "it goes on from"
PRUNED = f"it was pruned; {HOW_TO_CONTINUE}"

_LISTED_NAMES = 20


def schedule_name(sweep: str) -> str:
    """The name of a sweep's schedule; Dagster allows letters, digits and underscores.

    Examples:
        >>> schedule_name("demo")
        'sweep_demo'
    """
    plain = re.sub(r"[^A-Za-z0-9_]", "_", sweep)
    ending = "" if plain == sweep else "_" + hashlib.sha256(sweep.encode()).hexdigest()[:6]
    return f"sweep_{plain}{ending}"


def training_requests(
    experiments: Sequence[Experiment], store: Store, instance: dg.DagsterInstance
) -> tuple[list[dg.RunRequest], dict[str, str]]:
    """What of some experiments has to be trained now, and why the rest has not.

    Missing is what has no finished run of its present configuration. What waits or trains already
    is left alone, and so is what failed: the sensor asks again for a run that died, and one that
    would fail again waits for a person, or for another configuration. A run that was cancelled, or
    that met a file with a fault which is mended by now, is asked for again.

    Returns:
        Requests, those of high priority first and else in the order given; and for every other
        experiment the reason.
    """
    busy = training_runs.unfinished(instance)
    requests: list[dg.RunRequest] = []
    reasons: dict[str, str] = {}
    for experiment in sorted(experiments, key=lambda experiment: -experiment.priority):
        name = experiment.name
        try:
            config_hash = current_config_hash(experiment, store)
            if reason := _reason(experiment, config_hash, busy, store, instance):
                reasons[name] = reason
            else:
                key = f"{name}:{config_hash}"
                requests.append(training_runs.request(experiment, config_hash, key))
        except Gr00tAssetsError as error:
            reasons[name] = error.explain()
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
    if is_complete(manifest, experiment):
        return TRAINED if manifest is None or manifest.status == "finished" else PRUNED
    if experiment.name in busy:
        return busy[experiment.name]
    if process := training_process(directory):
        return f"{process} trains it"
    if (source := experiment.continued()) is not None:
        source_hash = current_config_hash(source, store)
        before = load_manifest(store.run_directory(source.name, source_hash))
        if before is None or before.status != "finished":
            return f"{GOES_ON_FROM} {source.name}, which is not trained yet"
    run = training_runs.newest_run(instance, experiment.name)
    if run is None or run.status != dg.DagsterRunStatus.FAILURE:
        return None
    end, cause, _ = training_runs.end_of_run(instance, run)
    name = training_runs.short_name(run)
    if end == "broken file":
        return None
    if end != "repeats":
        again = "once there is room, " if end == "full disk" else ""
        return f"{name} died ({cause}); {again}resume_crashed_runs asks for it again"
    if run.tags.get(training_runs.CONFIG_HASH) != config_hash:
        return None
    return f"{name} failed ({cause}); mend that and launch it from the page"


def reason_lines(reasons: Mapping[str, str]) -> str:
    """Why experiments were not asked for, those with one reason together."""
    lines = []
    for reason in dict.fromkeys(reasons.values()):
        names = [name for name, of_name in reasons.items() if of_name == reason]
        more = f" and {len(names) - _LISTED_NAMES} more" if len(names) > _LISTED_NAMES else ""
        lines.append(f"{', '.join(names[:_LISTED_NAMES])}{more}: {reason}")
    return "\n".join(lines)


def sweep_schedule(sweep: Sweep, cron: str) -> dg.ScheduleDefinition:
    """The schedule of a sweep, which a person switches on on the page.

    The sweep's file is read at each tick.
    """

    @dg.schedule(
        job=sweep_job,
        cron_schedule=cron,
        name=schedule_name(sweep.name),
        description=f"What is not yet trained of the sweep {sweep.name}. {sweep.description}",
        execution_timezone=sweep.time_zone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )
    def tick(
        context: dg.ScheduleEvaluationContext, store: StoreResource
    ) -> list[dg.RunRequest] | dg.SkipReason:
        try:
            present = read_project().sweeps[sweep.name]
        except SweepError as error:
            return dg.SkipReason(error.explain())
        requests = scheduled_requests(present, store, context)
        return loaded_requests(requests) if isinstance(requests, list) else requests

    return tick


def scheduled_requests(
    sweep: Sweep, store: Store, context: dg.ScheduleEvaluationContext
) -> list[dg.RunRequest] | dg.SkipReason:
    """Requests of one tick, or why there are none.

    Rounds that follow that of the file are the sensor's ``next_rounds``.
    """
    experiments = sweep.first_round.experiments
    requests, reasons = training_requests(experiments, store, context.instance)
    if set(reasons.values()) == {TRAINED} and not requests:
        return dg.SkipReason(f"every experiment of {sweep.name} is trained")
    if not requests:
        return dg.SkipReason(reason_lines(reasons))
    of = counted(len(experiments), "experiment")
    context.log.info(f"asked for: {len(requests)} of {of}")
    if reasons:
        context.log.info(reason_lines(reasons))
    return requests


schedules = [sweep_schedule(sweep, sweep.schedule) for sweep in SWEEPS.values() if sweep.schedule]


def round_requests(
    sweep: Sweep, store: Store, instance: dg.DagsterInstance
) -> tuple[list[dg.RunRequest], str]:
    """Requests for the runs of the present round that were never asked for, and what goes on.

    A round is written down before its runs are asked for. Where a tick dies between the two, the
    next one asks for them; for none twice, since Dagster takes a key once, and the key of a request
    has its experiment's configuration. A person or the sweep's schedule starts the first round.
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
    requests, _ = training_requests(sweep.experiments, store, instance)
    own = [request for request in requests if request.partition_key in rounds.names]
    return own, f"{sweep.name}: {step.words}"
