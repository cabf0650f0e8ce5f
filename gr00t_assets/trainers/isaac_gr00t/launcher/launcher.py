"""Runs NVIDIA's fine-tuning script as a launch file says: ``python launcher.py LAUNCH.json``.

This file and the ``launcher_*.py`` beside it run under the checkout's Python 3.10, where this
package is not installed: they need the standard library and what the checkout has. What the script
hard-codes is replaced in the imported modules, by ``launcher_n15.py`` or ``launcher_n17.py``, and
nothing in the checkout is changed. For several GPUs ``torchrun`` starts it.

Ends with 0 when ``max_steps`` are done, 130 after a request to stop, 1 after an error. Under
``torchrun``, which would call 130 a failure, a request to stop ends with 0 too.
"""

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from launcher_checkpoints import Launch, RefusedError, check_start
from launcher_recorder import StoppedError, StopRequest


def main(arguments: list[str]) -> int:
    """Train; returns the exit code."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python launcher.py LAUNCH.json\n")
        return 2
    launch = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    stop = StopRequest(Path(launch["stop_file"]))
    try:
        finished = train(launch, stop)
    except RefusedError as error:
        sys.stderr.write(f"Refusal: {error}\n")
        return 1
    return 0 if finished or "TORCHELASTIC_RUN_ID" in os.environ else 130


def train(launch: Launch, stop: StopRequest) -> bool:
    """Train to ``max_steps``; False where it stopped before, on request."""
    check_start(launch)
    generation: Any = importlib.import_module(launch["launcher"])
    # In place of this folder, whose other files must not be taken for modules of the checkout.
    sys.path[0] = launch["checkout"]
    recorder, run_script = generation.prepare(launch, stop)
    # The script seeds only once the model is built, so that its new parts would differ.
    importlib.import_module("transformers").set_seed(launch["training_arguments"]["seed"])
    try:
        run_script()
    except StoppedError:
        return False
    finally:
        recorder.write_facts()
    return not recorder.stopped


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
