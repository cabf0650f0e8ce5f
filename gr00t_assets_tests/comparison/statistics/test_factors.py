import pytest

from gr00t_assets.comparison.answers.answers import answer
from gr00t_assets.comparison.differences import difference
from gr00t_assets.comparison.statistics.factors import (
    QUESTIONS,
    factor_named,
    factor_value,
    factors_of,
    known_factors,
)
from gr00t_assets.core.errors import ComparisonError
from gr00t_assets_tests.comparison.synthetic_runs import DATA, synthetic_run


@pytest.mark.parametrize(
    ("word", "factor"),
    [
        ("steps", "max_steps"),
        ("warm-up", "warmup_ratio"),
        ("Warm up", "warmup_ratio"),
        ("scheduler", "lr_scheduler_type"),
        ("parts", "trainable_parts"),
        ("tune_llm", "trainable_parts"),
        ("lora-rank", "trainable_parts"),
        ("Learning-Rate", "learning_rate"),
        ("seed", "seed"),
    ],
)
def test_people_have_other_words(word: str, factor: str) -> None:
    assert factor_named(word) == factor


def test_every_question_is_known_by_its_own_name() -> None:
    assert [factor_named(name) for name in QUESTIONS] == list(QUESTIONS)
    assert len(known_factors()) == len(set(known_factors()))


def test_an_unknown_word_is_answered_with_the_nearest() -> None:
    with pytest.raises(ComparisonError) as error:
        factor_named("learning_rat")
    assert "did you mean learning_rate?" in str(error.value)
    assert "batch_size" in str(error.value)


def test_batch_size_counts_gpus_and_accumulation() -> None:
    run = synthetic_run("a", batch_size=4, num_gpus=2, gradient_accumulation_steps=4)
    assert factor_value(run, "batch_size") == 32
    run = synthetic_run("a", batch_size=4, num_gpus=2, num_nodes=3)
    assert factor_value(run, "batch_size") == 24


def test_values_of_factors_that_are_no_settings() -> None:
    run = synthetic_run("a", tune_llm=True)
    assert factor_value(run, "trainable_parts") == "language model, projector, diffusion model"
    assert factor_value(run, "samples_seen") == 3200
    assert factor_value(run, "dataset") == "demo"
    assert factor_value(run, "adam_beta1") is None


def test_only_what_varies_where_it_can_be_compared_is_a_question() -> None:
    runs = [
        synthetic_run("a", learning_rate=1e-4, save_steps=10, seed=1),
        synthetic_run("b", learning_rate=2e-4, save_steps=20, seed=2),
        synthetic_run("c", learning_rate=3e-4, weight_decay=0.1, data=DATA | {"dataset": "other"}),
        synthetic_run("d", warmup_ratio=0.5, status="failed"),
        synthetic_run("e", lr_scheduler_type="linear", frames="not verified"),
    ]
    assert factors_of(runs) == ["learning_rate", "seed"]


def test_trained_parts_that_a_table_does_not_say_are_no_value() -> None:
    parts = ("tune_llm", "tune_visual", "tune_projector", "tune_diffusion_model")
    silent = synthetic_run("b", 0.2, **dict.fromkeys(parts))
    telling = synthetic_run("a", 0.1)
    assert factor_value(silent, "trainable_parts") is None
    assert "nothing to compare" in answer([telling, silent], "trainable_parts").sentence
    for run, baseline in ((silent, telling), (telling, silent)):
        found = difference(run, baseline)
        assert "trainable_parts" in found.unknown and not found.changes
