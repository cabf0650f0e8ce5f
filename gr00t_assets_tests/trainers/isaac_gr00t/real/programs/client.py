"""NVIDIA's own client of a policy server; runs under the checkout's Python.

``client.py ask PORT OBSERVATION OUTPUT``: OBSERVATION is an ``.npz`` with the observation by key,
OUTPUT gets the actions by key; the last line printed is the modality config as JSON.
``client.py record FOLDER``: the messages that the client sends, a file each, are written to FOLDER.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

robot: Any = importlib.import_module("gr00t.eval.robot")
service: Any = importlib.import_module("gr00t.eval.service")
LANGUAGE = "annotation.human.task_description"


def ask(port, observation, output):
    """One observation, as a robot's program sends it."""
    given = dict(np.load(observation, allow_pickle=False))
    texts = {name: [str(value)] for name, value in given.items() if value.dtype.kind == "U"}
    client = robot.RobotInferenceClient(host="127.0.0.1", port=int(port))
    assert client.ping()
    configs = client.get_modality_config()
    np.savez(output, **client.get_action({**given, **texts}))
    shown = {name: json.loads(config.model_dump_json()) for name, config in configs.items()}
    sys.stdout.write(json.dumps(shown) + "\n")


class Recorder:
    """A socket that writes what is sent to a file, and answers nothing of use."""

    def __init__(self, file):
        self.file = file

    def send(self, content):
        """Keep what would be sent."""
        self.file.write_bytes(content)

    def recv(self):
        """An answer."""
        return service.MsgSerializer.to_bytes({})

    def close(self):
        """Nothing is open."""


def record(folder):
    """An SO-100's observation as ``examples/SO-100/eval_lerobot.py`` makes it, and other calls."""
    state = np.array([0.0, -40.0, 57.5, 65.0, 0.0, 50.0])
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (2, 24, 32, 3), dtype=np.uint8)
    one = {
        "video.front": images[:1],
        "video.wrist": images[1:],
        "state.single_arm": state[None, :5].astype(np.float64),
        "state.gripper": state[None, 5:6].astype(np.float64),
        LANGUAGE: ["pick up the can"],
    }
    batch = {
        name: np.stack([value, value]) if isinstance(value, np.ndarray) else [value, value]
        for name, value in one.items()
    }
    single = {
        name: value.astype(np.float32) if name.startswith("state") else value
        for name, value in one.items()
    }
    calls = {
        "ping": lambda client: client.ping(),
        "kill": lambda client: client.kill_server(),
        "get_modality_config": lambda client: client.get_modality_config(),
        "get_action": lambda client: client.get_action(one),
        "get_action_float32": lambda client: client.get_action(single),
        "get_action_batch": lambda client: client.get_action(batch),
    }
    tokens = {"get_action_token": "a-token-of-the-tests"}
    for name, call in (calls | dict.fromkeys(tokens, calls["get_action"])).items():
        client = robot.RobotInferenceClient(api_token=tokens.get(name))
        client.socket.close()
        client.socket = Recorder(Path(folder) / f"{name}.msgpack")
        call(client)
    sys.stdout.write("{}\n")


{"ask": ask, "record": record}[sys.argv[1]](*sys.argv[2:])
