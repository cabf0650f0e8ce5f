"""What a trainer takes for a request to stop: one, however often it is signalled at once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gr00t_assets.runs.manifest import Manifest, Outcome
from gr00t_assets.trainers.attempt import Attempt, StopRequest, stop_on_signal
from gr00t_assets.trainers.reporter import Reporter
from gr00t_assets_tests.defs.specs import a_spec

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


def test_what_is_stopped_before_its_first_step_has_no_checkpoint(tmp_path, capsys):
    class Untrained(Attempt):
        def train(self, stop: StopRequest) -> Manifest:
            return self.record_stop(stop, 0)

        def outcome(self) -> Outcome:
            return Outcome(trainer_revision="1")

    spec, stop = a_spec(tmp_path), StopRequest()
    spec.run_directory.mkdir(parents=True)
    stop.signal_name = "SIGTERM"
    manifest = Untrained(spec, Reporter(spec.run_directory, 4)).train(stop)
    assert (manifest.status, manifest.steps) == ("interrupted", 0)
    assert capsys.readouterr().out == "stopped by SIGTERM at step 0; the next start begins anew\n"


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
