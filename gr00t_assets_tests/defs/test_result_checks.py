"""What the checks of a result say, from files of a run directory that the platform has written."""

from pathlib import Path

import pytest

from gr00t_assets.defs.checks import (
    beats_best_rule,
    beats_holding_still,
    beats_rules,
    judge_baseline,
    loss_fell,
    loss_has_no_spikes,
    uses_language,
)
from gr00t_assets.evaluation.result import LanguageUsed, save_evaluation
from gr00t_assets.runs.metrics import Metric, append_metric
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets_tests.comparison.test_success_ranking import finished_run, rolled
from gr00t_assets_tests.defs.specs import a_spec
from gr00t_assets_tests.reporting.report_runs import evaluation


@pytest.fixture
def spec(tmp_path: Path) -> TrainingSpec:
    spec = a_spec(tmp_path)
    spec.run_directory.mkdir(parents=True)
    return spec


def log(spec: TrainingSpec, losses: list[float]) -> None:
    """What a trainer leaves of these losses."""
    for step, loss in enumerate(losses, 1):
        append_metric(
            Metric(
                step=step, samples_seen=step, epoch=0.0, loss=loss, losses=(loss,), grad_norm=1.0,
                learning_rate=1e-3, wall_seconds=1.0,
            ),
            spec.run_directory,
        )  # fmt: skip


def test_a_loss_that_fell_passes_and_one_that_rose_fails(spec: TrainingSpec) -> None:
    losses = [1.0 / (1 + step / 20) + 0.01 * (step % 3) for step in range(200)]
    log(spec, losses)
    assert loss_fell(spec)[0] == "yes"
    (spec.run_directory / "metrics.jsonl").unlink()
    log(spec, losses[::-1])
    answer, why = loss_fell(spec)
    assert answer == "no" and why.startswith("from 0.1")


def test_a_spike_is_named_with_its_step(spec: TrainingSpec) -> None:
    losses = [1.0 + 0.01 * (step % 3) for step in range(200)]
    log(spec, losses)
    assert loss_has_no_spikes(spec) == ("yes", "none in 200 steps")
    (spec.run_directory / "metrics.jsonl").unlink()
    losses[120] = 5.0
    log(spec, losses)
    text = "at 1 of 200 steps (121); the highest is 5 at step 121"
    assert loss_has_no_spikes(spec) == ("no", text)


def test_without_a_run_an_evaluation_or_rollouts_nothing_can_be_told(spec: TrainingSpec) -> None:
    judges = (loss_fell, loss_has_no_spikes, beats_holding_still, uses_language)
    assert {judge(spec)[0] for judge in judges} == {"cannot be told"}


def test_baselines_are_judged_one_by_one(spec: TrainingSpec) -> None:
    found = evaluation(finished_run("lr1e-3", 0.1), 0.3)
    save_evaluation(found, spec.run_directory)
    beaten = {rule.name: rule.beaten for rule in found.main.baselines}
    assert beaten == {"hold": "yes", "mean action": "no"}
    answer, why = judge_baseline("hold", spec)
    assert answer == "yes" and why.startswith("held out: The policy errs less than the rule")
    assert judge_baseline("mean action", spec)[0] == "no"
    assert judge_baseline("median action", spec)[0] == "cannot be told"


@pytest.mark.parametrize(
    ("used", "answer"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("cannot be told: one task", "does not apply"),
        ("cannot be told: too close", "cannot be told"),
    ],
)
def test_one_task_leaves_no_language_to_tell_apart(
    spec: TrainingSpec, used: LanguageUsed, answer: str
) -> None:
    found = evaluation(finished_run("lr1e-3", 0.1), 0.3)
    save_evaluation(found.model_copy(update={"language_used": used}), spec.run_directory)
    assert uses_language(spec)[0] == answer


def test_success_is_held_against_the_best_rule() -> None:
    run = finished_run("lr1e-3", 0.1)
    answers = [beats_best_rule(rolled(run, count, replay=20))[0] for count in (45, 22, 2)]
    assert answers == ["yes", "cannot be told", "no"]
    why = beats_best_rule(rolled(run, 45, replay=20))[1]
    assert "the best rule without a model, replay: 20 of 50" in why
    assert beats_best_rule(rolled(run, 45, baselines={}))[0] == "cannot be told"


def test_where_no_environment_is_declared_there_is_nothing_to_beat(spec: TrainingSpec) -> None:
    assert beats_rules(spec)[0] == "does not apply"
