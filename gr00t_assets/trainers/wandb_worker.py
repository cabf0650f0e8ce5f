"""``python -m gr00t_assets.trainers.wandb_worker``: the process that talks to the wandb package.

It is apart from the trainer so that nothing that wandb does or fails to do can reach it: a session
of its own takes no Ctrl-C, files of the trainer stay closed here, a call that hangs holds up nobody
and is ended with the process. Standard library alone, and wandb.

Standard input, one JSON object a line: first ``{"init": {...}, "trainer": PID, "mode": null,
"reason": null}``, then ``{"log": {...}}``, in the end ``{"finish": {"summary": {...}, "exit_code":
0}}``. Where the input ends without that, the trainer was killed, and the run ends as failed.
Standard output, the same way: ``{"event": "started" | "refused" | "finished" | "failed", ...}``.
"""

import json
import math
import netrc
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any
from urllib.parse import urlsplit

FINISH_SECONDS = "GR00T_ASSETS_WANDB_FINISH_SECONDS"
"""Names how long an ended training waits for W&B, in seconds; 15 where it is not set."""

_PATIENCE = 5.0
_REACH_TIMEOUT = 5.0
_INIT_TIMEOUT = 30.0
_FINISH_TIMEOUT = 15.0
_LAST_WORDS = 3.0
_POLL = 1.0

_HURRY = signal.SIGUSR1
_BEGINNING = threading.Event()
"""Set while the run begins online."""

Message = dict[str, Any]


def finish_timeout() -> float:
    """Seconds after which this process ends, counted from the end of the training."""
    try:
        seconds = float(os.environ[FINISH_SECONDS])
    except (KeyError, ValueError):
        return _FINISH_TIMEOUT
    return seconds if 0 < seconds < math.inf else _FINISH_TIMEOUT


def main() -> int:
    """Serve one run until the trainer finishes it or is gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(_HURRY, _hurry)
    inbox: SimpleQueue[Message] = SimpleQueue()
    threading.Thread(target=_receive, args=(inbox, os.getppid()), daemon=True).start()
    try:
        first = inbox.get()
        if "init" not in first:
            return 1
        run = _start(first)
        while "log" in (message := inbox.get()):
            run.log(message["log"])
        end = message["finish"]
        run.summary.update(end["summary"])
        try:
            run.finish(exit_code=end["exit_code"])
        except TimeoutError:
            _tell("failed", reason="its upload did not end in time")
            return 1
    except Exception as error:
        _tell("failed", reason=_reason(error))
        return 1
    _tell("finished")
    return 0


def _receive(inbox: SimpleQueue[Message], trainer: int) -> None:
    """Pass on each line; whatever ends the training also sets this process's own end."""
    last: Message = {"finish": {"summary": {"status": "failed"}, "exit_code": 1}}
    for line in _lines(trainer):
        message = json.loads(line)
        if "finish" in message:
            last = message
            break
        inbox.put(message)
    inbox.put(last)
    main_thread = threading.main_thread().ident
    assert main_thread is not None
    limit = finish_timeout()
    patience = min(_PATIENCE, limit / 3)
    time.sleep(patience)
    signal.pthread_kill(main_thread, _HURRY)
    time.sleep(limit - patience)
    _tell("failed", reason="it did not end in time")
    os._exit(1)


def _hurry(*_: object) -> None:
    """The training is over: no longer wait for a server that has not let the run begin."""
    if _BEGINNING.is_set():
        raise TimeoutError("its server does not answer")


def _lines(trainer: int) -> Iterator[bytes]:
    """Lines of standard input until it ends, or the trainer is gone and others hold it open."""
    rest = b""
    while True:
        if not select.select([0], [], [], _POLL)[0]:
            if os.getppid() != trainer:
                return
            continue
        chunk = os.read(0, 1 << 16)
        if not chunk:
            return
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines


def _start(first: Message) -> Any:
    """A run of the wandb package, online where that can be had, else offline.

    An online run that cannot begin leaves the package in a state that no other can begin in, so
    this process ends then, and the trainer starts another that is told to stay offline.
    """
    import wandb

    mode, reason = first["mode"], first["reason"]
    if mode is None:
        mode, reason = _mode(wandb)
    if mode == "offline":
        run = _init(wandb, first, mode)
    else:
        _BEGINNING.set()
        try:
            run = _init(wandb, first, mode)
        except Exception as error:
            _tell("refused", reason=_reason(error))
            os._exit(1)
        finally:
            _BEGINNING.clear()
    run.define_metric("train/global_step")
    run.define_metric("train/samples_seen")
    run.define_metric("train/*", step_metric="train/global_step")
    run.define_metric("by_samples/*", step_metric="train/samples_seen")
    offline = bool(run.offline)
    _tell("started", mode="offline" if offline else "online", url=run.url, reason=reason)
    return run


def _init(wandb: Any, first: Message, mode: str) -> Any:
    wanted = {
        "silent": True,
        "console": "off",
        "disable_git": True,
        "disable_code": True,
        "disable_job_creation": True,
        "symlink": False,
        "init_timeout": _INIT_TIMEOUT,
        "finish_timeout": max(finish_timeout() - _LAST_WORDS, 1.0),
        "finish_timeout_raises": True,
        "x_disable_meta": True,
        "x_disable_machine_info": True,
        "x_save_requirements": False,
        "x_stats_pid": first["trainer"],
    }
    known = {key: value for key, value in wanted.items() if key in wandb.Settings.model_fields}
    settings = wandb.Settings(**known)
    return wandb.init(
        **first["init"], mode=mode, resume="allow", save_code=False, settings=settings
    )


def _mode(wandb: Any) -> tuple[str, str | None]:
    """The mode to begin with, and why it is offline where nobody asked for that."""
    mode = os.environ.get("WANDB_MODE")
    if mode in ("offline", "dryrun"):
        return "offline", None
    settings = wandb.setup().settings
    if not mode and not _has_key(settings):
        return "offline", "no API key"
    if not _reachable(settings.base_url):
        return "offline", "its server cannot be reached"
    return mode or "online", None


def _has_key(settings: Any) -> bool:
    """Whether there are credentials, found without asking the network as ``wandb.login`` would."""
    if settings.api_key or getattr(settings, "identity_token_file", None):
        return True
    try:
        hosts = netrc.netrc(os.environ.get("NETRC"))
    except (OSError, netrc.NetrcParseError):
        return False
    return hosts.authenticators(urlsplit(settings.base_url).netloc) is not None


def _reachable(url: str) -> bool:
    """Whether anything answers there, through the proxy where one is set."""
    import requests

    try:
        requests.head(url, timeout=_REACH_TIMEOUT, allow_redirects=False)
    except requests.exceptions.SSLError:
        return True
    except requests.exceptions.RequestException:
        return False
    return True


def _reason(error: Exception) -> str:
    """One line of it, without the key."""
    text = (str(error).strip().splitlines() or [type(error).__name__])[0]
    key = os.environ.get("WANDB_API_KEY")
    return text.replace(key, "***") if key else text


def _tell(event: str, **content: object) -> None:
    line = json.dumps({"event": event, **content}) + "\n"
    try:
        os.write(1, line.encode())
    except BrokenPipeError:
        return


if __name__ == "__main__":
    sys.exit(main())
