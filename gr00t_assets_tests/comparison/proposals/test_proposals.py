"""What to run next, from runs whose open questions are known."""

import math
import random

import pytest

from gr00t_assets.comparison.comparison import to_json
from gr00t_assets.comparison.proposals.proposals import proposals
from gr00t_assets.comparison.statistics.factor_tests import all_effects
from gr00t_assets_tests.comparison.proposals.example_runs import run

SPEED = {"samples_per_second": 10.0, "gpu_hours": 1.0}


def by_question(runs, question):
    (found,) = [item for item in proposals(runs) if question in item.questions]
    return found


def outcome(proposed, loss: float, run_id: str = "new"):
    """The run that a proposal asks for, made."""
    (experiment,) = proposed.experiments
    reference = experiment.reference
    return run(run_id, loss, data=dict(reference.data), **experiment.settings)


def grid(effect: float, noise: float = 0.05, seeds: tuple[int, ...] = (0,), draw: int = 0):
    """Three learning rates, which matter, and three weight decays, which do not."""
    luck = random.Random(draw)
    return [
        run(
            f"lr{rate:g}-wd{decay:g}-{seed}",
            0.1 * math.exp(effect * place + luck.gauss(0, noise)),
            learning_rate=rate,
            weight_decay=decay,
            seed=seed,
        )
        for place, rate in enumerate((1e-4, 3e-4, 1e-3))
        for decay in (0.0, 0.01, 0.1)
        for seed in seeds
    ]


def confounded():
    return [run("small", 0.2, batch_size=1, max_steps=1000), run("large", 0.07, max_steps=1000)]


def test_a_batch_size_at_equal_steps_is_asked_again_at_equal_samples():
    found = by_question(confounded(), "batch_size")
    (experiment,) = found.experiments
    assert experiment.reference.run_id == "small"
    assert experiment.changes == {"batch_size": 8, "max_steps": 125}
    assert "equal samples" in found.reason


def test_the_proposed_run_can_be_told_apart_and_is_then_repeated():
    runs = confounded()
    assert all_effects(runs)["batch_size"][0].verdict == "confounded"
    after = [*runs, outcome(by_question(runs, "batch_size"), 0.02)]
    assert all_effects(after)["batch_size"][0].verdict != "confounded"
    assert by_question(after, "batch_size").kind == "replicates"


def test_one_run_that_settles_two_questions_is_preferred():
    runs = [
        run("fast", 0.19, learning_rate=5e-4, max_steps=1000),
        run("slow", 0.06, learning_rate=1e-4, max_steps=2000),
    ]
    (found,) = proposals(runs)
    assert set(found.questions) == {"learning_rate", "max_steps"}
    (experiment,) = found.experiments
    assert len(experiment.changes) == 1, "one factor against its reference"


def test_single_runs_have_a_second_seed_common_to_all_whose_chance_is_unknown():
    runs = [run("low", 0.2), run("high", 0.32, learning_rate=1e-4)]
    (found,) = proposals(runs)
    assert (found.kind, found.questions, found.chance) == ("replicates", ("learning_rate",), None)
    assert {item.reference.run_id for item in found.experiments} == {"low", "high"}
    assert {item.changes["seed"] for item in found.experiments} == {1}
    assert found.runs_after == 4


def test_a_whole_grid_is_repeated_once_for_all_its_open_questions():
    (found,) = proposals(grid(0.05, draw=2))
    assert found.kind == "replicates" and len(found.experiments) == 9
    assert set(found.questions) == {"learning_rate", "weight_decay"}
    assert found.chance is not None and 0 < found.chance < 1
    assert f"{math.floor(100 * found.chance)} percent" in found.reason


def test_the_chance_rises_with_the_effect_and_falls_with_the_noise():
    def chance(effect: float, noise: float) -> float:
        (found,) = proposals(grid(effect, noise, draw=3), question="learning_rate")
        assert found.chance is not None
        return found.chance

    assert chance(0.02, 0.05) < chance(0.06, 0.05) < chance(0.10, 0.05)
    assert chance(0.06, 0.10) < chance(0.06, 0.05)


def test_json_has_the_complete_settings_of_each_experiment():
    (found,) = proposals(grid(0.05, draw=2), question="learning_rate")
    written = to_json(found)["experiments"][0]["settings"]
    assert written["seed"] == 1
    assert {"learning_rate", "weight_decay", "batch_size", "max_steps"} <= written.keys()


def test_a_settled_answer_is_left_alone():
    low = [run(f"low{seed}", 0.1 * (1 + 0.01 * seed), seed=seed) for seed in range(3)]
    high = [
        run(f"high{seed}", 0.4 * (1 + 0.01 * seed), seed=seed, learning_rate=1e-4)
        for seed in range(3)
    ]
    assert proposals([*low, *high]) == []


def test_an_effect_within_the_band_is_settled():
    assert proposals(grid(0.001, noise=0.004, seeds=(0, 1)), question="learning_rate") == []


