"""Environments in processes: what hangs, crashes or raises fails alone."""

import time

import numpy as np

from gr00t_assets.environments.declared_env import Shown
from gr00t_assets.environments.environment_file import Environment
from gr00t_assets.environments.episode_processes import EnvironmentProcesses, Failure, Reset, Step
from gr00t_assets_tests.environments.point_env import POINT

TROUBLE = {"1": "hang", "2": "crash", "3": "raise"}


def point(**fields: object) -> Environment:
    return Environment.model_validate({"name": "point", **POINT, **fields})


def test_what_hangs_crashes_or_raises_fails_alone_and_its_place_goes_on() -> None:
    environment = point(episode_seconds=1.5, kwargs={"trouble": TROUBLE})
    with EnvironmentProcesses(environment, 4) as processes:
        answers = processes.ask({place: Reset(place) for place in range(4)})
        assert all(isinstance(answer, Shown) for answer in answers.values())
        for _ in range(3):
            answers = processes.ask({place: Step(np.zeros(3)) for place in range(4)})
        assert isinstance(answers[0], Shown)
        assert answers[1] == Failure("time limit", "it took more than 1.5 seconds")
        assert answers[2] == Failure("error", "its process ended with SIGSEGV")
        assert answers[3] == Failure("error", "RuntimeError: the gripper is on fire")
        began = time.monotonic()
        again = processes.ask({place: Reset(7) for place in range(4)})
        shown = [answer for answer in again.values() if isinstance(answer, Shown)]
        states = [answer.observation["state.arm"] for answer in shown]
        np.testing.assert_array_equal(states, [states[0]] * 4)
        assert time.monotonic() - began < 30


def test_what_cannot_be_opened_is_an_error_for_people() -> None:
    with EnvironmentProcesses(point(kwargs={"sise": 3}), 2) as processes:
        answers = processes.ask({0: Reset(0), 1: Reset(0)})
    for answer in answers.values():
        assert isinstance(answer, Failure)
        assert "it cannot be opened" in str(answer.error("point"))


def test_a_process_tells_what_it_offers() -> None:
    with EnvironmentProcesses(point(), 1) as processes:
        shown = processes.ask({0: Reset(0)})[0]
        assert isinstance(shown, Shown)
        assert "pixels (16, 16, 3) uint8" in shown.offers
        assert processes.names == ("joint_0", "joint_1", "joint_2") and processes.has_expert
        shown = processes.ask({0: Step(None)})[0]
        assert isinstance(shown, Shown) and (shown.score or 0) > 0
