"""A policy over the network gives what it gives in the process."""

import time

import numpy as np
import pytest

from gr00t_assets.core.errors import ServingError
from gr00t_assets.serving.client import PolicyClient
from gr00t_assets.serving.server import PolicyServer, is_loopback, serving
from gr00t_assets_tests.serving.arm import (
    HIGH,
    JOINTS,
    LOW,
    ArmPolicy,
    isaac_observation,
    observation,
)

TOKEN = "a-token-of-the-tests"


def test_our_client_gets_what_the_policy_answers(policy, serve, connect):
    client = connect(serve())
    chunk, here = client.act(observation()), policy.act(observation())
    np.testing.assert_array_equal(chunk.flat, here.flat)
    np.testing.assert_array_equal(chunk.times, here.times)
    assert chunk.names == here.names == JOINTS and chunk.warnings == here.warnings == ()
    assert set(chunk.by_key) == {"single_arm", "gripper"}


def test_the_client_is_told_whose_policy_it_is(policy, serve, connect):
    described = connect(serve()).describe()
    assert described.state_names == described.action_names == JOINTS
    np.testing.assert_allclose(described.action_low, LOW)
    np.testing.assert_allclose(described.action_high, HIGH)
    assert (described.fps, described.horizon, described.cameras) == (50, 16, ("front", "wrist"))


def test_warnings_reach_the_client_and_the_log(serve, connect, log):
    chunk = connect(serve()).act({**observation(), "shoulder_lift.pos": 60.0})
    assert chunk.warnings == ("shoulder_lift.pos is 60, outside the trained range -90 to 10",)
    assert any("shoulder_lift.pos is 60" in line for line in log)


def test_an_observation_that_cannot_be_acted_on_is_told_to_the_client(serve, connect):
    client = connect(serve())
    with pytest.raises(ServingError, match="this observation cannot be acted on") as error:
        client.act({"front": observation()["front"]})
    assert "camera wrist: is missing" in error.value.details
    client.act(observation())


def test_nan_is_an_error_and_not_an_answer(policy, serve, connect):
    client = connect(serve())
    policy.goal = np.array([0, 0, np.nan, 0, 0, 0])
    for endpoint, asked in (("act", observation()), ("get_action", isaac_observation())):
        with pytest.raises(ServingError, match=r"answers with NaN or infinity: elbow_flex\.pos"):
            client.call(endpoint, asked)
    assert client.health()["refused"] == 2


def test_a_failure_of_the_model_is_told_and_ends_nothing(policy, serve, connect, monkeypatch):
    client = connect(serve())
    with monkeypatch.context() as patch:
        patch.setattr(policy, "predict", lambda *_: 1 / 0)
        with pytest.raises(ServingError, match="ZeroDivisionError"):
            client.act(observation())
    client.act(observation())


def test_only_who_has_the_token_is_answered(serve, connect):
    server = serve(token=TOKEN)
    for token in (None, "", "another", TOKEN + "x"):
        client = connect(server, token=token)
        for endpoint in ("ping", "health", "describe", "get_modality_config"):
            with pytest.raises(ServingError, match="Unauthorized"):
                client.call(endpoint)
        with pytest.raises(ServingError, match="Unauthorized"):
            client.act(observation())
    assert connect(server, token=TOKEN).act(observation()).flat.shape == (16, 6)


@pytest.mark.parametrize("host", ["0.0.0.0", "*", "::", "192.168.0.7", "robot.local"])
def test_the_network_is_not_served_without_a_token(host, policy):
    assert not is_loopback(host)
    with pytest.raises(ServingError, match="could move the robot"):
        PolicyServer(policy, host, 0)


def test_the_network_is_served_with_one(policy):
    server = PolicyServer(policy, "0.0.0.0", 0, token=TOKEN)
    with serving(server), PolicyClient(port=server.port, token=TOKEN) as client:
        assert client.call("ping")["status"] == "ok"


def test_localhost_is_this_machine(policy):
    server = PolicyServer(policy, "localhost", 0)
    with serving(server), PolicyClient("localhost", server.port) as client:
        assert client.health()["status"] == "ok"


def test_a_port_that_is_taken_is_told(serve, policy):
    with pytest.raises(ServingError, match="cannot be listened at"):
        PolicyServer(policy, port=serve().port)


def test_kill_is_refused(serve, connect):
    client = connect(serve())
    with pytest.raises(ServingError, match="not stopped over the network"):
        client.call("kill")
    with pytest.raises(ServingError, match="did you mean 'health'"):
        client.call("helth")
    assert client.call("ping") == {"status": "ok", "message": "Server is running"}


def test_a_slow_policy_gives_an_error_in_time_and_serves_on(policy, serve, connect):
    client = connect(serve(time_limit=0.3), timeout=60)
    policy.gate.clear()
    with pytest.raises(ServingError, match=r"no answer within 0\.3 s"):
        client.act(observation())
    health = client.health()  # while the model still computes
    assert health["status"] == "ok" and health["busy_seconds"] > 0
    policy.gate.set()
    while client.health()["busy_seconds"]:
        time.sleep(0.02)
    assert client.call("get_action", isaac_observation())["action.gripper"].shape == (16, 1)


def test_the_same_observation_gives_the_same_actions_by_the_seed(serve, connect, monkeypatch):
    noises = []
    predict = ArmPolicy.predict

    def recording(self, observations, noise, denoising_steps=None):
        noises.append(noise)
        return predict(self, observations, noise, denoising_steps)

    monkeypatch.setattr(ArmPolicy, "predict", recording)
    first, other = connect(serve(seed=1)), connect(serve(seed=2))
    for client in (first, first, other):
        client.act(observation())
    np.testing.assert_array_equal(noises[0], noises[1])
    assert np.abs(noises[0] - noises[2]).max() > 0.1


def test_latencies_are_counted_and_logged_at_the_end(policy, log):
    server = PolicyServer(policy, port=0, log=log.append)
    with serving(server), PolicyClient(port=server.port) as client:
        for _ in range(5):
            client.act(observation())
        health = client.health()
    assert health["requests"] == 5 and 0 < health["p50_ms"] <= health["p99_ms"]
    assert log[-1].endswith("over 5 requests; 0 refused")


def test_a_client_says_who_does_not_answer_and_connects_anew(policy, serve, connect):
    server = serve()
    client = connect(server, timeout=0.2)
    policy.gate.clear()
    with pytest.raises(ServingError, match=r"does not answer within 0\.2 s"):
        client.act(observation())
    policy.gate.set()
    client.timeout = 60
    assert client.act(observation()).flat.shape == (16, 6)
