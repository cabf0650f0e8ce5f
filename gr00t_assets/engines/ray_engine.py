"""Jobs of a Ray cluster, by the REST API of its head node ("Ray Jobs REST API" in Ray's manual).

The job is the node's program (``gr00t_assets.engines.node``) with GPUs, cores, memory and custom
resources of one node, which Ray keeps for it; ``CUDA_VISIBLE_DEVICES`` is Ray's. Its submission id
is the job's unique name, and Ray refuses a second one. Neither the machine that submits nor the
Python that trains needs Ray: the requests are plain HTTP, each with a time limit.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Literal
from urllib.parse import urlsplit

from gr00t_assets.engines.client import JobState
from gr00t_assets.engines.job import JobFailure, JobRequest
from gr00t_assets.engines.job_record import read_node
from gr00t_assets.engines.node_command import node_script
from gr00t_assets.engines.ray_api import RayApi
from gr00t_assets.engines.remote_job import RemoteJob, remote_job
from gr00t_assets.experiments.engine_file import RayEngine
from gr00t_assets.gpu.guard import stop_grace

Phase = Literal["waiting", "running", "ended"]

PASSED_ON = ("GR00T_ASSETS_ROOT", "GR00T_ASSETS_STORE", "GR00T_ASSETS_STOP_GRACE", "WANDB_MODE")
"""What a job gets of the environment. Whoever may open Ray's page reads it, so no secret is."""

LOST_AT_MOST = 3
"""Times that a lost job is submitted again by whoever follows it."""

JOB_LOST = "job-lost"
"""Name of the failure, see ``RemoteJob``."""

_START_TIMEOUT = "failed to start within"
"""Ray's words once a job has waited for 15 minutes; it waits on under another name."""

_PHASES: dict[str, Phase] = {"PENDING": "waiting", "RUNNING": "running"}
_STOPPED = 130
_AFTER_GRACE = 10.0
_WORDS = 500


class RayClient:
    """The jobs of one cluster; see ``gr00t_assets.engines.client.Client``."""

    label = "Ray job"

    def __init__(self, settings: RayEngine) -> None:
        self._settings, self._api, self._checked = settings, RayApi(settings.address), False

    def find(self, name: str, job: str | None) -> JobState | None:
        """The job of a name; without a name, whether a Ray answers that takes jobs."""
        if not name:
            self._api.require_version()
            return None
        if (details := self._api.job(name)) is None:
            return None
        phase = _PHASES.get(details["status"], "ended")
        return JobState(name, phase, _words(details), _node(details), _code(details))

    def submit(self, name: str, request: JobRequest) -> str:
        """Submit the node's program; refused at once where no node has what it asks for."""
        experiment, settings = request.spec.experiment, self._settings
        needs = {
            "CPU": float(settings.cpus),
            "GPU": float(experiment.hyperparameters.num_gpus),
            "memory": settings.memory_gb * 1e9,
            **settings.resources,
        }
        self._require_resources(needs)
        grace = round(stop_grace() + _AFTER_GRACE)
        passed_on = {key: os.environ[key] for key in PASSED_ON if key in os.environ}
        variables = {"RAY_JOB_STOP_SIGNAL": "SIGINT", "RAY_JOB_STOP_WAIT_TIME_S": str(grace)}
        self._api.submit(
            {
                "submission_id": name,
                "entrypoint": node_script(name, request, settings, stop_grace()),
                "entrypoint_num_cpus": needs["CPU"],
                "entrypoint_num_gpus": needs["GPU"],
                "entrypoint_memory": int(needs["memory"]),
                "entrypoint_resources": dict(settings.resources),
                "runtime_env": {"env_vars": passed_on | variables},
                "metadata": {
                    "experiment": experiment.name,
                    "config_hash": request.spec.config_hash,
                },
            }
        )
        return name

    def interrupt(self, job: str) -> None:
        """SIGINT for all processes of the job; Ray kills them when their grace is over."""
        self._api.stop(job)

    def cancel(self, job: str) -> None:
        """The same, since Ray has one way to end a job."""
        self.interrupt(job)

    def _require_resources(self, needs: Mapping[str, float]) -> None:
        """Ray would let a job wait for ever that no node can run.

        Asked once: a node that was lost may come back.

        Raises:
            EngineError: No node has what a job asks for, and none is started on demand.
        """
        if self._settings.autoscaling or self._checked:
            return
        nodes = self._api.nodes()
        if any(_fits(needs, node["resources_total"]) for node in nodes):
            self._checked = True
            return
        have = [
            f"{node['node_ip']} has {_listed(node['resources_total'], needs)}" for node in nodes
        ]
        raise self._api.error(
            f"no node has what a job asks for: {_listed(needs, needs)}.",
            *have,
            f"ask for less in engine '{self._settings.name}' of data/engines.yaml or in num_gpus; "
            "where nodes are started on demand write autoscaling: true",
        )


