"""Python programs as processes of their own that need not import torch and transformers again.

A fork server imports them once; each program is a fork of it, with its own environment, arguments
and output. A training then takes one second in place of six.
"""

import multiprocessing
import os
import runpy
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

PRELOADED = ["torch", "transformers.trainer", "accelerate", "pandas", "av", "huggingface_hub"]


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    code: int
    output: str


class Program:
    """A Python file that runs.

    Args:
        file: The file.
        arguments: What ``sys.argv`` has after it.
        environment: All its environment variables.
        output: Where its stdout and stderr go.
    """

    def __init__(
        self, file: Path, arguments: Sequence[str], environment: Mapping[str, str], output: Path
    ) -> None:
        output.touch()
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self._output = output
        self._process = context.Process(
            target=_run, args=(str(file), list(arguments), dict(environment), str(output))
        )
        with pytest.MonkeyPatch.context() as patch:
            for name in set(os.environ) - set(environment):
                patch.delenv(name)
            for name, value in environment.items():
                patch.setenv(name, value)
            self._process.start()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so, while it runs."""
        until = time.monotonic() + 300
        while not condition():
            assert self._process.is_alive(), self._output.read_text()
            assert time.monotonic() < until, "waited too long"
            time.sleep(0.01)

    def ended(self, seconds: float = 600) -> Ended:
        """Wait for its end."""
        self._process.join(seconds)
        if self._process.exitcode is None:
            self._process.kill()
            raise AssertionError(self._output.read_text())
        return Ended(self._process.exitcode, self._output.read_text())


def _run(file: str, arguments: list[str], environment: dict[str, str], output: str) -> None:
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    multiprocessing.set_start_method("fork", force=True)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [file, *arguments]
    sys.path[:0] = [str(Path(file).parent), *environment.get("PYTHONPATH", "").split(os.pathsep)]
    runpy.run_path(file, run_name="__main__")
