"""Requests to the head node of a Ray cluster, each with a time limit, and what their failure means.

"Ray Jobs REST API" in Ray's manual; what it says of jobs and nodes is read in ``ray_engine``.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.version import InvalidVersion, Version

from gr00t_assets.core.errors import EngineError
from gr00t_assets.engines.client import EngineSilentError

if TYPE_CHECKING:
    from requests import Response

OLDEST = Version("2.8")
"""The first Ray that takes the memory of a job."""

TOKEN, TOKEN_FILE = "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
"""Environment variables of Ray: the token of a cluster that asks for one, or its file."""

_CONNECT, _ANSWER, _SUBMITTED = 3.0, 10.0, 60.0
"""Seconds in which a connection is made, a question is answered, and a job is taken."""

_MISSING = "does not exist"
_NODES, _WORDS = 10_000, 500


class RayApi:
    """The head node at an address.

    Every method raises ``EngineSilentError`` where nobody answers or the head node cannot at the
    moment, and ``EngineError`` where somebody answers who is no Ray, or asks for a token.
    """

    def __init__(self, address: str) -> None:
        self._address = address.rstrip("/")

    def require_version(self) -> None:
        """Refuse a Ray that is too old."""
        found = str(self._content(self._ask("GET", "/api/version")).get("ray_version"))
        with suppress(InvalidVersion):
            if Version(found) >= OLDEST:
                return
        problem = f"Ray {found} runs there; {OLDEST} is the oldest that takes these jobs."
        raise self.error(problem, "start the cluster with a newer Ray")

    def job(self, name: str) -> dict[str, Any] | None:
        """What Ray says of a job; None where it has none of that name."""
        answer = self._ask("GET", f"/api/jobs/{name}")
        missing = answer.status_code == 404 and _MISSING in answer.text
        return None if missing else self._content(answer)

    def nodes(self) -> list[dict[str, Any]]:
        """The nodes that are alive."""
        content = self._content(self._ask("GET", f"/api/v0/nodes?limit={_NODES}"))
        return [node for node in content["data"]["result"]["result"] if node["state"] == "ALIVE"]

    def submit(self, job: dict[str, Any]) -> None:
        """Submit a job, unless it has one of that name already."""
        answer = self._ask("POST", "/api/jobs/", job)
        if answer.status_code != 200 and "already exists" not in answer.text:
            self._content(answer)

    def stop(self, name: str) -> None:
        """Ask a job to end; one that has ended is let be."""
        self._ask("POST", f"/api/jobs/{name}/stop")

    def error(self, problem: str, *details: str) -> EngineError:
        """An error about this head node."""
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
            raise self.error(problem, f"set {TOKEN} or {TOKEN_FILE} where Dagster runs")
        if answer.status_code >= 500 and method == "GET":
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
            raise self.error(problem, "write the address of Ray's dashboard, with its port")
        text = answer.text.strip().splitlines() or ["no reason given"]
        raise self.error(f"Ray refused it (HTTP {answer.status_code}).", text[-1][:_WORDS])

    def _silent(self, what: str) -> EngineSilentError:
        remedy = "start its head node, or mend address in data/engines.yaml"
        return EngineSilentError(self._address, f"Ray: {what}.", [remedy])

    def _token(self) -> str | None:
        file = os.environ.get(TOKEN_FILE)
        try:
            text = Path(file).read_text(encoding="utf-8").strip() if file else None
            return os.environ.get(TOKEN) or text
        except OSError as error:
            raise self.error(f"{TOKEN_FILE} names no file: {error}.", "mend it") from error
