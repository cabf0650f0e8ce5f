"""A training of several processes or machines: where its launchers meet, what is set outside."""

import os
from dataclasses import dataclass
from typing import Self

from gr00t_assets.core.errors import EngineError, TrainingError
from gr00t_assets.experiments.engine_file import EngineSettings, engine_of
from gr00t_assets.experiments.experiment import Experiment

RENDEZVOUS = "GR00T_ASSETS_RENDEZVOUS"
RENDEZVOUS_ID = "GR00T_ASSETS_RENDEZVOUS_ID"
NODE_RANK = "GR00T_ASSETS_NODE_RANK"
TIMEOUT = "GR00T_ASSETS_PROCESS_TIMEOUT"
DEFAULT_TIMEOUT = 600.0
"""Seconds that a process waits for the others before the training is ended."""
_REMEDY = "take an engine of kind slurm, or leave num_nodes out"


@dataclass(frozen=True)
class Rendezvous:
    """Where the launchers of one attempt meet, one on each node."""

    endpoint: str  # ``HOST:PORT`` of the first node
    run_id: str  # Common to all nodes, and another one for each attempt
    node: int  # Number of this node, from 0; the first has the process that writes

    @classmethod
    def of_environment(cls) -> Self:
        """From the variables that the engine has set on each node.

        Raises:
            TrainingError: They are missing or wrong.
        """
        names = RENDEZVOUS, RENDEZVOUS_ID, NODE_RANK
        endpoint, run_id, node = (os.environ.get(name, "") for name in names)
        if not endpoint:
            problem = "the run takes several nodes, and nothing says where they meet."
            by_hand = "or start torchrun on each of them, as docs/native.md has it"
            raise TrainingError("num_nodes", problem, [_REMEDY, by_hand])
        host, _, port = endpoint.rpartition(":")
        if not (host and port.isdecimal() and run_id and node.isdecimal()):
            values = f"{RENDEZVOUS}={endpoint} {RENDEZVOUS_ID}={run_id} {NODE_RANK}={node}"
            expected = f"expected {RENDEZVOUS}=HOST:PORT {RENDEZVOUS_ID}=WORD {NODE_RANK}=0"
            raise TrainingError("num_nodes", f"found {values}.", [expected])
        return cls(endpoint, run_id, int(node))


def require_nodes(experiment: Experiment, engine: EngineSettings) -> None:
    """Refuse a run of several nodes on an engine that gives a job one.

    Raises:
        EngineError: With the engine to take instead.
    """
    if (nodes := experiment.hyperparameters.nodes) > 1 and engine.kind != "slurm":
        problem = f"{experiment.name} takes {nodes} nodes, an engine of kind {engine.kind} has one."
        raise EngineError(engine.name, problem, [_REMEDY])


def node_limit(experiment: Experiment) -> tuple[str, str, str] | None:
    """The same before anything runs: field, what is found, what to do.

    An engine that is not declared, or declared wrong, is told elsewhere.
    """
    if experiment.hyperparameters.nodes == 1:
        return None
    try:
        engine = engine_of(experiment)
    except EngineError:
        return None
    try:
        require_nodes(experiment, engine)
    except EngineError as error:
        return "num_nodes", f"engine '{engine.name}': {error.problem.rstrip('.')}", _REMEDY
    return None


def is_process() -> bool:
    """Whether this is one of the processes that ``torchrun`` has started."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def process_timeout() -> float:
    """Seconds that a process waits for the others: ``GR00T_ASSETS_PROCESS_TIMEOUT``, or 600.

    Raises:
        TrainingError: The variable is no number of seconds.
    """
    text = os.environ.get(TIMEOUT, "").strip()
    try:
        seconds = float(text) if text else DEFAULT_TIMEOUT
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise TrainingError(TIMEOUT, f"'{text}' is not a number of seconds.", ["write 600"])
    return seconds
