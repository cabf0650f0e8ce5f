"""From a server to an arm with LeRobot's interface, and what stops it."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial

import numpy as np
import pytest

from gr00t_assets.core.errors import ObservationError, ServingError
from gr00t_assets.serving.robot_loop import ChunkPlayer, RobotLoop, joints_of
from gr00t_assets.serving.safety import JointLimits
from gr00t_assets_tests.serving.arm import (
    CENTRE,
    HIGH,
    JOINTS,
    LOW,
    ArmPolicy,
    SimulatedArm,
    SimulatedClock,
)

SPEED = 100.0
START = CENTRE + np.array([20, 20, -15, -15, 20, 30])


class Person:
    """Holds the dead-man for so many looks, lets go for as many, and so on; or always."""

    def __init__(self, looks: int | None = None) -> None:
        self.looks, self.seen = looks, 0

    def __call__(self) -> bool:
        self.seen += 1
        return self.looks is None or (self.seen - 1) // self.looks % 2 == 0


@pytest.fixture
def loop_of(serve, connect, log) -> Callable[..., RobotLoop]:
    """Makes a loop that asks a server."""

    def make(arm: SimulatedArm, person: Person | None = None, **options) -> RobotLoop:
        client = connect(serve())
        described = client.describe()
        limits = JointLimits(
            described.action_names, described.action_low, described.action_high, SPEED
        )
        options = {"log": log.append, "clock": SimulatedClock(), **options}
        return RobotLoop(arm, described, client.act, limits, person or Person(), **options)

    return make


def test_the_arm_goes_where_the_policy_wants_it(loop_of, policy):
    arm = SimulatedArm(START)
    drive = loop_of(arm).run("pick up the can", seconds=1.0)
    assert np.abs(arm.position - CENTRE).max() < np.abs(START - CENTRE).max() / 4
    assert asdict(drive) == {
        **{"steps": 50, "chunks": 7, "held_seconds": 0, "late_chunks": 0},
        "limited_steps": drive.limited_steps,
    }
    assert policy.asked[0].instructions == ["pick up the can"]


@pytest.mark.parametrize("options", [{}, {"ensemble": 0.01, "replan_every": 2}])
def test_no_policy_moves_it_fast_or_out_of_its_range(loop_of, policy, options):
    policy.goal = CENTRE + 10_000
    arm = SimulatedArm(START)
    drive = loop_of(arm, **options).run("go", seconds=0.5)
    sent = np.array([START, *arm.sent])
    assert (
        np.abs(np.diff(sent, axis=0)) <= SPEED * 3 / 50 + 1e-6
    ).all()  # three ticks of 50 a second
    assert (sent >= LOW - 1e-6).all() and (sent <= HIGH + 1e-6).all()
    assert drive.limited_steps == drive.steps == 25


def test_it_stays_while_the_dead_man_is_not_held(loop_of, log):
    arm = SimulatedArm(START)
    person = Person(looks=10)
    person.seen = 10  # begins with nobody there
    loop = loop_of(arm, person)
    drive = loop.run("go", seconds=0.8)
    np.testing.assert_allclose(arm.sent[:10], [START] * 10)
    assert drive.held_seconds == pytest.approx(0.4) and drive.steps == 20
    assert log.index("holding: the dead-man is not held") < log.index("moving")


def test_a_chunk_of_before_is_not_played_after_a_pause(loop_of, policy):
    arm = SimulatedArm(START)
    drive = loop_of(arm, Person(looks=3), replan_every=16).run("go", seconds=0.6)
    assert (drive.chunks, drive.steps) == (5, 15)


def test_an_answer_that_comes_late_is_not_played(loop_of, log):
    arm, clock = SimulatedArm(START), SimulatedClock()
    loop = loop_of(arm, oldest=0.1, clock=clock)
    slowly(loop, clock, 0.12)
    drive = loop.run("go", seconds=0.5)
    assert drive.late_chunks == drive.chunks == 5 and drive.steps == 0
    np.testing.assert_allclose(arm.sent, [START] * len(arm.sent))
    assert any("0.12 s after its observation; not played" in line for line in log)


def test_a_slow_answer_allows_no_jump(loop_of, policy):
    policy.goal = CENTRE + 10_000
    arm, clock = SimulatedArm(START), SimulatedClock()
    loop = loop_of(arm, oldest=5, clock=clock)
    slowly(loop, clock, 2.0)
    loop.run("go", seconds=5)
    steps = np.abs(np.diff([START, *arm.sent], axis=0))
    assert steps.max() == pytest.approx(SPEED * 3 / 50)  # three ticks, not two seconds


def slowly(loop: RobotLoop, clock: SimulatedClock, seconds: float) -> None:
    """Let every answer take so long."""
    answered = loop.act

    def act(observation):
        clock.sleep(seconds)
        return answered(observation)

    loop.act = act


def test_a_camera_that_hangs_stops_it_where_it_is(loop_of):
    arm = SimulatedArm(START)
    arm.frozen = ("wrist",)
    with pytest.raises(ObservationError, match="wrist: the image of this camera has not changed"):
        loop_of(arm, frozen=0.2).run("go", seconds=5)
    np.testing.assert_allclose(arm.sent[-1], arm.position)


def test_nan_stops_it_and_is_not_sent(loop_of, policy):
    arm = SimulatedArm(START)
    policy.goal = CENTRE * np.nan
    with pytest.raises(ServingError, match="NaN or infinity"):
        loop_of(arm).run("go", seconds=5)
    assert np.isfinite(arm.sent).all()
    np.testing.assert_allclose(arm.sent, [START] * len(arm.sent))


def test_a_server_that_is_gone_stops_it(loop_of, policy):
    arm = SimulatedArm(START)
    loop, asked = loop_of(arm), []

    def act(client_act, observation):
        asked.append(observation)
        if len(asked) > 1:
            raise ServingError("server", "does not answer.")
        return client_act(observation)

    loop.act = partial(act, loop.act)
    with pytest.raises(ServingError):
        loop.run("go", seconds=5)
    np.testing.assert_allclose(arm.sent[-1], arm.position)


def test_a_robot_that_is_gone_is_what_is_told(loop_of, log):
    arm = SimulatedArm(START)
    loop = loop_of(arm)

    def unplugged(action):
        raise ConnectionError("the bus does not answer")

    arm.send_action = unplugged
    with pytest.raises(ConnectionError, match="the bus"):
        loop.run("go", seconds=5)
    assert any("could not be told to stay" in line for line in log)


def test_joints_are_matched_by_their_names_and_not_by_their_places():
    described = ArmPolicy().description
    arm = SimulatedArm()
    assert joints_of(arm, described) == list(JOINTS)
    older = described._replace(action_names=tuple(f"main_{n.split('.')[0]}" for n in JOINTS[::-1]))
    assert joints_of(arm, older) == list(JOINTS[::-1])


def test_another_robot_is_refused():
    described = ArmPolicy().description._replace(action_names=(*JOINTS[:5], "jaw.pos"))
    with pytest.raises(ServingError, match="another robot") as error:
        joints_of(SimulatedArm(), described)
    assert error.value.details == (
        "the robot has no jaw.pos",
        "the policy does not move gripper.pos",
    )


def chunk(value: float, horizon: int = 4) -> np.ndarray:
    """Two joints; the step is in the digits behind the point."""
    steps = value + np.arange(horizon)[:, None] / 10
    return np.repeat(steps, 2, axis=1)


def played(player: ChunkPlayer, steps: int) -> tuple[list[float], list[int]]:
    """The first joint of so many actions, and the steps at which a chunk was asked for."""
    actions, asked = [], []
    for step in range(steps):
        if player.needs_chunk():
            asked.append(step)
            player.add(chunk(len(asked), player.horizon))
        actions.append(float(player.next()[0]))
    return actions, asked


def test_a_whole_chunk_is_played_and_then_the_next():
    actions, asked = played(ChunkPlayer(4, 4), 6)
    assert actions == pytest.approx([1.0, 1.1, 1.2, 1.3, 2.0, 2.1])
    assert asked == [0, 4]


def test_replanning_drops_the_rest_of_a_chunk():
    actions, asked = played(ChunkPlayer(4, 3), 7)
    assert actions == pytest.approx([1.0, 1.1, 1.2, 2.0, 2.1, 2.2, 3.0])
    assert asked == [0, 3, 6]


def test_temporal_ensembling_weighs_the_oldest_most():
    actions, _ = played(ChunkPlayer(3, 1, ensemble=0.5), 4)
    weights = np.exp(-0.5 * np.arange(3))
    predicted = [1.2, 2.1, 3.0]  # of step 2: the oldest chunk's third step, and so on
    assert actions[2] == pytest.approx(np.dot(weights, predicted) / weights.sum())
    assert actions[3] == pytest.approx(np.dot(weights, [2.2, 3.1, 4.0]) / weights.sum())


def test_without_a_weight_it_is_the_mean():
    actions, _ = played(ChunkPlayer(3, 1, ensemble=0), 3)
    assert actions == pytest.approx([1.0, (1.1 + 2.0) / 2, (1.2 + 2.1 + 3.0) / 3])


def test_chunks_that_agree_are_not_changed_by_ensembling():
    truth = np.arange(20.0)
    player, actions = ChunkPlayer(5, 2, ensemble=0.01), []
    for step in range(12):
        if player.needs_chunk():
            player.add(truth[step : step + 5, None])
        actions.append(player.next()[0])
    np.testing.assert_allclose(actions, truth[:12])


def test_what_is_cleared_is_asked_for_anew():
    player = ChunkPlayer(4, 4, ensemble=0.1)
    player.add(chunk(1))
    player.next()
    player.clear()
    assert player.needs_chunk()
    with pytest.raises(ValueError, match="no chunk reaches"):
        player.next()


@pytest.mark.parametrize(
    "options", [(4, 0), (4, 5), (4, 2, -0.1), (4, 2, float("nan")), (4, 2, float("inf"))]
)
def test_settings_that_mean_nothing_are_refused(options):
    with pytest.raises(ValueError, match=r"^(replan_every|ensemble) is"):
        ChunkPlayer(*options)


def test_a_chunk_of_another_length_is_refused():
    with pytest.raises(ValueError, match="4 steps, not 3"):
        ChunkPlayer(4, 1).add(chunk(1, 3))
