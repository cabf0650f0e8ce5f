"""Jobs of a Ray cluster, by the REST API of its head node ("Ray Jobs REST API" in Ray's manual).

The job is the node's program (``gr00t_assets.engines.node``) with GPUs, cores, memory and custom
resources of one node, which Ray keeps for it; ``CUDA_VISIBLE_DEVICES`` is Ray's. Its submission id
is the job's unique name, and Ray refuses a second one. Neither the machine that submits nor the
Python that trains needs Ray: the requests are plain HTTP, each with a time limit.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from packaging.version import InvalidVersion, Version

from gr00t_assets.core.errors import EngineError
from gr00t_assets.engines.job import EngineSilentError, JobRequest, JobState, Phase, node_script
from gr00t_assets.experiments.engine_file import RayEngine
from gr00t_assets.gpu.guard import stop_grace

if TYPE_CHECKING:
    from requests import Response

PASSED_ON = ("GR00T_ASSETS_ROOT", "GR00T_ASSETS_STORE", "GR00T_ASSETS_STOP_GRACE", "WANDB_MODE")
"""What a job gets of the environment. Whoever may open Ray's page reads it, so no secret is."""

OLDEST = Version("2.8")
"""The first Ray that takes the memory of a job."""

TOKEN, TOKEN_FILE = "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
"""Environment variables of Ray: the token of a cluster that asks for one, or its file."""

_CONNECT, _ANSWER, _SUBMITTED = 3.0, 10.0, 60.0
"""Seconds in which a connection is made, a question is answered, and a job is taken."""

_MISSING, _NODES, _OF_PROXY = "does not exist", 10_000, (502, 503, 504)

_PHASES: dict[str, Phase] = {"PENDING": "waiting", "RUNNING": "running"}
_STOPPED = 130
_AFTER_GRACE = 10.0
_WORDS = 500


