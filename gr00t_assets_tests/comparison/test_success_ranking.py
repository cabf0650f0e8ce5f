"""Configurations with rollouts: order, verdicts against rules without a model, seeds, classes."""

import json

import pytest

from gr00t_assets.comparison.comparison import compare
from gr00t_assets.comparison.run import Run
from gr00t_assets.evaluation.result import Evaluation
from gr00t_assets.evaluation.rollouts.result import (
    Ending,
    EpisodeOutcome,
    Rollouts,
    RolloutSettings,
)
from gr00t_assets_tests.reporting.report_runs import DATA, evaluation, finished_run


def episodes(
    count: int, of: int = 50, first: int = 0, end: Ending = "horizon"
) -> tuple[EpisodeOutcome, ...]:
    """So many successes one after another from an episode on; the others ended otherwise."""
    won = range(first, first + count)
    return tuple(
        EpisodeOutcome(seed=1000 + place, success=place in won, score=None, seconds=0.1,
                       steps=20 + place, end="success" if place in won else end)
        for place in range(of)
    )  # fmt: skip


def rolled(run: Run, successes: int, replay: int = 4, **fields) -> Rollouts:
    """Rollouts of a run; ``replay`` is the best rule without a model, the others never succeed."""
    values = {
        "experiment": run.name, "config_hash": "0" * 12, "model_hash": "1" * 16, "step": None,
        "trainer": "native", "environment": "so101-pick", "environment_hash": "ab" * 8,
        "settings": RolloutSettings(episodes=50), "policy": episodes(successes),
        "baselines": {"hold": episodes(0), "replay": episodes(replay, first=50 - replay)},
        "device": "cpu", "wall_seconds": 9.0, "rolled_at": "2026-11-29T08:00:00+00:00",
    }  # fmt: skip
    return Rollouts.model_validate(values | fields)


def one_by_one(*pairs: tuple[float, int], **fields):
    """A comparison of runs with so much loss and so many successes, each its own configuration."""
    runs = [
        finished_run(f"m{place}", loss, learning_rate=1e-4 * (place + 1))
        for place, (loss, _) in enumerate(pairs)
    ]
    rollouts = {
        run.run_id: [rolled(run, count, **fields)]
        for run, (_, count) in zip(runs, pairs, strict=True)
    }
    return compare(runs, rollouts=rollouts)


def test_the_most_success_comes_first_whatever_the_loss():
    comparison = one_by_one((0.05, 10), (0.06, 40), (0.07, 38))
    success = comparison.success[0]
    assert [row.name for row in success.rows] == ["m1", "m2", "m0"]
    assert [row.tied for row in success.rows] == [False, True, False]
    assert success.headline.startswith(
        "Most success in so101-pick: m1, 40 of 50 (80 %, 67 to 89 %); best rule without a model: "
        "replay, 4 of 50"
    )
    assert success.known.startswith("1 of 2 others cannot be told from it; at these rates about ")
    assert "0 has the lowest loss and m1 the most success" in success.agreement.sentence
    assert comparison.verdict.startswith(success.headline)
    assert comparison.verdict.endswith(comparison.headline)


@pytest.mark.parametrize(
    ("successes", "replay", "beaten"),
    [(30, 4, "yes"), (3, 25, "no"), (4, 4, "cannot be told"), (0, 0, "cannot be told")],
)
def test_a_policy_beats_every_rule_or_not_or_it_cannot_be_told(successes, replay, beaten):
    comparison = one_by_one((0.05, successes), replay=replay)
    assert comparison.success[0].rows[0].beats_baselines == beaten


def test_a_rule_that_is_not_beaten_keeps_the_policy_from_beating_all():
    baselines = {"hold": episodes(0), "replay": episodes(28, first=20)}
    row = one_by_one((0.05, 30), baselines=baselines).success[0].rows[0]
    assert {item.name: item.beaten for item in row.baselines} == {
        "hold": "yes", "replay": "cannot be told",
    }  # fmt: skip
    assert row.beats_baselines == "cannot be told"


def test_seeds_of_a_configuration_are_one_row_and_two_runs_with_one_seed_one_policy():
    runs = [finished_run(f"s{place}", 0.05, seed=seed) for place, seed in enumerate((1, 2, 2))]
    counts = (20, 30, 45)
    rollouts = {run.run_id: [rolled(run, count)] for run, count in zip(runs, counts, strict=True)}
    (row,) = compare(runs, rollouts=rollouts).success[0].rows
    assert [rate.successes for rate in row.success.by_run] == [20, 30]
    assert row.words.startswith("50 of 100 (50 %, ")
    low, high = row.success.interval
    assert low < row.success.counts.wilson()[0] and high > row.success.counts.wilson()[1]


