"""What a trainer takes for a request to stop: one, however often it is signalled at once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gr00t_assets.trainers.attempt import stop_on_signal

RECORDER = Path(__file__).parents[2] / "gr00t_assets/trainers/isaac_gr00t/launcher"
WAITS = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from launcher_recorder import StopRequest
stop = StopRequest(Path(sys.argv[1]) / "no such file")
print("ready", flush=True)
while not stop.asked:
    time.sleep(0.01)
print("asked", flush=True)
time.sleep(60)
"""


def test_signals_within_a_second_are_one_request():
    with stop_on_signal() as stop:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGINT):
            os.kill(os.getpid(), number)
        assert stop.asked and stop.signal_name == "SIGTERM"
        time.sleep(1.1)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)


def test_the_isaac_launcher_takes_them_for_one_as_well():
    command = [sys.executable, "-c", WAITS, str(RECORDER)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "asked\n"
        time.sleep(1.1)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == -signal.SIGINT
