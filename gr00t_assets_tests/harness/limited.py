"""Code in processes of its own that may use so much memory and so many seconds."""

import json
import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from gr00t_assets.core.errors import Gr00tAssetsError

MEMORY = 10**9
"""Bytes of data that a process may have, modules included."""

SECONDS = 10.0
"""Of a processor, modules not included."""

WALL_SECONDS = 60.0
"""Until it has to be over, on a machine that does much else."""


@dataclass(frozen=True)
class Result:
    """What came of one piece of code.

    Attributes:
        code: Exit status; minus the signal that ended it.
        seconds: Of a processor.
        output: What it printed, with the error for people that it ended with.
    """

    code: int
    seconds: float
    output: str

    def refused(self) -> str:
        """The message of one that ended with an error for people, soon and within the memory."""
        assert self.code == 1, (self.code, self.seconds, self.output[-2000:])
        assert "Traceback" not in self.output, self.output[-2000:]
        return self.output

    def done(self) -> str:
        """What was printed by one that ended well, soon and within the memory."""
        assert self.code == 0, (self.code, self.seconds, self.output[-2000:])
        return self.output


def run_limited(
    pieces: Mapping[str, str], modules: str = "", memory: int = MEMORY, **variables: str
) -> dict[str, Result]:
    """Run each piece of code in a process of its own, forked from one that has the modules.

    Args:
        pieces: Python code by name.
        modules: Code that all of them begin with, without a limit.
        memory: Bytes of data.
        variables: Of the environment.
    """
    finished = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps([dict(pieces), modules, memory]),
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **variables},
        capture_output=True,
        text=True,
        timeout=60 + WALL_SECONDS * len(pieces),
    )
    assert finished.returncode == 0, finished.stderr
    return {name: Result(**result) for name, result in json.loads(finished.stdout).items()}


def _limited(code: str, known: dict[str, object], memory: int, output: Path) -> None:
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used + SECONDS), math.ceil(used + SECONDS)))
    status = 0
    try:
        exec(code, known)
    except Gr00tAssetsError as error:
        status = 1
        sys.stderr.write(error.explain())
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        status = 70
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _result(code: str, known: dict[str, object], memory: int, output: Path) -> Result:
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _limited(code, known, memory, output)
    while not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        time.sleep(0.01)
        if time.monotonic() > began + WALL_SECONDS:
            os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    seconds = usage.ru_utime + usage.ru_stime
    return Result(os.waitstatus_to_exitcode(status), seconds, output.read_text(errors="replace"))


def _main() -> None:
    pieces, modules, memory = json.load(sys.stdin)
    known: dict[str, object] = {}
    exec(modules, known)
    with tempfile.TemporaryDirectory() as folder:
        results = {
            name: asdict(_result(code, dict(known), memory, Path(folder, str(number))))
            for number, (name, code) in enumerate(pieces.items())
        }
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    _main()
