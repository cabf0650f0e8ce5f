"""Servers of the drawn arm's policy, and sockets that send what they like."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gr00t_assets.serving.client import PolicyClient
from gr00t_assets.serving.messages import decode
from gr00t_assets.serving.server import PolicyServer, serving
from gr00t_assets_tests.evaluation.runs import a_store, make_data, make_run
from gr00t_assets_tests.serving.arm import ArmPolicy

ServerMaker = Callable[..., PolicyServer]
Raw = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="session")
def arm_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of a tiny model of the drawn SO-101."""
    store = a_store(tmp_path_factory.mktemp("arm"))
    make_data(store, robot="so101", episodes=2)
    return make_run(store, max_steps=2).run_directory


@pytest.fixture
def policy() -> ArmPolicy:
    """Goes to the centre of the joints' ranges."""
    return ArmPolicy()


@pytest.fixture
def log() -> list[str]:
    """Lines of the servers."""
    return []


@pytest.fixture
def serve(policy: ArmPolicy, log: list[str]) -> Iterator[ServerMaker]:
    """Starts a server of the policy on a free port."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(
            serving(PolicyServer(policy, port=0, log=log.append, **options))
        )


@pytest.fixture
def connect() -> Iterator[Callable[..., PolicyClient]]:
    """Makes a client of a server."""
    with ExitStack() as stack:
        yield lambda server, **options: stack.enter_context(
            PolicyClient(port=server.port, **options)
        )


@pytest.fixture
def send() -> Iterator[Raw]:
    """Sends messages of bytes through one socket of a kind, and gives the answers."""
    import zmq

    context = zmq.Context()

    def sent(
        server: PolicyServer, *messages: list[bytes], kind: int = zmq.DEALER, wait: int = 5000
    ) -> list[dict]:
        socket = context.socket(kind)
        socket.connect(f"tcp://127.0.0.1:{server.port}")
        for frames in messages:
            socket.send_multipart(frames)
        answers = []
        while len(answers) < len(messages) and socket.poll(wait):
            answers.append(decode(socket.recv_multipart()[-1]))
        socket.close(linger=0)
        return answers

    yield sent
    context.destroy(linger=0)