def test_a_difference_that_five_seeds_do_not_show_is_not_pursued():
    def side(name: str, **settings):
        spread = (-0.04, 0.0, 0.04, 0.02, -0.02)
        return [
            run(f"{name}{seed}", 0.1 * math.exp(noise), seed=seed, **settings)
            for seed, noise in enumerate(spread)
        ]

    assert proposals([*side("low"), *side("high", learning_rate=1e-4)]) == []


def test_a_configuration_that_lacks_a_seed_gets_that_one_first():
    runs = grid(0.05, seeds=(0, 1), draw=2)
    (found,) = proposals(runs[:-1], question="learning_rate")
    (experiment,) = found.experiments
    assert experiment.reference.run_id == "lr0.001-wd0.1-0" and experiment.changes == {"seed": 1}


def test_a_round_that_has_been_begun_is_continued_and_failures_are_not_tried_again():
    runs = [run("low", 0.2), run("high", 0.32, learning_rate=1e-4)]
    begun = run("begun", None, status="unfinished", seed=1)
    (found,) = proposals([*runs, begun])
    assert [item.reference.run_id for item in found.experiments] == ["high"]
    assert "begun (begun), unfinished" in found.reason
    other = run("other", None, status="interrupted", seed=1, learning_rate=1e-4)
    (found,) = proposals([*runs, begun, other])
    assert (found.kind, found.experiments, found.runs_after) == ("continue", (), 4)
    failed = run("failed", None, status="failed", seed=1)
    (found,) = proposals([*runs, failed])
    assert [item.reference.run_id for item in found.experiments] == ["high"]


def test_a_control_run_that_has_been_begun_is_continued():
    begun = run("begun", None, status="unfinished", batch_size=8, max_steps=125)
    found = by_question([*confounded(), begun], "batch_size")
    assert (found.kind, found.experiments) == ("continue", ())
    assert "name-begun (begun)" in found.reason


def test_classes_are_kept_apart():
    other = {"dataset": "other", "base model": "tiny", "trainer": "native 0.1.0"}
    there = [run("c", 0.3, data=other)]
    assert proposals(confounded()) == proposals([*confounded(), *there])


def test_hours_come_from_the_run_that_resembles_it():
    runs = [
        run("small", 0.2, batch_size=1, max_steps=1000, fields=SPEED),
        run("large", 0.07, max_steps=1000, fields={**SPEED, "samples_per_second": 40.0}),
    ]
    assert by_question(runs, "batch_size").gpu_hours == pytest.approx(1000 / 40.0 / 3600)
    assert by_question(confounded(), "batch_size").gpu_hours is None


def test_only_the_question_that_is_asked():
    runs = [*confounded(), run("c", 0.3, batch_size=1, max_steps=1000, weight_decay=0.1)]
    asked = {name for item in proposals(runs) for name in item.questions}
    assert {"batch_size", "weight_decay"} <= asked
    assert all("batch_size" in item.questions for item in proposals(runs, question="batch_size"))


def test_which_is_best_repeats_the_leader_and_those_that_may_be_better():
    losses = (0.100, 0.104, 0.30, 0.31, 0.32)
    runs = [
        run(f"{place}-{seed}", loss * (1.12 if seed else 1.0) ** (place % 3 - 1),
            seed=seed, learning_rate=1e-4 * (place + 1))
        for place, loss in enumerate(losses)
        for seed in (0, 1)
    ]  # fmt: skip
    (found,) = proposals(runs, question="best")
    assert found.kind == "best" and found.questions == ("best",)
    assert {item.reference.run_id for item in found.experiments} == {"0-0", "1-0"}
    assert {item.changes["seed"] for item in found.experiments} == {2}
    clear = [item for item in runs if not item.run_id.startswith("1-")]
    assert proposals(clear, question="best") == []


def followed(draw: int, effect: float) -> tuple[int, bool]:
    """Runs after the proposals were followed to their end, and whether the effect was found."""
    luck, runs = random.Random(1000 + draw), grid(effect, draw=draw)
    while found := proposals(runs, question="learning_rate"):
        for number, experiment in enumerate(found[0].experiments):
            place = (1e-4, 3e-4, 1e-3).index(experiment.settings["learning_rate"])
            loss = 0.1 * math.exp(effect * place + luck.gauss(0, 0.05))
            runs.append(run(f"{len(runs)}-{number}", loss, **experiment.settings))
    return len(runs), all_effects(runs)["learning_rate"][0].verdict == "controlled"


def test_following_them_finds_an_effect_of_twenty_percent_in_two_rounds():
    """Spread 5 percent, a grid of three by three: right in 95 of 100, 18 runs in the median."""
    outcomes = [followed(draw, math.log(1.2) / 2) for draw in range(40)]
    counts = sorted(count for count, _ in outcomes)
    assert counts[len(counts) // 2] <= 18
    assert sum(right for _, right in outcomes) >= 38
