"""The process beside the trainer that talks to W&B, and a pipe each way that never waits."""

import json
import os
import select
import subprocess
import sys
from typing import Any

Message = dict[str, Any]


class WandbProcess:
    """A running :mod:`gr00t_assets.trainers.wandb_worker`.

    It has a session of its own, so Ctrl-C on a terminal does not reach it, and inherits no open
    file, so a GPU slot is not held by it.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gr00t_assets.trainers.wandb_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
            env={
                "WANDB_X_DISABLE_STATS": "true",
                "WANDB_ERROR_REPORTING": "false",
                **os.environ,
                "WANDB_SILENT": "true",
            },
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._pipes = (self._process.stdin, self._process.stdout)
        self._to, self._from = (pipe.fileno() for pipe in self._pipes)
        os.set_blocking(self._to, False)
        os.set_blocking(self._from, False)
        self._unsent = self._unread = b""

    def send(self, *messages: Message) -> None:
        """Write what the pipe takes; the rest stays for the next time."""
        self._unsent += b"".join(json.dumps(message).encode() + b"\n" for message in messages)
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(self._to, self._unsent) :]
        except (BlockingIOError, BrokenPipeError):
            return

    def receive(self) -> list[Message]:
        """What it has said since the last time.

        Raises:
            EOFError: It said all that it will ever say.
        """
        try:
            chunk = os.read(self._from, 1 << 16)
        except BlockingIOError:
            return []
        if not chunk:
            raise EOFError(f"its process ended with code {self._process.wait()}")
        *lines, self._unread = (self._unread + chunk).split(b"\n")
        return [json.loads(line) for line in lines]

    def wait(self, seconds: float) -> None:
        """Wait until there is something to read, or room for what is not sent."""
        select.select([self._from], [self._to] if self._unsent else [], [], seconds)

    def kill(self) -> None:
        """End it, whatever it does; that ends wandb's own process too."""
        self._process.kill()
        self._process.wait()
        for pipe in self._pipes:
            pipe.close()
