"""Nothing that is fast, far, stale or NaN reaches an arm, whatever a policy says."""

import os
import pty
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gr00t_assets.core.errors import ActionError, ObservationError
from gr00t_assets.serving.safety import FreshImages, JointLimits, held_key
from gr00t_assets_tests.serving.arm import CENTRE, HIGH, JOINTS, LOW

SPEED, TICK = 60.0, 0.02


def limits(**options) -> JointLimits:
    return JointLimits(JOINTS, LOW, HIGH, SPEED, **options)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.001, 0.1))
def test_no_command_is_fast_or_out_of_range(seed, tick):
    draw = np.random.default_rng(seed)
    guard, position = limits(), draw.uniform(LOW, HIGH)
    guard.hold(position)
    for _ in range(20):
        before = position
        position = guard.limited(draw.normal(0, 300, 6), position, tick)
        assert (np.abs(position - before) <= SPEED * tick + 1e-9).all()
        assert (position >= LOW - 1e-9).all() and (position <= HIGH + 1e-9).all()


def test_a_slow_motion_in_range_is_sent_as_it_is():
    guard = limits()
    guard.hold(CENTRE)
    np.testing.assert_allclose(guard.limited(CENTRE + 1, CENTRE, TICK), CENTRE + 1)


def test_an_arm_outside_its_range_comes_back_slowly():
    guard, position = limits(), HIGH + 20
    guard.hold(position)
    first = guard.limited(CENTRE, position, TICK)
    np.testing.assert_allclose(first, position - SPEED * TICK)


def test_an_arm_that_is_held_back_is_not_pushed_ever_harder():
    guard = limits(lead=0.1)
    guard.hold(CENTRE)
    for _ in range(100):
        command = guard.limited(CENTRE + 30, CENTRE, TICK)
    np.testing.assert_allclose(command, CENTRE + SPEED * 0.1)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_stops_with_the_name_of_the_joint(bad):
    wanted = CENTRE.copy()
    wanted[2] = bad
    for asked in ((wanted, CENTRE), (CENTRE, wanted)):
        with pytest.raises(ActionError, match=r"elbow_flex\.pos; nothing is sent"):
            limits().limited(*asked, TICK)
    with pytest.raises(ActionError, match="shape"):
        limits().limited(CENTRE[:5], CENTRE, TICK)


@pytest.mark.parametrize(
    "options",
    [(HIGH, LOW, SPEED), (LOW, HIGH, 0.0), (LOW, HIGH, -1.0), (LOW, HIGH * np.nan, SPEED)],
)
def test_limits_that_limit_nothing_are_refused(options):
    with pytest.raises(ValueError, match="for every joint"):
        JointLimits(JOINTS, *options)


def test_a_camera_that_hangs_is_told_by_name():
    images, draw = FreshImages(1.0), np.random.default_rng(0)
    still = draw.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    for tenth in range(11):
        moving = draw.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        images.check({"front": still.copy(), "wrist": moving, "gripper.pos": 1.0}, tenth / 10)
    with pytest.raises(ObservationError, match=r"front: .* has not changed for 1\.1 s"):
        images.check({"front": still, "wrist": still}, 1.1)


def test_the_space_bar_holds_and_any_other_key_lets_go(monkeypatch):
    import termios

    keyboard, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    with open(terminal, "rb", buffering=0) as file:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdin", file)
        with held_key(seconds=0.2) as held:
            assert not held()
            os.write(keyboard, b" ")
            assert _soon(held)
            time.sleep(0.25)
            assert not held()
            os.write(keyboard, b"  x")
            time.sleep(0.05)
            assert not held()
        assert termios.tcgetattr(terminal)[3] == before[3]
    os.close(keyboard)


def _soon(held) -> bool:
    return any(held() or time.sleep(0.01) for _ in range(50))
