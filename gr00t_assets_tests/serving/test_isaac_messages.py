"""What Isaac-GR00T's client of the N1.5 line sends, byte for byte, and how it is answered.

The files of ``data/isaac_messages`` are what ``RobotInferenceClient`` of NVIDIA/Isaac-GR00T at
4af2b62 (2025-11-05) sends: ``real/programs/client.py record FOLDER`` below
``trainers/isaac_gr00t``, run under a Python with the dependencies of that checkout, made them.
"""

from pathlib import Path

import msgpack
import numpy as np
import pytest
import zmq

from gr00t_assets_tests.serving.arm import CENTRE, TASK, isaac_observation

RECORDED = Path(__file__).parents[1] / "data" / "isaac_messages"
TOKEN = "a-token-of-the-tests"


def recorded(name: str) -> list[bytes]:
    return [(RECORDED / f"{name}.msgpack").read_bytes()]


def test_ping_and_kill(serve, send):
    server = serve()
    assert send(server, recorded("ping"), kind=zmq.REQ) == [
        {"status": "ok", "message": "Server is running"}
    ]
    (answer,) = send(server, recorded("kill"), kind=zmq.REQ)
    assert "not stopped over the network" in answer["error"]
    assert send(server, recorded("ping"), kind=zmq.REQ)[0]["status"] == "ok"


def test_the_modality_config_is_in_the_clients_form(serve):
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.connect(f"tcp://127.0.0.1:{serve().port}")
        socket.send(recorded("get_modality_config")[0])
        answer = msgpack.unpackb(socket.recv())
    assert set(answer) == {"video", "state", "action", "language"}
    assert answer["video"] == {
        "__ModalityConfig_class__": True,
        "as_json": '{"delta_indices": [0], "modality_keys": ["video.front", "video.wrist"]}',
    }
    assert TASK in answer["language"]["as_json"]


@pytest.mark.parametrize("name", ["get_action", "get_action_float32"])
def test_an_observation_is_answered_by_key(name, policy, serve, send):
    (answer,) = send(serve(), recorded(name), kind=zmq.REQ)
    assert answer["action.single_arm"].shape == (16, 5)
    assert answer["action.gripper"].shape == (16, 1)
    (asked,) = policy.asked
    assert list(asked.instructions) == ["pick up the can"] and asked.frames.shape[1:] == (
        2,
        48,
        64,
        3,
    )
    here = policy.act({"state": CENTRE, "task": "go", **_images()})
    np.testing.assert_allclose(answer["action.single_arm"], here.by_key["single_arm"], atol=1e-3)


def _images() -> dict[str, np.ndarray]:
    seen = isaac_observation()
    return {name: seen[name][0] for name in ("video.front", "video.wrist")}


def test_a_batch_is_one_call_of_the_model(policy, serve, send):
    (answer,) = send(serve(), recorded("get_action_batch"), kind=zmq.REQ)
    assert answer["action.single_arm"].shape == (2, 16, 5)
    assert answer["action.gripper"].shape == (2, 16, 1)
    (asked,) = policy.asked
    assert len(asked) == 2 and list(asked.instructions) == ["pick up the can"] * 2


def test_the_clients_token(serve, send):
    server = serve(token=TOKEN)
    (answer,) = send(server, recorded("get_action"), kind=zmq.REQ)
    assert answer == {"error": "request: Unauthorized: Invalid API token"}
    assert "action.gripper" in send(server, recorded("get_action_token"), kind=zmq.REQ)[0]


@pytest.mark.parametrize("text", [["go"], np.array(["go"]), "go", [["go"]]])
@pytest.mark.parametrize("key", [TASK, "annotation.human.action.task_description", "task"])
def test_the_instruction_in_the_forms_of_its_clients(text, key, policy, serve, connect):
    asked = isaac_observation()
    del asked[TASK]
    connect(serve()).get_action({**asked, key: text})
    assert list(policy.asked[0].instructions) == ["go"]
