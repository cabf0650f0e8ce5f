"""Which changes confound, which do not, and which follow from the factor that is asked about."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gr00t_assets.comparison.run import Frames, Run
from gr00t_assets.comparison.statistics.effects import Pair, nearest_pairs
from gr00t_assets.comparison.statistics.factors import configurations
from gr00t_assets_tests.comparison.synthetic_runs import DATA, drawn_curve, synthetic_run


def nearest(runs: list[Run], factor: str) -> Pair:
    return nearest_pairs(configurations(runs), factor)[0]


@pytest.mark.parametrize(
    "immaterial",
    [
        {"save_steps": 7},
        {"save_total_limit": 2},
        {"logging_steps": 3},
        {"dataloader_num_workers": 2},
        {"report_to": "none"},
        {"num_gpus": 2, "batch_size": 4},
        {"gradient_accumulation_steps": 4, "batch_size": 2},
        {"lora_alpha": 99},
        {"video_backend": "decord"},
        {"seed": 5},
    ],
)
def test_what_changes_nothing_that_is_learned_does_not_confound(immaterial: dict[str, Any]) -> None:
    other = synthetic_run("b", 0.11, **{"learning_rate": 5e-4, **immaterial})
    found = nearest([synthetic_run("a", learning_rate=1e-4), other], "learning_rate")
    assert found.confounders == ()
    others = [change for change in found.changes if change.factor != "learning_rate"]
    assert {change.factor for change in others} >= immaterial.keys() - {"batch_size"}
    assert not any(change.material for change in others)


@pytest.mark.parametrize(
    ("material", "confounders"),
    [
        ({"warmup_ratio": 0.0}, ("warmup_ratio",)),
        ({"weight_decay": 0.1}, ("weight_decay",)),
        ({"batch_size": 16}, ("batch_size", "samples_seen")),
        ({"max_steps": 800}, ("max_steps", "samples_seen")),
        ({"max_steps": 200, "batch_size": 16}, ("batch_size", "max_steps")),
        ({"tune_llm": True}, ("trainable_parts",)),
        ({"lora_rank": 16}, ("trainable_parts",)),
        ({"num_gpus": 2}, ("batch_size", "samples_seen")),
        ({"warmup_ratio": None}, ("warmup_ratio",)),
        ({"adam_beta1": 0.9}, ("adam_beta1",)),
    ],
)
def test_what_changes_what_is_learned_confounds(
    material: dict[str, Any], confounders: tuple[str, ...]
) -> None:
    runs = [
        synthetic_run("a", learning_rate=1e-4, num_gpus=1),
        synthetic_run("b", 0.5, **{"learning_rate": 5e-4, "num_gpus": 1, **material}),
    ]
    assert nearest(runs, "learning_rate").confounders == confounders


@pytest.mark.parametrize(
    ("frames", "confounders"),
    [("verified", ()), ("known wrong", ("video_backend",)), ("not verified", ("video_backend",))],
)
def test_the_video_backend_counts_where_frames_depend_on_it(
    frames: Frames, confounders: tuple[str, ...]
) -> None:
    data = {"dataset": "demo", "trainer": "isaac-gr00t"}
    shared = {"data": data, "frames": frames}
    runs = [
        synthetic_run("a", **shared, learning_rate=1e-4, video_backend="decord"),
        synthetic_run("b", **shared, learning_rate=5e-4, video_backend="torchvision_av"),
    ]
    assert nearest(runs, "learning_rate").confounders == confounders


def test_warm_up_of_a_constant_schedule_is_none() -> None:
    runs = [
        synthetic_run("a", lr_scheduler_type="constant", warmup_ratio=0.0, learning_rate=1e-4),
        synthetic_run("b", lr_scheduler_type="constant", warmup_ratio=0.5, learning_rate=5e-4),
    ]
    assert nearest(runs, "learning_rate").confounders == ()


def test_batch_size_at_equal_samples_implies_other_steps() -> None:
    runs = [synthetic_run("a"), synthetic_run("b", batch_size=32, max_steps=100)]
    found = nearest(runs, "batch_size")
    assert found.confounders == ()
    assert [change.factor for change in found.changes] == ["batch_size", "max_steps"]
    assert found.changes[1].implied


def test_steps_imply_samples() -> None:
    found = nearest([synthetic_run("a"), synthetic_run("b", max_steps=800)], "max_steps")
    assert [change.factor for change in found.changes] == ["max_steps", "samples_seen"]
    assert found.confounders == ()


def test_equal_samples_to_the_nearest_step() -> None:
    runs = [
        synthetic_run("a", max_steps=1000, batch_size=1),
        synthetic_run("b", max_steps=31, batch_size=32),
    ]
    assert nearest(runs, "batch_size").confounders == ()


def test_curves_tell_the_losses_at_equal_samples(rng: np.random.Generator) -> None:
    runs = [
        synthetic_run("a", curve=drawn_curve(rng, 0.2, batch=8), batch_size=8),
        synthetic_run("b", curve=drawn_curve(rng, 0.1, batch=32), batch_size=32),
    ]
    found = nearest(runs, "batch_size")
    assert found.confounders == ("samples_seen",)
    assert found.equal_samples is not None
    seen, ratio = found.equal_samples
    assert seen == 3200
    assert found.ratio == pytest.approx(0.1 / 0.2, rel=0.1)
    assert ratio == pytest.approx((0.1 + 1.1 * np.exp(-0.25 / 0.08)) / 0.2, rel=0.2)
    assert nearest([synthetic_run("a"), synthetic_run("b", batch_size=4)], "batch_size"
                   ).equal_samples is None  # fmt: skip


def test_a_continued_run_is_another_experiment() -> None:
    whole, longer = synthetic_run("a"), replace(synthetic_run("b"), continued_steps=(100,))
    other = synthetic_run("c", learning_rate=5e-4)
    assert nearest([longer, other], "learning_rate").confounders == ("continued_steps",)
    found = nearest([longer, whole, other], "learning_rate")
    assert (found.runs, found.confounders) == (("a", "c"), ())


def test_the_nearest_pair_changes_least_and_is_furthest_apart() -> None:
    runs = [
        synthetic_run("a", 0.1, learning_rate=1e-4),
        synthetic_run("b", 0.11, learning_rate=2e-4),
        synthetic_run("c", 0.3, learning_rate=4e-4),
        synthetic_run("d", 0.9, learning_rate=8e-4, weight_decay=0.1),
    ]
    assert nearest(runs, "learning_rate").runs == ("a", "c")
    found = nearest_pairs(configurations(runs), "learning_rate")
    assert [len(pair.confounders) for pair in found] == [0, 0, 0, 1, 1, 1]


def test_noise_within_the_runs_explains_what_it_can() -> None:
    near = [synthetic_run("a", 0.1), synthetic_run("b", 0.11, learning_rate=5e-4)]
    far = [synthetic_run("a", 0.1), synthetic_run("b", 0.9, learning_rate=5e-4)]
    assert nearest(near, "learning_rate").within_noise
    assert not nearest(far, "learning_rate").within_noise


def test_many_kinds_of_data_are_each_a_class_of_their_own() -> None:
    from gr00t_assets.comparison import compare

    runs = [
        synthetic_run(f"run-{n}", data=DATA | {"dataset": f"d{n}"}, learning_rate=n + 1.0)
        for n in range(100)
    ]
    comparison = compare(runs)
    assert len(comparison.classes) == 100
    assert {answer.verdict for answer in comparison.answers} == {"not_comparable"}
