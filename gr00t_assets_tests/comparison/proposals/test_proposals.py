"""What to run next, from runs whose open questions are known."""

import math

import pytest

from gr00t_assets.comparison.contrasts.contrasts import all_contrasts
from gr00t_assets.comparison.proposals.proposals import proposals
from gr00t_assets_tests.comparison.proposals.example_runs import run


def by_question(runs, question):
    (found,) = [item for item in proposals(runs) if question in item.questions]
    return found


def outcome(proposed, loss: float, run_id: str = "new"):
    """The run that a proposal asks for, made."""
    (experiment,) = proposed.experiments
    reference = experiment.reference
    return run(run_id, loss, data=dict(reference.data), **experiment.settings)


def test_a_batch_size_at_equal_steps_is_asked_again_at_equal_samples():
    runs = [run("small", 0.2, batch_size=1, max_steps=1000), run("large", 0.07, max_steps=1000)]
    found = by_question(runs, "batch_size")
    (experiment,) = found.experiments
    assert experiment.reference.run_id == "small"
    assert experiment.changes == {"batch_size": 8, "max_steps": 125}
    assert "equal samples" in found.reason


def test_the_proposed_run_makes_the_contrast_clean():
    runs = [run("small", 0.2, batch_size=1, max_steps=1000), run("large", 0.07, max_steps=1000)]
    found = by_question(runs, "batch_size")
    after = all_contrasts([*runs, outcome(found, 0.02)])["batch_size"]
    assert any(not contrast.confounders for contrast in after)
    assert "batch_size" not in {name for item in proposals([*runs, outcome(found, 0.02)])
                                for name in item.questions}  # fmt: skip


def test_one_run_that_settles_two_questions_is_preferred():
    runs = [
        run("fast", 0.19, learning_rate=5e-4, max_steps=1000),
        run("slow", 0.06, learning_rate=1e-4, max_steps=2000),
    ]
    (found,) = proposals(runs)
    assert set(found.questions) == {"learning_rate", "max_steps"}
    (experiment,) = found.experiments
    assert len(experiment.changes) == 1, "one factor against its reference"


def test_a_noisy_pair_is_repeated_with_new_seeds():
    runs = [run("low", 0.2, error=0.01), run("high", 0.2 * 1.6, learning_rate=1e-4)]
    (found,) = proposals(runs)
    assert (found.kind, found.questions) == ("replicates", ("learning_rate",))
    seeds = [item.changes["seed"] for item in found.experiments]
    assert 42 not in seeds
    sides = {item.reference.run_id for item in found.experiments}
    assert sides == {"low", "high"}
    assert len(found.experiments) <= 8


def test_a_wider_effect_needs_fewer_replicates():
    def count(ratio: float) -> int:
        runs = [run("low", 0.2, error=0.4), run("high", 0.2 * ratio, 0.4, learning_rate=1e-4)]
        return sum(len(item.experiments) for item in proposals(runs))

    assert count(6.0) < count(2.0) <= 8


def test_a_controlled_answer_is_left_alone():
    runs = [
        *(run(f"low{seed}", 0.1 * (1 + 0.01 * seed), seed=seed) for seed in range(3)),
        *(
            run(f"high{seed}", 0.4 * (1 + 0.01 * seed), seed=seed, learning_rate=1e-4)
            for seed in range(3)
        ),
    ]
    assert proposals(runs) == []


def test_replicates_that_show_no_difference_are_an_answer():
    def side(name: str, **settings):
        spread = (-0.04, 0.0, 0.04, 0.02, -0.02)
        return [
            run(f"{name}{seed}", 0.1 * math.exp(noise), seed=seed, **settings)
            for seed, noise in enumerate(spread)
        ]

    assert proposals([*side("low"), *side("high", learning_rate=1e-4)]) == []


def test_a_run_that_has_been_begun_is_continued_and_not_proposed():
    runs = [run("small", 0.2, batch_size=1, max_steps=1000), run("large", 0.07, max_steps=1000)]
    begun = run("begun", None, status="unfinished", batch_size=8, max_steps=125)
    found = by_question([*runs, begun], "batch_size")
    assert (found.kind, found.experiments) == ("continue", ())
    assert "name-begun (begun)" in found.reason


def test_classes_are_kept_apart():
    here = [run("a", 0.2, batch_size=1, max_steps=1000), run("b", 0.07, max_steps=1000)]
    other = {"dataset": "other", "base model": "tiny", "trainer": "native 0.1.0"}
    there = [run("c", 0.3, data=other)]
    assert proposals(here) == proposals([*here, *there])


def test_hours_come_from_the_run_that_resembles_it():
    speed = {"samples_per_second": 10.0, "gpu_hours": 1.0}
    runs = [
        run("small", 0.2, batch_size=1, max_steps=1000, fields=speed),
        run("large", 0.07, max_steps=1000, fields={"samples_per_second": 40.0, "gpu_hours": 1.0}),
    ]
    found = by_question(runs, "batch_size")
    assert found.gpu_hours == pytest.approx(1000 / 40.0 / 3600)
    assert by_question(
        [run("small", 0.2, batch_size=1, max_steps=1000), run("large", 0.07, max_steps=1000)],
        "batch_size",
    ).gpu_hours is None  # fmt: skip


def test_only_the_question_that_is_asked():
    runs = [
        run("a", 0.2, batch_size=1, max_steps=1000),
        run("b", 0.07, max_steps=1000),
        run("c", 0.3, batch_size=1, max_steps=1000, weight_decay=0.1),
    ]
    asked = {name for item in proposals(runs) for name in item.questions}
    assert {"batch_size", "weight_decay"} <= asked
    assert all("batch_size" in item.questions for item in proposals(runs, "batch_size"))
