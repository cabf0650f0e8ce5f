"""``python -m gr00t_assets.trainers.native SPEC.json``: train by hand, without Dagster.

With ``--profile N`` behind it N steps are profiled instead: the folder ``profile`` beside the spec
gets a trace and a table, and the run directory is left as it is.

Exit code 0: finished, or finished before. 1: failed, with the explained error on standard error.
130: stopped on request after writing a checkpoint; the same command goes on from there.
"""

import logging
import signal
import sys
import uuid
from functools import partial
from pathlib import Path

from gr00t_assets.core.errors import Gr00tAssetsError, TrainingError, system_errors_explained
from gr00t_assets.core.text import escape_output
from gr00t_assets.gpu.guard import stop_grace
from gr00t_assets.runs.manifest import Manifest, load_manifest
from gr00t_assets.runs.spec import TrainingSpec, load_spec
from gr00t_assets.trainers.attempt import train_main
from gr00t_assets.trainers.nodes import TIMEOUT, Rendezvous, is_process, process_timeout


def _run(arguments: list[str], spec: TrainingSpec) -> Manifest:
    # Here, so that a wrong spec is told without waiting for torch, and several processes are
    # started without what only they need.
    settings = spec.experiment.hyperparameters
    if settings.num_gpus * settings.nodes > 1 and not is_process():
        return _launch(spec, arguments[0])
    from gr00t_assets.trainers.native.native_run import follow_spec, run_spec
    from gr00t_assets.trainers.native.processes import joined

    with joined() as processes:
        if processes.is_first:
            return run_spec(spec, processes)
        follow_spec(spec, processes)
    raise SystemExit(0)


def _launch(spec: TrainingSpec, file: str) -> Manifest:
    """Start this node's processes of a run by ``torchrun``'s own launcher, and wait for them.

    Of several nodes each does the same, and the first one alone says how the run ended.
    """
    from torch.distributed import DistError
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    settings, name = spec.experiment.hyperparameters, spec.experiment.name
    nodes, processes = settings.nodes, settings.num_gpus
    config = LaunchConfig(
        min_nodes=nodes,
        max_nodes=nodes,
        nproc_per_node=processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",
        max_restarts=0,
        monitor_interval=0.1,
        shutdown_timeout=int(stop_grace()),
    )
    meeting = Rendezvous.of_environment() if nodes > 1 else None
    if meeting is not None:
        # c10d's rendezvous numbers nodes by their host names, where rank 0, which writes, is to be
        # on the first one.
        config.run_id, config.rdzv_endpoint = meeting.run_id, meeting.endpoint
        config.rdzv_backend = "static"
        config.rdzv_configs |= {"rank": meeting.node, "timeout": max(1, int(process_timeout()))}
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    try:
        elastic_launch(config, sys.executable)("-m", "gr00t_assets.trainers.native", file)
    except SignalException:
        if meeting is not None and meeting.node:
            # srun ends the other nodes once the first one has ended; this one ends in order.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode >= 0:
            # It has said why itself.
            raise SystemExit(1) from None
        number, count = signal.Signals(-failure.exitcode), nodes * processes
        sys.stderr.write(f"{name}: process {rank} of {count} was killed by {number.name}\n")
        raise SystemExit(128 + number) from None
    except DistError as error:
        if meeting is None:
            raise
        problem = f"node {meeting.node} of {nodes} has lost the others, or they never came."
        details = [str(error).splitlines()[0], f"they meet at {meeting.endpoint}"]
        patience = f"{TIMEOUT} seconds are waited for all of them"
        raise TrainingError("num_nodes", problem, [*details, patience]) from error
    if meeting is not None and meeting.node:
        # Also after a request to stop: the first node may be at the checkpoint still, which an
        # exit code that is not 0 would cut off.
        raise SystemExit(0)
    manifest = load_manifest(spec.run_directory)
    if manifest is None:
        raise KeyboardInterrupt
    return manifest


def _profile(file: Path, steps: str) -> int:
    escape_output()
    try:
        spec = load_spec(file)
        if not steps.isdecimal() or not int(steps):
            raise TrainingError("--profile", f"'{steps}' is not a number of steps.", ["write 20"])
        from gr00t_assets.trainers.native.profiling import profile_steps

        with system_errors_explained(file.parent):
            folder = file.parent / "profile"
            table = profile_steps(spec, int(steps), folder)
    except Gr00tAssetsError as error:
        sys.stderr.write(error.explain() + "\n")
        return 1
    sys.stdout.write(f"{table}\n{folder}\n")
    return 0


def main(arguments: list[str]) -> int:
    """Run one spec; see the module."""
    if len(arguments) == 3 and arguments[1] == "--profile":
        return _profile(Path(arguments[0]), arguments[2])
    code = train_main(arguments, "gr00t_assets.trainers.native", partial(_run, arguments))
    # One of several processes that stops on request has not failed; the manifest says what it was.
    return 0 if code == 130 and is_process() else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
