"""How a job starts the node's program, ``gr00t_assets.engines.node``."""

import shlex
import sys
from collections.abc import Sequence

from gr00t_assets import __version__
from gr00t_assets.core.project import Store
from gr00t_assets.engines.job import JobRequest
from gr00t_assets.engines.job_record import STORE_MISSING
from gr00t_assets.engines.store_id import STORE_ID, store_id
from gr00t_assets.experiments.engine_file import RayEngine, SlurmEngine
from gr00t_assets.runs.run_directory import LOG, SPEC
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.nodes import NODE_RANK, RENDEZVOUS, RENDEZVOUS_ID

_MODULE = "gr00t_assets.engines.node"

_ON_EACH_NODE = """\
grep -qsx {store_id} {marker} || exit {missing}
[ "$SLURM_PROCID" != 0 ] || exec >>{log} 2>&1
{setup}
export {rendezvous}="$SLURM_LAUNCH_NODE_IPADDR:$((10000 + SLURM_JOB_ID % 20000))"
export {run_id}="$SLURM_JOB_ID-${{SLURM_RESTART_COUNT:-0}}" {rank}="$SLURM_PROCID"
exec {command}"""
"""Of the trainer of several nodes. Task 0 of srun is on the first node, where srun itself runs: it
writes into the log itself, which the trainer looks for, and srun what the others say."""


def node_command(
    name: str, request: JobRequest, settings: SlurmEngine | RayEngine, grace: float
) -> list[str]:
    """The command line of this program for a job.

    Args:
        name: Of the job.
        request: What is to run.
        settings: Of the engine; its python takes the place of that of this process.
        grace: Seconds that the trainer has for a checkpoint.
    """
    python, store = settings.python or sys.executable, request.store
    options = {
        "--job": name,
        "--engine": settings.name,
        "--version": __version__,
        "--store": str(store.root),
        "--store-id": store_id(store),
        "--grace": f"{grace:g}",
    }
    flat = [part for option in options.items() for part in option]
    command = [python if part == sys.executable else part for part in request.command]
    if request.spec.experiment.hyperparameters.nodes > 1:
        command = _on_every_node(command, request, settings)
    spec_file = request.spec.run_directory / SPEC
    return [python, "-m", _MODULE, str(spec_file), *flat, "--", *command]


def _on_every_node(
    command: Sequence[str], request: JobRequest, settings: SlurmEngine | RayEngine
) -> list[str]:
    """The same command on each node of the job, one task a node; where one fails all are ended."""
    nodes = request.spec.experiment.hyperparameters.nodes
    script = _ON_EACH_NODE.format(
        store_id=store_id(request.store),
        marker=_marker(request.store),
        missing=STORE_MISSING,
        log=_log(request.spec),
        setup="\n".join(settings.setup),
        rendezvous=RENDEZVOUS,
        run_id=RENDEZVOUS_ID,
        rank=NODE_RANK,
        command=shlex.join(command),
    )
    # SIGINT is for the trainer: without --disable-status it is srun's own.
    options = [f"--nodes={nodes}", f"--ntasks={nodes}", f"--cpus-per-task={settings.cpus}"]
    return ["srun", *options, "--disable-status", "--kill-on-bad-exit=1", "bash", "-c", script]


def _log(spec: TrainingSpec) -> str:
    return shlex.quote(str(spec.run_directory / LOG))


def _marker(store: Store) -> str:
    return shlex.quote(str(store.root / STORE_ID))


def node_script(
    name: str, request: JobRequest, settings: SlurmEngine | RayEngine, grace: float
) -> str:
    """Shell lines that run ``node_command``; the output goes to the run's log.

    Nothing is written before the store is known to be there.
    """
    return "\n".join(
        [
            f"grep -qsx {store_id(request.store)} {_marker(request.store)} || exit {STORE_MISSING}",
            f"exec >>{_log(request.spec)} 2>&1 || exit {STORE_MISSING}",
            *settings.setup,
            f"exec {shlex.join(node_command(name, request, settings, grace))}",
        ]
    )