def test_success_is_set_beside_that_of_other_data_and_agreement_told_within_one_class():
    here = [finished_run(f"a{n}", 0.05 + 0.01 * n, learning_rate=1e-4 * n) for n in (1, 2)]
    there = finished_run("b", 0.01, data=DATA | {"dataset": "other"})
    runs = [*here, there]
    rollouts = {run.run_id: [rolled(run, 40 - 15 * place)] for place, run in enumerate(runs)}
    success = compare(runs, rollouts=rollouts).success[0]
    assert [row.name for row in success.rows] == ["a1", "a2", "b"]
    assert {item.class_id for item in success.agreements} == {row.class_id for row in success.rows}
    assert success.agreement.class_id == success.rows[0].class_id


def test_another_version_of_an_environment_is_another_ranking_and_odd_rollouts_are_told():
    runs = [finished_run(f"m{n}", 0.05, learning_rate=1e-4 * n) for n in (1, 2, 3)]
    rollouts = {run.run_id: [rolled(run, 20)] for run in runs}
    other = RolloutSettings(episodes=50, replan_every=4)
    rollouts[runs[1].run_id] = [
        rolled(runs[1], 20, settings=other, policy=episodes(20, end="error"))
    ]
    rollouts[runs[2].run_id] = [rolled(runs[2], 20, environment_hash="cd" * 8)]
    first, second = compare(runs, rollouts=rollouts).success
    assert (len(first.rows), len(second.rows)) == (2, 1)
    assert any("m2: 30 episodes broke off" in limit for limit in first.limits)
    assert "Not all were rolled out with the same settings." in first.limits


def test_open_loop_error_is_held_against_success_too():
    runs = [finished_run(f"m{n}", 0.05 * n, learning_rate=1e-4 * n) for n in range(1, 7)]
    rollouts = {run.run_id: [rolled(run, 5 + 7 * n)] for n, run in enumerate(runs)}
    errors = {run.run_id: evaluation(run, 0.5 - 0.05 * n) for n, run in enumerate(runs)}
    success = compare(runs, errors, rollouts).success[0]
    assert {item.measure: item.answer for item in success.agreements} == {
        "loss": "no", "open-loop error": "yes",
    }  # fmt: skip


def test_json_has_success_and_is_empty_there_without_rollouts():
    comparison = one_by_one((0.05, 10), (0.06, 40))
    content = json.loads(json.dumps(comparison.to_json(), allow_nan=False))
    (success,) = content["success"]
    first, second = success["ranking"]
    assert (first["successes"], first["episodes"], first["loss_place"]) == (40, 50, 2)
    assert second["against_first"]["test"] == "McNemar"
    assert second["against_first"]["p_value"] < 0.001
    assert {rule["name"] for rule in first["baselines"]} == {"hold", "replay"}
    assert success["agreement"][0]["answer"] == "no"
    assert content["headline"].startswith("Most success in so101-pick: m1")
    assert compare(comparison.runs).to_json()["success"] == []


def test_nothing_is_said_of_configurations_that_were_held_against_none():
    pairs = [(0.05, 50), *((0.06 + 0.001 * place, 5) for place in range(25))]
    success = one_by_one(*pairs).success[0]
    assert success.rows[-1].against_first is None
    assert success.known == "Each of the next 19 succeeds less often, beyond chance."


def by_episode(run: Run, error: float) -> Evaluation:
    """An evaluation with this error on each of six episodes."""
    found = evaluation(run, error)
    assert found.held_out
    part = {"episodes": tuple(range(6)), "episode_errors": (error,) * 6, "clusters": 6}
    return found.model_copy(update={"held_out": found.held_out.model_copy(update=part)})


def test_two_evaluations_of_one_seed_are_no_two_seeds():
    runs = [finished_run(f"a{n}", 0.1, seed=n // 2) for n in range(3)]
    runs.append(finished_run("b", 0.2, learning_rate=5e-4))
    errors = (0.1, 0.1, 0.9, 0.45)
    made = {run.run_id: by_episode(run, error) for run, error in zip(runs, errors, strict=True)}
    rollouts = {run.run_id: [rolled(run, 20 if run is runs[-1] else 30)] for run in runs}
    (success,) = compare(runs, made, rollouts).success
    sentences = {item.measure: item.sentence for item in success.agreements}
    assert "b has the lowest open-loop error and a0" in sentences["open-loop error"]
