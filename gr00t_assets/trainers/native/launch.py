"""Starting the processes of a run on this machine, by ``torchrun``'s own launcher."""

import logging
import signal
import sys
import uuid

from torch.distributed import DistError
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.gpu.guard import stop_grace
from gr00t_assets.runs.manifest import Manifest, load_manifest
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.nodes import TIMEOUT, Rendezvous, process_timeout


def launch(spec: TrainingSpec, file: str) -> Manifest:
    """Start this node's processes of a run, given the file of its spec; wait for them.

    Of several nodes each does the same, and the first one alone says how the run ended.

    Raises:
        SystemExit: One of them failed and has said why, or was killed by a signal; or this is not
            the first node, and all went well.
        KeyboardInterrupt: They were stopped before they began to train.
        TrainingError: The other nodes were not there in time.
    """
    settings, name = spec.experiment.hyperparameters, spec.experiment.name
    nodes, each = settings.nodes, settings.num_gpus
    config = LaunchConfig(
        min_nodes=nodes,
        max_nodes=nodes,
        nproc_per_node=each,
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
        number, count = signal.Signals(-failure.exitcode), nodes * each
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
