"""The program of ``docs/robot.md`` drives an arm as it stands; LeRobot's classes are simulated."""

import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np

from gr00t_assets_tests.serving.arm import HIGH, LOW

PAGE = Path(__file__).parents[2] / "docs" / "robot.md"
LEROBOT = {
    "cameras/opencv/configuration_opencv.py": """
class OpenCVCameraConfig:
    def __init__(self, index_or_path, width, height, fps): pass
""",
    "robots/so_follower.py": """
import atexit, numpy as np
from gr00t_assets_tests.serving.arm import CENTRE, SimulatedArm

class SO101FollowerConfig:
    def __init__(self, port, id, cameras, use_degrees):
        assert sorted(cameras) == ["front", "wrist"] and use_degrees

class SO101Follower(SimulatedArm):
    def __init__(self, config):
        super().__init__(CENTRE + 10)
    def connect(self): pass
    def disconnect(self):
        np.save("sent.npy", self.sent)
""",
}


def test_the_program_of_the_page_moves_the_arm_while_the_key_is_held(serve, tmp_path):
    program = next(
        block
        for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
        if "SO101Follower" in block
    )
    program = program.replace("port=5555", f"port={serve().port}").replace(
        "seconds=60", "seconds=3"
    )
    for name, text in LEROBOT.items():
        file = tmp_path / "lerobot" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    keyboard, terminal = pty.openpty()
    over = threading.Event()

    def hold() -> None:
        while not over.wait(0.03):
            os.write(keyboard, b" ")

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        done = subprocess.run(
            [sys.executable, "-c", program],
            stdin=terminal,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": f"{tmp_path}:{PAGE.parents[1]}"},
            capture_output=True,
            text=True,
        )
    finally:
        over.set()
        holder.join()
        os.close(keyboard)
        os.close(terminal)
    assert done.returncode == 0, done.stderr
    assert "moving" in done.stdout and "Drive(steps=" in done.stdout
    sent = np.load(tmp_path / "sent.npy")
    assert np.abs(sent[-1] - sent[0]).max() > 1
    assert (sent >= LOW - 1e-6).all() and (sent <= HIGH + 1e-6).all()
