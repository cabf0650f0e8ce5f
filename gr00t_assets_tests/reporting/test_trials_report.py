"""What trials say: pairs, settled or not, how many more, and how often that is wrong."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from gr00t_assets.comparison.statistics.success import mcnemar, rollouts_needed, sequential_p
from gr00t_assets.evaluation.trials.plan import Trial, TrialPlan
from gr00t_assets.evaluation.trials.sheet import Outcomes, TrialOutcome
from gr00t_assets.reporting.trials import PolicyOutcome, PolicyPair, trials_report
from gr00t_assets_tests.evaluation.trials.conftest import PlanMaker, planned, store

__all__ = ["planned", "store"]

Report = tuple[list[PolicyOutcome], list[PolicyPair]]


def report(plan: TrialPlan, won: Callable[[Trial], bool], until: int | None = None) -> Report:
    done = [TrialOutcome(**trial.model_dump(), success=won(trial)) for trial in plan.trials[:until]]
    return trials_report(plan, Outcomes(done=tuple(done), deviations=()))


def test_policies_of_common_conditions_are_paired(planned: PlanMaker) -> None:
    plan = planned(2, 30)
    # A wins from all conditions but five, B from every third.
    told = report(plan, lambda item: item.condition % (6 if item.letter == "A" else 3) > 0)
    assert [item.successes for item in told[0]] == [25, 20]
    (pair,) = told[1]
    assert (pair.blocks, pair.test, pair.letters) == (30, "McNemar", ("A", "B"))
    assert pair.p_value == pytest.approx(mcnemar(0, 5))
    assert pair.is_complete and not pair.is_settled
    needed = rollouts_needed(25 / 30, 20 / 30)
    assert needed and pair.trials == 30
    text = pair.sentences({"A": "A", "B": "B"})
    assert f"It is not settled. To tell rates like these apart takes about {needed} trials" in text
    assert text.endswith("trials of each; 30 are done.")


def test_trials_without_a_partner_are_compared_unpaired(planned: PlanMaker) -> None:
    plan = planned(2, 30)
    done = [
        TrialOutcome(**trial.model_dump(), success=trial.letter == "A")
        for trial in plan.trials
        if trial.condition > 15 or trial.letter == "A"
    ]
    told = trials_report(plan, Outcomes(done=tuple(done), deviations=()))
    (pair,) = told[1]
    assert (pair.blocks, pair.test, pair.is_complete) == (0, "Barnard", False)
    assert pair.trials == 15 and "Barnard over all trials" in pair.sentences({"A": "", "B": ""})


def test_before_the_end_only_the_sequential_test_counts(planned: PlanMaker) -> None:
    plan = planned(2, 30)
    told = report(plan, lambda item: item.letter == "B", until=14)
    (pair,) = told[1]
    assert pair.told_apart and not pair.is_settled
    assert "It is not settled yet; go on" in pair.sentences({"A": "A", "B": "B"})
    (pair,) = report(plan, lambda item: item.letter == "B", until=18)[1]
    assert not pair.is_complete and pair.is_settled


def test_a_trial_that_could_not_be_judged_leaves_the_plan_complete(planned: PlanMaker) -> None:
    plan = planned(2, 30)

    def without(*left_out: int) -> bool:
        done = [
            TrialOutcome(**trial.model_dump(), success=trial.letter == "A")
            for trial in plan.trials
            if trial.order not in left_out
        ]
        return trials_report(plan, Outcomes(done=tuple(done), deviations=()))[1][0].is_complete

    assert without() and without(4, 9)
    assert not without(60) and not without(*range(1, 15))


def test_pairs_of_many_are_corrected(planned: PlanMaker) -> None:
    plan = planned(4, 20)
    told = report(plan, lambda item: item.letter != "D" or item.condition > 6)
    assert len(told[1]) == 6
    worst = [pair for pair in told[1] if "D" in pair.letters]
    assert all(pair.p_value == pytest.approx(6 * mcnemar(6, 0)) for pair in worst)
    assert all(pair.p_value == 1 for pair in told[1] if "D" not in pair.letters)
    assert not any(pair.is_settled for pair in told[1])


def test_one_policy_and_no_trial_are_no_pair(planned: PlanMaker) -> None:
    assert report(planned(1, 3), lambda item: True)[1] == []
    told = report(planned(3, 3, name="none"), lambda item: True, until=0)
    assert told[1] == [] and told[0][0].words() == "no episode"
    assert told[0][0].episodes == 0 and told[0][0].score is None


@pytest.mark.parametrize("rate", [0.3, 0.5])
@pytest.mark.parametrize("blocks", [30, 100])
def test_equal_policies_are_seldom_told_apart_however_often_one_looks(
    rate: float, blocks: int
) -> None:
    random, studies, wrong = np.random.default_rng(5), 1500, 0
    exact = cache(mcnemar)
    for _ in range(studies):
        outcomes = random.random((2, blocks)) < rate
        steps = outcomes[1].astype(int) - outcomes[0]
        # The least p value of all looks so far.
        looked = sequential_p(steps)
        fixed = exact(int((steps > 0).sum()), int((steps < 0).sum()))
        pair = PolicyPair(0.0, (-1.0, 1.0), fixed, "McNemar", looked, letters=("A", "B"),
                          blocks=blocks, trials=blocks, is_complete=True)  # fmt: skip
        wrong += pair.is_settled
    assert wrong <= 0.06 * studies
