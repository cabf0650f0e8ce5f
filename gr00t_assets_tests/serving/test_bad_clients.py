"""A client that sends garbage, too much, or nothing ends nothing and stands in nobody's way."""

import os
import socket
from concurrent.futures import ThreadPoolExecutor

import msgpack
import numpy as np
import pytest
import zmq

from gr00t_assets.core.errors import ServingError
from gr00t_assets.serving.messages import decode, encode
from gr00t_assets_tests.serving.arm import TASK, isaac_observation, observation

GARBAGE = [
    b"",
    b"\x00" * 1000,
    os.urandom(1000),
    msgpack.packb(7),
    msgpack.packb({}),
    msgpack.packb({"endpoint": "get_action"}),
    msgpack.packb({"endpoint": ["get_action"], "data": {}}),
    msgpack.packb({"endpoint": "act", "data": [1]}),
    msgpack.packb({"endpoint": "act", "data": {1: 2}}, strict_types=True),
    msgpack.packb({"endpoint": "act", "data": {"state": {"a": {}}}, "api_token": {}}),
    encode({"endpoint": "get_action", "data": {"video.front": np.zeros(())}}),
    encode({"endpoint": "get_action", "data": {"state.single_arm": np.zeros((0, 1, 5))}}),
    encode({"endpoint": "get_action", "data": {"state.single_arm": np.zeros((900, 1, 5))}}),
    encode({"endpoint": "get_action", "data": {TASK: [[1], [2, 3]]}}),
]


@pytest.mark.parametrize("kind", [zmq.REQ, zmq.DEALER])
@pytest.mark.parametrize("content", GARBAGE)
def test_garbage_is_answered_with_an_error(content, kind, serve, send, connect):
    server = serve()
    (answer,) = send(server, [content], kind=kind)
    assert set(answer) == {"error"} and isinstance(answer["error"], str)
    assert connect(server).act(observation()).flat.shape == (16, 6)


def test_frames_without_end_or_order_are_answered_or_dropped(serve, send, connect):
    server = serve()
    for answer in send(server, [b""] * 50, [b"", b"", os.urandom(10)], [os.urandom(5)] * 3):
        assert set(answer) == {"error"}
    connect(server).act(observation())


def test_bytes_that_are_no_zeromq_end_nothing(serve, connect):
    server = serve()
    for content in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(5000), b"\xff" + bytes(8) + b"\x7f"):
        with socket.create_connection(("127.0.0.1", server.port)) as raw:
            raw.sendall(content)
    assert connect(server).act(observation()).flat.shape == (16, 6)


def test_who_says_nothing_stands_in_nobodys_way(serve, connect):
    server = serve()
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
    assert connect(server).act(observation()).flat.shape == (16, 6)
    for connection in silent:
        connection.close()


def test_who_sends_too_much_is_disconnected_and_others_are_served(serve, send, connect):
    server = serve(most_bytes=1 << 20)
    assert send(server, [bytes(4 << 20)], wait=500) == []
    assert connect(server).act(observation()).flat.shape == (16, 6)


def test_who_never_reads_answers_stands_in_nobodys_way(serve, connect):
    server = serve()
    context = zmq.Context()
    deaf = context.socket(zmq.DEALER)
    deaf.setsockopt(zmq.RCVHWM, 1)
    deaf.connect(f"tcp://127.0.0.1:{server.port}")
    ping = encode({"endpoint": "get_modality_config"})
    for _ in range(3000):
        deaf.send(ping)
    assert connect(server).act(observation()).flat.shape == (16, 6)
    context.destroy(linger=0)


def test_who_asks_too_often_is_told_so_and_others_are_served(policy, serve, connect):
    server = serve(time_limit=60)
    policy.gate.clear()
    context = zmq.Context()
    greedy = context.socket(zmq.DEALER)
    greedy.connect(f"tcp://127.0.0.1:{server.port}")
    for _ in range(30):
        greedy.send(encode({"endpoint": "act", "data": observation()}))
    refused = [decode(greedy.recv()) for _ in range(25) if greedy.poll(60_000)]
    assert all("too many requests" in answer["error"] for answer in refused)
    policy.gate.set()
    assert connect(server, timeout=60).act(observation()).flat.shape == (16, 6)
    answered = [decode(greedy.recv()) for _ in range(5) if greedy.poll(60_000)]
    assert len(refused) == 25 and [len(answer["flat"]) for answer in answered] == [16] * 5
    context.destroy(linger=0)


def test_clients_at_once_get_their_own_answers(serve, connect):
    server = serve()

    def ask(number: int) -> float:
        client = connect(server)
        for _ in range(5):
            first = client.act({**observation(), "shoulder_pan.pos": float(number)}).flat[0, 0]
        return first

    with ThreadPoolExecutor(8) as pool:
        firsts = list(pool.map(ask, range(8)))
    expected = [number * 15 / 16 for number in range(8)]  # a sixteenth of the way to 0
    np.testing.assert_allclose(firsts, expected, atol=1e-4)


def test_a_batch_with_another_number_of_a_key_is_refused(serve, connect):
    asked = isaac_observation()
    batch = {name: np.stack([value, value]) for name, value in asked.items() if name != TASK}
    batch["state.gripper"] = batch["state.gripper"][:1]
    with pytest.raises(ServingError, match="as many of every key") as error:
        connect(serve()).get_action({**batch, TASK: asked[TASK]})
    assert "state.gripper: 1" in error.value.details
