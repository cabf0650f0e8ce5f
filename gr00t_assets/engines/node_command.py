"""How a job starts the node's program, ``gr00t_assets.engines.node``."""

import shlex
import sys

from gr00t_assets import __version__
from gr00t_assets.engines.job import JobRequest
from gr00t_assets.engines.job_record import STORE_MISSING
from gr00t_assets.engines.store_id import STORE_ID, store_id
from gr00t_assets.experiments.engine_file import RayEngine, SlurmEngine
from gr00t_assets.runs.run_directory import LOG, SPEC

_MODULE = "gr00t_assets.engines.node"


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
    spec_file = request.spec.run_directory / SPEC
    return [python, "-m", _MODULE, str(spec_file), *flat, "--", *command]


def node_script(
    name: str, request: JobRequest, settings: SlurmEngine | RayEngine, grace: float
) -> str:
    """Shell lines that run ``node_command``; the output goes to the run's log.

    Nothing is written before the store is known to be there.
    """
    marker = shlex.quote(str(request.store.root / STORE_ID))
    log = shlex.quote(str(request.spec.run_directory / LOG))
    return "\n".join(
        [
            f"grep -qsx {store_id(request.store)} {marker} || exit {STORE_MISSING}",
            f"exec >>{log} 2>&1 || exit {STORE_MISSING}",
            *settings.setup,
            f"exec {shlex.join(node_command(name, request, settings, grace))}",
        ]
    )