class RayJob:
    """The job of a run, and the next one where Ray has lost it; see ``Job``."""

    def __init__(self, request: JobRequest, settings: RayEngine, files: ExitStack) -> None:
        self._request, self._settings, self._files = request, settings, files
        self._client, self._lost = RayClient(settings), 0
        self._job = self._submitted()

    @property
    def where(self) -> str:
        """Such as ``Ray job gr00t-lr1e-4-... on node3``."""
        return self._job.where

    @property
    def code(self) -> int:
        """Exit code of the last job once it has ended."""
        return self._job.code

    @property
    def failure(self) -> JobFailure | None:
        """What ended the last job where that was not the trainer."""
        return self._job.failure

    @property
    def last_lines(self) -> list[str]:
        """The last lines of the last job's output."""
        return self._job.last_lines

    def stop(self) -> None:
        """Cancel it."""
        self._job.stop()

    def ended_within(self) -> bool:
        """As ``RemoteJob``; a job that was lost is submitted again, from its checkpoint."""
        if not self._job.ended_within():
            return False
        reason = self._reason_lost()
        if reason is None:
            return True
        self._lost += _START_TIMEOUT not in reason
        if self._lost > LOST_AT_MOST:
            return True
        self._request.log(f"{reason}; it is submitted again and goes on from its last checkpoint")
        self._job = self._submitted()
        return False

    def _submitted(self) -> RemoteJob:
        grace = stop_grace() + _AFTER_GRACE
        job = remote_job(self._request, self._settings, self._client, grace)
        return self._files.enter_context(job)

    def _reason_lost(self) -> str | None:
        """Why the job ended, where the engine ended it; None for any other end."""
        if self.failure is not None:
            return str(self.failure.error) if self.failure.name == JOB_LOST else None
        node = read_node(self._request.spec.run_directory, self._job.record.name)
        if self.code and node is not None and node.stopped in ("lost", "ended by the engine"):
            return f"{self.where} was stopped: {node.stopped}"
        return None


@contextmanager
def ray_job(request: JobRequest, settings: RayEngine) -> Iterator[RayJob]:
    """The job of a run on Ray; see ``Engine``."""
    with ExitStack() as files:
        yield RayJob(request, settings, files)


def _words(details: Mapping[str, Any]) -> str:
    """Ray's message of a job, without the log and the fields of an actor that follow it.

    Examples:
        >>> _words({"message": "Job failed with exit code 1, last available logs (of 9):\\nx"})
        'Job failed with exit code 1'
    """
    message = str(details.get("message") or details["status"]).split(", last available logs")[0]
    lines = [line for line in message.splitlines() if not line.startswith("\t")]
    return " ".join(lines)[:_WORDS].rstrip(".")


def _node(details: Mapping[str, Any]) -> str | None:
    return urlsplit(details.get("driver_agent_http_address") or "").hostname


def _code(details: Mapping[str, Any]) -> int | None:
    code = details.get("driver_exit_code")
    if code is None:
        return _STOPPED if details["status"] == "STOPPED" else None
    return code if code >= 0 else 128 - code


def _fits(needs: Mapping[str, float], total: Mapping[str, float]) -> bool:
    return all(total.get(name, 0) >= amount for name, amount in needs.items())


def _listed(amounts: Mapping[str, float], names: Mapping[str, float]) -> str:
    parts = []
    for name in names:
        amount = amounts.get(name, 0)
        parts.append(f"{amount / 1e9:.3g} GB" if name == "memory" else f"{name}: {amount:g}")
    return ", ".join(parts)