class RayClient:
    """The jobs of one cluster.

    Every method raises ``EngineSilentError`` where nobody answers or the head node cannot at the
    moment, and ``EngineError`` where somebody answers who is no Ray, or asks for a token.
    """

    label, most_lost = "Ray job", 3

    def __init__(self, settings: RayEngine) -> None:
        self._settings, self._address, self._checked = settings, settings.address.rstrip("/"), False
        self.grace = stop_grace() + _AFTER_GRACE

    def find(self, name: str, job: str | None = None) -> JobState | None:
        """The job of a name; without a name, whether a Ray answers that takes jobs."""
        if not name:
            self._require_version()
            return None
        answer = self._ask("GET", f"/api/jobs/{name}")
        if answer.status_code == 404 and _MISSING in answer.text:
            return None
        details = self._content(answer)
        phase = _PHASES.get(details["status"], "ended")
        node = urlsplit(details.get("driver_agent_http_address") or "").hostname
        return JobState(name, phase, _words(details), node, _code(details))

    def submit(self, name: str, request: JobRequest) -> str:
        """Submit the node's program, unless Ray has a job of that name already.

        It is refused at once where no node has what it asks for.
        """
        experiment, settings = request.spec.experiment, self._settings
        needs = {
            "CPU": float(settings.cpus),
            "GPU": float(experiment.hyperparameters.num_gpus),
            "memory": settings.memory_gb * 1e9,
            **settings.resources,
        }
        self._require_resources(needs)
        passed_on = {key: os.environ[key] for key in PASSED_ON if key in os.environ}
        variables = {
            "RAY_JOB_STOP_SIGNAL": "SIGINT",
            "RAY_JOB_STOP_WAIT_TIME_S": str(round(self.grace)),
        }
        job = {
            "submission_id": name,
            "entrypoint": node_script(name, request, settings, stop_grace()),
            "entrypoint_num_cpus": needs["CPU"],
            "entrypoint_num_gpus": needs["GPU"],
            "entrypoint_memory": int(needs["memory"]),
            "entrypoint_resources": dict(settings.resources),
            "runtime_env": {"env_vars": passed_on | variables},
            "metadata": {"experiment": experiment.name, "config_hash": request.spec.config_hash},
        }
        answer = self._ask("POST", "/api/jobs/", job)
        if answer.status_code != 200 and "already exists" not in answer.text:
            self._content(answer)
        return name

    def interrupt(self, job: str) -> None:
        """SIGINT for all processes of the job; Ray kills them when their grace is over."""
        self._ask("POST", f"/api/jobs/{job}/stop")

    def cancel(self, job: str) -> None:
        """The same, since Ray has one way to end a job; one that has ended is let be."""
        self.interrupt(job)

    def _require_version(self) -> None:
        version = str(self._content(self._ask("GET", "/api/version")).get("ray_version"))
        with suppress(InvalidVersion):
            if Version(version) >= OLDEST:
                return
        problem = f"Ray {version} runs there; {OLDEST} is the oldest that takes these jobs."
        raise self._error(problem, "start the cluster with a newer Ray")

    def _require_resources(self, needs: Mapping[str, float]) -> None:
        """Refuse a job that no node can run, which Ray would let wait for ever.

        Asked once: a node that was lost may come back.
        """
        if self._settings.autoscaling or self._checked:
            return
        content = self._content(self._ask("GET", f"/api/v0/nodes?limit={_NODES}"))
        nodes = [node for node in content["data"]["result"]["result"] if node["state"] == "ALIVE"]
        if any(_fits(needs, node["resources_total"]) for node in nodes):
            self._checked = True
            return
        have = [
            f"{node['node_ip']} has {_listed(node['resources_total'], needs)}" for node in nodes
        ]
        raise self._error(
            f"no node has what a job asks for: {_listed(needs, needs)}.",
            *have,
            f"ask for less in engine '{self._settings.name}' of data/engines.yaml or in num_gpus; "
            "where nodes are started on demand write autoscaling: true",
        )

    def _error(self, problem: str, *details: str) -> EngineError:
        return EngineError(self._address, problem, details)

    def _ask(self, method: str, path: str, content: Any = None) -> "Response":
        import requests

        url, headers = self._address + path, {}
        seconds = _ANSWER if content is None else _SUBMITTED
        if token := self._token():
            headers["Authorization"] = f"Bearer {token}"
        try:
            answer = requests.request(
                method, url, json=content, headers=headers, timeout=(_CONNECT, seconds)
            )
        except requests.Timeout as error:
            raise self._silent("it does not answer in time") from error
        except requests.RequestException as error:
            raise self._silent("nobody answers") from error
        if answer.status_code in (401, 403):
            problem = f"it asks for a token (HTTP {answer.status_code})."
            raise self._error(problem, f"set {TOKEN} or {TOKEN_FILE} where Dagster runs")
        # A proxy that says so may have passed a submission on: the next one looks for its name.
        if answer.status_code in _OF_PROXY or (answer.status_code >= 500 and method == "GET"):
            raise self._silent(f"its head node cannot answer (HTTP {answer.status_code})")
        return answer

    def _content(self, answer: "Response") -> dict[str, Any]:
        if answer.status_code == 200:
            with suppress(ValueError):
                content = answer.json()
                if isinstance(content, dict):
                    return content
        if answer.status_code in (200, 404):
            problem = "what answers there is no Ray."
            raise self._error(problem, "write the address of Ray's dashboard, with its port")
        text = answer.text.strip().splitlines() or ["no reason given"]
        raise self._error(f"Ray refused it (HTTP {answer.status_code}).", text[-1][:_WORDS])

    def _silent(self, what: str) -> EngineSilentError:
        remedy = "start its head node, or mend address in data/engines.yaml"
        return EngineSilentError(self._address, f"Ray: {what}.", [remedy])

    def _token(self) -> str | None:
        file = os.environ.get(TOKEN_FILE)
        try:
            text = Path(file).read_text(encoding="utf-8").strip() if file else None
            return os.environ.get(TOKEN) or text
        except OSError as error:
            raise self._error(f"{TOKEN_FILE} names no file: {error}.", "mend it") from error


def _words(details: Mapping[str, Any]) -> str:
    """Ray's message of a job, without the log and the fields of an actor that follow it.

    Examples:
        >>> _words({"message": "Job failed with exit code 1, last available logs (of 9):\\nx"})
        'Job failed with exit code 1'
    """
    message = str(details.get("message") or details["status"]).split(", last available logs")[0]
    lines = [line for line in message.splitlines() if not line.startswith("\t")]
    return " ".join(lines)[:_WORDS].rstrip(".")


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
