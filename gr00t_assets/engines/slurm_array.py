"""One array of Slurm for many runs: one submission, and as many jobs at once as the engine says.

Each run gets its ``job.json``, so that the run of Dagster that asks for it later attaches to it.
"""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby

from gr00t_assets.core.errors import EngineError
from gr00t_assets.core.locks import Log, exclusive_lock
from gr00t_assets.core.project import Store
from gr00t_assets.engines.client import EngineSilentError
from gr00t_assets.engines.job import JobRequest
from gr00t_assets.engines.job_record import JobRecord, now, remove_job, unfinished_job, write_job
from gr00t_assets.engines.remote_job import SUBMITTING
from gr00t_assets.engines.slurm import Slurm, batch_script, task_lines
from gr00t_assets.experiments.engine_file import SlurmEngine
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets.runs.spec import TrainingSpec

LARGEST_ARRAY = 1000
"""Jobs of one array; Slurm's own ``MaxArraySize`` is 1001 where nobody changed it."""


def submit_array(
    specs: Sequence[TrainingSpec], settings: SlurmEngine, store: Store, log: Log = print
) -> list[JobRecord]:
    """Submit runs as arrays, one for each number of GPUs and nodes, but those with a job already.

    Raises:
        EngineError: Slurm does not answer, or refuses an array; none of its runs has a job then.
    """
    slurm = Slurm(settings)
    slurm.find("", None)
    submitted: list[JobRecord] = []
    for size, chunk in _chunks(specs):
        with ExitStack() as locks:
            waiting = []
            for spec in chunk:
                place_spec(spec)
                what = f"the submission of {spec.experiment.name}"
                lock = spec.run_directory / SUBMITTING
                locks.enter_context(exclusive_lock(lock, what, log))
                if unfinished_job(spec.run_directory) is None:
                    waiting.append(spec)
            if waiting:
                submitted += _submit(waiting, size, slurm, store, log)
    return submitted


def _chunks(specs: Sequence[TrainingSpec]) -> Iterator[tuple[tuple[int, int], list[TrainingSpec]]]:
    """Runs that one array can have, the more urgent ones first."""

    def size(spec: TrainingSpec) -> tuple[int, int]:
        settings = spec.experiment.hyperparameters
        return settings.num_gpus, settings.nodes

    for common, group in groupby(sorted(specs, key=size), key=size):
        ordered = sorted(group, key=lambda spec: -spec.experiment.priority)
        for start in range(0, len(ordered), LARGEST_ARRAY):
            yield common, ordered[start : start + LARGEST_ARRAY]


def _submit(
    specs: Sequence[TrainingSpec], size: tuple[int, int], slurm: Slurm, store: Store, log: Log
) -> list[JobRecord]:
    settings = slurm.settings
    sweep = specs[0].experiment.sweep
    name = f"gr00t-{sweep}-{uuid.uuid4().hex[:8]}"
    records, tasks = [], []
    for index, spec in enumerate(specs):
        record = JobRecord(
            engine=settings.name, kind=settings.kind, name=f"{name}_{index}", submitted_at=now()
        )
        records.append(write_job(record, spec.run_directory))
        command = trainer_named(spec.experiment.trainer).command(spec)
        tasks.append(task_lines(record.name, JobRequest(command, spec, store), settings))
    options = [f"--array=0-{len(specs) - 1}%{settings.jobs_at_once}", f"--comment={sweep}"]
    try:
        array = slurm.sbatch(name, *size, options, batch_script(tasks))
    except EngineSilentError:
        raise  # It may have been submitted: whoever asks for a run looks for its name.
    except EngineError:
        for spec in specs:
            remove_job(spec.run_directory)
        raise
    log(f"submitted {len(specs)} jobs as Slurm array {array} ({name})")
    return [
        write_job(record.model_copy(update={"id": f"{array}_{index}"}), spec.run_directory)
        for index, (record, spec) in enumerate(zip(records, specs, strict=True))
    ]
