"""Sends one message over one channel with Apprise, in a process of its own.

So a server that never answers costs ten seconds and no more, what was not sent by then is not sent
later, and what Apprise and its plugins log, which may have the URL with its secret, reaches nobody.
The URL goes to the process by its standard input, and what comes back is one sentence of ours.
"""

import importlib.util
import io
import json
import logging
import os
import re
import signal
import subprocess
import sys

LIMIT, _START = 10.0, 20.0
"""Seconds that a server has to answer in, and that the process has to start in before."""

_CAUSES = (
    (r"error=(\d{3})\b", "its server answers with HTTP status {}"),
    (r"(?i)connection error|timed? ?out|refused", "its server cannot be reached, or breaks off"),
    (r"", "the message was not taken"),
)
"""What Apprise logs, and what is said of it."""


def send(variable: str, title: str, body: str) -> str | None:
    """Send a message to the URL in a variable of the environment; why it was not taken, or None."""
    url = os.environ.get(variable, "").strip()
    if not url:
        return f"{variable} is not set in the environment of this command or of the daemon"
    if importlib.util.find_spec("apprise") is None:
        return "Apprise is not installed: pip install -e '.[notify]'"
    try:
        process = subprocess.run(
            [sys.executable, "-m", __name__],
            input=json.dumps([url, title, body]),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=_START + LIMIT,
        )
        code, problem = process.returncode, process.stdout
    except subprocess.TimeoutExpired:
        code, problem = -signal.SIGALRM, ""
    if code == -signal.SIGALRM:
        return f"its server did not answer within {LIMIT:g} s"
    return None if code == 0 else problem or "Apprise failed to send it"


def _main() -> int:
    import apprise

    signal.setitimer(signal.ITIMER_REAL, LIMIT)
    url, title, body = json.load(sys.stdin)
    service = apprise.Apprise()
    with apprise.LogCapture(level=logging.INFO) as log:
        problem = "the variable does not have one URL that Apprise knows, see its documentation"
        if service.add(url) and len(service) == 1:
            if service.notify(body, title, body_format=apprise.NotifyFormat.TEXT):
                return 0
            assert isinstance(log, io.StringIO)
            text = log.getvalue()
            matches = ((re.search(pattern, text), words) for pattern, words in _CAUSES)
            problem = next(words.format(*match.groups()) for match, words in matches if match)
    sys.stdout.write(problem)
    return 2


if __name__ == "__main__":
    sys.exit(_main())
