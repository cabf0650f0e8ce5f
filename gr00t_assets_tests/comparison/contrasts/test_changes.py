"""Which changes confound, which do not, and which follow from the factor that is asked about."""

from typing import Any

import numpy as np
import pytest

from gr00t_assets.comparison.contrasts.contrast import Contrast
from gr00t_assets.comparison.contrasts.contrasts import contrasts
from gr00t_assets.comparison.run import Frames
from gr00t_assets_tests.comparison.synthetic_runs import drawn_curve, synthetic_run


def only(found: list[Contrast]) -> Contrast:
    assert len(found) == 1
    return found[0]


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
    found = only(
        contrasts(
            [
                synthetic_run("a", learning_rate=1e-4),
                synthetic_run("b", 0.11, **{"learning_rate": 5e-4, **immaterial}),
            ],
            "learning_rate",
        )
    )
    assert found.confounders == ()
    assert found.verdict == "within_noise"
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
    found = only(contrasts(runs, "learning_rate"))
    assert (found.verdict, found.confounders) == ("confounded", confounders)


@pytest.mark.parametrize(
    ("frames", "confounders"),
    [("verified", ()), ("known wrong", ("video_backend",)), ("not verified", ("video_backend",))],
)
def test_the_video_backend_counts_where_frames_depend_on_it(
    frames: Frames, confounders: tuple[str, ...]
) -> None:
    data = {"dataset": "demo", "trainer": "isaac-gr00t"}
    runs = [
        synthetic_run("a", data=data, frames=frames, learning_rate=1e-4, video_backend="decord"),
        synthetic_run(
            "b", data=data, frames=frames, video_backend="torchvision_av", learning_rate=5e-4
        ),
    ]
    assert only(contrasts(runs, "learning_rate")).confounders == confounders


def test_warm_up_of_a_constant_schedule_is_none() -> None:
    runs = [
        synthetic_run("a", lr_scheduler_type="constant", warmup_ratio=0.0, learning_rate=1e-4),
        synthetic_run("b", lr_scheduler_type="constant", warmup_ratio=0.5, learning_rate=5e-4),
    ]
    assert only(contrasts(runs, "learning_rate")).confounders == ()


def test_batch_size_at_equal_samples_implies_other_steps() -> None:
    runs = [synthetic_run("a"), synthetic_run("b", batch_size=32, max_steps=100)]
    found = only(contrasts(runs, "batch_size"))
    assert found.confounders == ()
    assert found.changed_factors == ("batch_size", "max_steps")
    assert found.changes[1].implied


def test_equal_samples_to_the_nearest_step() -> None:
    runs = [
        synthetic_run("a", max_steps=1000, batch_size=1),
        synthetic_run("b", max_steps=31, batch_size=32),
    ]
    assert only(contrasts(runs, "batch_size")).confounders == ()


def test_runs_with_curves_are_also_contrasted_at_equal_samples(rng: np.random.Generator) -> None:
    runs = [
        synthetic_run("a", curve=drawn_curve(rng, 0.2, batch=8), batch_size=8),
        synthetic_run("b", curve=drawn_curve(rng, 0.1, batch=32), batch_size=32),
    ]
    end, equal = contrasts(runs, "batch_size")
    assert (end.basis, end.confounders) == ("end", ("samples_seen",))
    assert (equal.basis, equal.confounders) == ("equal samples", ("schedule_fraction",))
    fraction = equal.changes[1]
    assert (fraction.low, fraction.high) == (1.0, 0.25)


def test_at_equal_samples_a_constant_schedule_leaves_nothing_else(rng: np.random.Generator) -> None:
    runs = [
        synthetic_run(
            "a", curve=drawn_curve(rng, 0.2, batch=8), batch_size=8, lr_scheduler_type="constant"
        ),
        synthetic_run(
            "b", curve=drawn_curve(rng, 0.1, batch=32), batch_size=32, lr_scheduler_type="constant"
        ),
    ]
    equal = next(one for one in contrasts(runs, "batch_size") if one.basis == "equal samples")
    assert equal.changed_factors == ("batch_size",)


def test_an_immaterial_setting_can_be_asked_about() -> None:
    runs = [synthetic_run("a", save_steps=10), synthetic_run("b", save_steps=20)]
    found = only(contrasts(runs, "save_steps"))
    assert (found.factor, found.changed_factors) == ("save_steps", ("save_steps",))
    assert found.verdict == "within_noise"


def test_a_continued_run_is_another_experiment() -> None:
    from dataclasses import replace

    whole, longer = synthetic_run("a"), replace(synthetic_run("b"), continued_steps=(100,))
    other = synthetic_run("c", learning_rate=5e-4)
    found = contrasts([whole, longer, other], "learning_rate")
    by_runs = {item.runs: item.confounders for item in found}
    assert by_runs == {("a", "c"): (), ("b", "c"): ("continued_steps",)}
