"""One way to start a trainer, wherever it runs."""

from collections.abc import Iterator
from contextlib import contextmanager

from gr00t_assets.core.errors import EngineError
from gr00t_assets.engines.job import JobRequest
from gr00t_assets.engines.job_record import unfinished_job
from gr00t_assets.engines.ray_engine import RayClient
from gr00t_assets.engines.remote_job import RemoteJob, remote_job
from gr00t_assets.engines.slurm import Slurm
from gr00t_assets.experiments.engine_file import (
    EngineSettings,
    LocalEngine,
    SlurmEngine,
    engine_of,
    usable_engines,
)
from gr00t_assets.gpu.guard import stop_grace
from gr00t_assets.gpu.slots import acquire, needed_memory
from gr00t_assets.runs.run_directory import LOG, wait_until_free
from gr00t_assets.trainers.nodes import require_nodes
from gr00t_assets.trainers.process_launcher import LaunchedProcess, launched

Job = LaunchedProcess | RemoteJob
"""A trainer that runs somewhere.

``where`` is for one line of a log: ``cuda:0``, ``Slurm job 17 on node3``; ``code`` the exit code,
128 + n for signal n, once it has ended and its block is left; ``failure`` what ended it where that
was not the trainer. ``ended_within`` waits for a moment and copies new output, ``stop`` cancels it.
"""

_AFTER_GRACE = 10.0


def engine_of_run(request: JobRequest) -> EngineSettings:
    """Where a run trains: where its last job may still be, else on its experiment's engine.

    Raises:
        EngineError: The engine is not declared, or declared wrong.
    """
    settings = engine_of(request.spec.experiment)
    job = unfinished_job(request.spec.run_directory)
    if job is None or job.engine == settings.name:
        return settings
    request.log(
        f"its job {job.id or job.name} of the engine {job.engine} has not ended; following it"
    )
    try:
        return usable_engines().named(job.engine)
    except EngineError as error:
        remedy = f"declare it again, or cancel {job.name} there and remove job.json"
        raise EngineError(
            str(request.spec.run_directory), error.problem, [*error.details, remedy]
        ) from error


@contextmanager
def started(request: JobRequest, settings: EngineSettings) -> Iterator[Job]:
    """Start a trainer on an engine, or attach to the job that its run has there.

    On this machine it waits for slots, and ends with the block. A job of a remote engine runs on
    where the block ends with an exception: only ``stop`` ends it, so that the next one who asks for
    the run attaches to it.

    Raises:
        EngineError: The engine does not answer, or does not take the job; nothing is left of the
            attempt. Or the run takes several nodes, which this engine has not.
    """
    require_nodes(request.spec.experiment, settings)
    if isinstance(settings, LocalEngine):
        with _local(request) as job:
            yield job
        return
    client = Slurm(settings) if isinstance(settings, SlurmEngine) else RayClient(settings)
    with remote_job(request, settings, client) as job:
        yield job


@contextmanager
def _local(request: JobRequest) -> Iterator[Job]:
    spec, experiment = request.spec, request.spec.experiment
    patience = stop_grace() + _AFTER_GRACE
    wait_until_free(spec.run_directory, patience, request.log, request.check)
    with (
        acquire(
            experiment.hyperparameters.num_gpus,
            request.store,
            experiment.name,
            request.log,
            vram_bytes=needed_memory(experiment),
            run_id=request.run_id,
            priority=request.priority,
            check=request.check,
        ) as lease,
        launched(
            request.command, lease, spec.run_directory / LOG, variables=request.variables
        ) as job,
    ):
        yield job
