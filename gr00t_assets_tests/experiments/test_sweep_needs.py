"""Priority, GPU memory, retries, schedules and the words of a grid in a sweep file."""

from pathlib import Path

import dagster as dg
import pytest

from gr00t_assets.experiments.sweep_file import cron_problem
from gr00t_assets_tests.experiments.sweep_texts import load, refusal

HEAD = "defaults: {dataset: demo, priority: 2, vram_gb: 20}\n"


def test_priority_and_memory_come_from_the_entry_else_from_the_defaults(tmp_path: Path) -> None:
    sweep = load(
        tmp_path,
        HEAD
        + """max_retries: 0
experiments:
  - name: plain
  - {name: urgent, priority: 10, vram_gb: 40.5}
  - {name: unchecked, priority: 0, vram_gb: null}
  - {name: longer, continue_from: urgent, priority: -1, hyperparameters: {max_steps: 20000}}
grid: {name: 'g{seed}', priority: 5, hyperparameters: {seed: [1]}}
random: {name: 'r{index}', count: 1, vram_gb: 8, hyperparameters: {seed: [5]}}
""",
    )
    assert sweep.max_retries == 0
    assert {item.name: (item.priority, item.vram_gb) for item in sweep.experiments} == {
        "plain": (2, 20),
        "urgent": (10, 40.5),
        "unchecked": (0, None),
        "longer": (-1, 40.5),
        "g1": (5, 20),
        "r001": (2, 8),
    }


def test_what_the_queue_is_told_does_not_train_again(tmp_path: Path) -> None:
    def hash_of(more: str) -> str:
        text = f"defaults: {{dataset: demo}}\nexperiments: [{{name: a{more}}}]"
        return load(tmp_path, text).experiments[0].config_hash("v", "m")

    assert hash_of("") == hash_of(", priority: 9, vram_gb: 80")
    assert hash_of("") == "60ab7a289698", "runs of this version keep their hash"


def test_nothing_said_is_priority_0_no_check_and_three_retries(tmp_path: Path) -> None:
    sweep = load(tmp_path, "defaults: {dataset: demo}\nexperiments: [{name: a}]")
    (item,) = sweep.experiments
    assert (item.priority, item.vram_gb, sweep.max_retries) == (0, None, 3)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("experiments:\n  - {name: a, priority: high}", "experiments[0].priority: "),
        ("experiments:\n  - {name: a, vram_gb: 0}", "experiments[0].vram_gb: "),
        ("experiments:\n  - {name: a, vram: 8}", "did you mean 'vram_gb'?"),
        ("experiments:\n  - {name: a, gpus: 2}", "the number of GPUs is the hyperparameter num_g"),
        ("experiments:\n  - {name: a, seed: 2}", "put it under hyperparameters"),
        (
            "experiments:\n  - {name: a, hyperparameters: {priority: 2}}",
            "put it one level up, beside hyperparameters",
        ),
        ("experiments: [{name: a}]\nmax_retrys: 3", "did you mean 'max_retries'?"),
        ("experiments: [{name: a}]\nmax_retries: -1", "mine.yaml:3: max_retries: "),
        ("experiments: [{name: a}]\nschedule: 0 25 * * *", "schedule: hour 25 is not in 0 to 23"),
        ("experiments: [{name: a}]\ntime_zone: Europe/Berln", "did you mean 'Europe/Berlin'?"),
        ("experiments: [{name: a}]\ntime_zone: ../../etc", "there is no time zone '../../etc'"),
        ("experiments: [{name: a}]\nseeds: [1, -1]", "mine.yaml:3: seeds[1]: "),
        (
            "experiments:\n  - {name: a, hyperparameters: {lr_scheduler_type: cosin}}",
            "did you mean 'cosine'?",
        ),
    ],
)
def test_what_is_wrong_is_named_where_it_stands(tmp_path: Path, text: str, complaint: str) -> None:
    message = refusal(tmp_path, HEAD + text + "\n")
    assert "mine.yaml:3: " in message
    assert complaint in message


def test_a_misspelt_trainer_is_answered_with_the_nearest(tmp_path: Path) -> None:
    message = refusal(tmp_path, "defaults: {dataset: demo, trainer: natve}\ngrid: {}\n")
    assert "did you mean 'native'?" in message


def test_a_grids_hypothesis_and_tags_name_the_values_of_a_point(tmp_path: Path) -> None:
    sweep = load(
        tmp_path,
        HEAD
        + """tags: [all]
grid:
  name: b{batch_size}-{tune_llm}
  hypothesis: Batch size {batch_size} is {enough}.
  hypotheses: {b8-true: This one runs out of memory.}
  tags: [grid, 'batch-{batch_size}']
  hyperparameters: {batch_size: [1, 8], tune_llm: [true, false]}
""",
    )
    said = {item.name: (item.hypothesis, item.tags) for item in sweep.experiments}
    assert said["b1-true"] == ("Batch size 1 is {enough}.", ("all", "grid", "batch-1"))
    assert said["b8-true"] == ("This one runs out of memory.", ("all", "grid", "batch-8"))
    assert said["b8-false"][0] == "Batch size 8 is {enough}."


def test_a_hypothesis_of_no_point_is_answered_with_the_nearest(tmp_path: Path) -> None:
    text = HEAD + "grid:\n  name: 'b{seed}'\n  hypotheses:\n    b11: x\n"
    message = refusal(tmp_path, text + "  hyperparameters: {seed: [12]}\n")
    assert "mine.yaml:5: grid.hypotheses.b11: no experiment 'b11' here" in message
    assert "did you mean 'b12'?" in message


def test_a_name_that_does_not_tell_points_apart_is_refused_at_the_pattern(tmp_path: Path) -> None:
    text = HEAD + "grid:\n  name: same\n  hyperparameters: {seed: [1, 2]}\n"
    message = refusal(tmp_path, text)
    assert "mine.yaml:3: grid.name: 'same' is already the name" in message


@pytest.mark.parametrize(
    "text",
    [
        "0 20 * * *",
        "*/15 8-18 * * mon-fri",
        "0,30 0 1 jan *",
        "5 4 29 2 *",
        "0 0 1-7/2 * 0,7",
        "0 8 * * 1-fri",
    ],
)
def test_a_cron_expression_that_is_let_through_is_one_for_dagster(text: str) -> None:
    assert cron_problem(text) is None
    assert dg.ScheduleDefinition(job_name="j", cron_schedule=text).cron_schedule == text


@pytest.mark.parametrize(
    "text",
    [
        "hourly", "@daily", "* * * *", "0 0 * * * *", "60 * * * *", "0 24 * * *", "0 0 0 * *",
        "0 0 * 13 *", "0 0 * * 8", "0 0 31 2 *", "0 0 * foo *", "*/0 * * * *", "5-1 * * * *",
        "a * * * *", "-1 * * * *", "0 0 L * *", "1,, * * * *",
    ],
)  # fmt: skip
def test_a_text_that_is_no_cron_expression_is_refused(text: str) -> None:
    assert cron_problem(text)
