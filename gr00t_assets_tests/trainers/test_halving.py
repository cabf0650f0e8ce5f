"""Which runs are worth going on with."""

import math

import pytest

from gr00t_assets.experiments.pruning import Pruning
from gr00t_assets.runs.halving import decide

THIRDS = Pruning(min_steps=10, reduction_factor=3)


def test_the_best_third_goes_on():
    rivals = [{10: 1.0 + number / 10} for number in range(8)]
    assert not decide({10: 0.9}, rivals, THIRDS).hopeless
    assert not decide({10: 1.15}, rivals, THIRDS).hopeless
    decision = decide({10: 1.35}, rivals, THIRDS)
    assert decision.hopeless
    assert (decision.place, decision.runs) == (5, 9)


@pytest.mark.parametrize("others", [0, 1])
def test_too_few_runs_decide_nothing(others):
    assert not decide({10: 9.0}, [{10: 1.0}] * others, THIRDS).hopeless


def test_only_runs_at_the_same_rung_count():
    early = [{10: 0.1}, {10: 0.2}, {10: 0.3}]
    assert not decide({10: 1.0, 30: 0.9}, early, THIRDS).hopeless
    late = [{10: 0.1, 30: 0.05}, {10: 0.2, 30: 0.06}]
    assert decide({10: 1.0, 30: 0.9}, late, THIRDS).hopeless
    assert not decide({10: 1.0, 30: 0.01}, late, THIRDS).hopeless


def test_a_run_that_diverged_is_behind_every_other():
    rivals = [{10: 1.0}, {10: 2.0}]
    assert decide({10: math.inf}, rivals, THIRDS).hopeless
    assert not decide({10: 1.5}, [{10: math.inf}] * 5, THIRDS).hopeless


def test_rungs_grow_by_the_factor_and_end_before_the_run_does():
    assert THIRDS.rungs(91) == (10, 30, 90)
    assert THIRDS.rungs(90) == (10, 30)
    assert THIRDS.rungs(5) == ()
