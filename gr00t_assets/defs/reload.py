"""Loads the code locations again when one of the project's files has changed.

Dagster knows partitions and schedules as they were when the code location was loaded. A code server
of ``dagster code-server start`` loads anew beside what it has and then takes that out of use
(``ReloadCode``, which the page's button asks for too): runs that have begun go on, and page and
daemon look every second whether the server is another.

Dynamic partitions would need it too, for the schedule of a new sweep. Nor do they map a dataset to
its experiments, and somebody would have to add a new experiment before a shell could train it.
"""

import json
import logging
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from gr00t_assets.core.errors import PageError
from gr00t_assets.core.files import FileStamp
from gr00t_assets.experiments.project_files import project_stamp

POLL_SECONDS = 2.0
_LATEST_SECONDS = 10.0
"""A change is loaded once nothing has changed for a poll, so that no half of it is; so many
seconds after it in any case."""

_TIMEOUT_SECONDS = 180.0

_RELOAD = """
mutation { reloadWorkspace {
  __typename
  ... on Workspace { locationEntries { name locationOrLoadError {
    __typename ... on PythonError { message } } } }
  ... on PythonError { message }
} }
"""

_log = logging.getLogger(__name__)


def watch(reload: Callable[[], object], stop: threading.Event, loaded: FileStamp) -> None:
    """Call ``reload`` whenever the files have changed, until ``stop`` is set.

    Where ``reload`` fails it is called again at the next poll; ``loaded`` is ``project_stamp`` of
    before they were loaded last.
    """
    before, changed_at = loaded, 0.0
    while not stop.wait(POLL_SECONDS):
        now, clock = project_stamp(), time.monotonic()
        if now == loaded:
            changed_at = 0.0
        elif now == before or clock > (changed_at := changed_at or clock) + _LATEST_SECONDS:
            try:
                reload()
            except Exception as error:
                _log.warning("the code is not loaded again: %s", error)
            else:
                loaded, changed_at = now, 0.0
        before = now


def reload_by_page(url: str) -> list[str]:
    """Have the page at ``url`` load its code locations again, as its button does; their names.

    Raises:
        PageError: The page does not answer, or a location cannot be loaded.
    """
    body = json.dumps({"query": _RELOAD}).encode()
    address = f"{url.rstrip('/')}/graphql"
    try:
        request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
            answer = json.load(response)
        result = answer["data"]["reloadWorkspace"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        refused = isinstance(error, urllib.error.HTTPError)
        why = error.read().decode(errors="replace") if refused else str(error)
        remedy = "give its address: gr00t-assets reload --url http://127.0.0.1:3000"
        raise PageError(url, "no page of Dagster answers there.", [why.strip(), remedy]) from error
    entries = result.get("locationEntries", [])
    failed = [
        f"{entry['name']}: {entry['locationOrLoadError']['message']}"
        for entry in entries
        if entry["locationOrLoadError"]["__typename"] == "PythonError"
    ]
    if failed or result["__typename"] != "Workspace":
        problem = "its code locations are not loaded."
        raise PageError(url, problem, failed or [result.get("message", result["__typename"])])
    return [entry["name"] for entry in entries]
