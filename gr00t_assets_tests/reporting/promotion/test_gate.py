"""What keeps a policy that is worse than doing nothing from being promoted, and what lets it by."""

import json

import pytest
from typer.testing import CliRunner

from gr00t_assets.cli.main import app
from gr00t_assets.core.errors import PromotionError
from gr00t_assets.evaluation.result import Baseline, Evaluation, load_evaluation, save_evaluation
from gr00t_assets.evaluation.rollouts.result import (
    EpisodeOutcome,
    Rollouts,
    RolloutSettings,
    save_rollouts,
)
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.reporting.promotion.gate import MOST_CHARACTERS, Evidence, gate, reason_given
from gr00t_assets.reporting.promotion.record import NOT_JUDGED, load_promotion
from gr00t_assets.runs.checkpoint_layout import PROMOTION
from gr00t_assets.runs.model_reference import find_model
from gr00t_assets_tests.reporting.promotion.conftest import BECAUSE, Trained


def cli(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    text = f"{result.output}{result.exception or ''}"
    return result.exit_code, text


def refused(trained: Trained, selector: str | None = None) -> tuple[str, ...]:
    with pytest.raises(PromotionError) as refusal:
        trained.promote(selector, because=None)
    assert not (trained.store.root / "models").exists(), "nothing is half made"
    return refusal.value.details


def evaluation_of(trained: Trained) -> Evaluation:
    evaluation = load_evaluation(trained.run)
    assert evaluation is not None
    return evaluation


def beating(evaluation: Evaluation, answer: str = "yes") -> Evaluation:
    """The same with that answer to whether each rule is beaten, and errors that fit it."""
    assert evaluation.held_out is not None
    error = {"yes": 2.0, "no": 0.5, "cannot be told": 1.0}[answer] * evaluation.held_out.error.mean
    rules = tuple(
        Baseline.model_validate(rule.model_dump() | {"beaten": answer, "error": {"mean": error}})
        for rule in evaluation.held_out.baselines
    )
    part = evaluation.held_out.model_copy(update={"baselines": rules})
    return evaluation.model_copy(update={"held_out": part})


def rolled_out(evaluation: Evaluation, policy: int, replay: int, episodes: int = 50) -> Rollouts:
    """Rollouts of the evaluated weights with so many successes."""

    def outcomes(successes: int) -> list[EpisodeOutcome]:
        return [
            EpisodeOutcome(
                seed=number, success=number < successes, steps=9, seconds=0.1,
                end="success" if number < successes else "horizon",
            )
            for number in range(episodes)
        ]  # fmt: skip

    return Rollouts(
        experiment=evaluation.experiment,
        config_hash=evaluation.config_hash,
        model_hash=evaluation.model_hash,
        step=evaluation.step,
        trainer="native",
        environment="table",
        environment_hash="0" * 16,
        settings=RolloutSettings(episodes=episodes),
        policy=tuple(outcomes(policy)),
        baselines={"hold": tuple(outcomes(0)), "replay": tuple(outcomes(replay))},
        device="cpu",
        wall_seconds=1.0,
        rolled_at="2026-11-29T08:00:00+00:00",
    )


def test_a_policy_that_errs_more_than_holding_still_is_refused(trained: Trained):
    part = evaluation_of(trained).main
    rules = {rule.name: rule.error.mean for rule in part.baselines}
    assert part.part == "held out" and part.error.mean > max(rules["hold"], rules["mean action"])
    *found, remedy = refused(trained)
    assert found == [
        f"on held-out episodes it errs more than {words}: {part.error.mean:.3g} against "
        f"{rules[name]:.3g}"
        for name, words in (("hold", "holding still"), ("mean action", "the mean action"))
    ]
    assert remedy.endswith('gr00t-assets model promote small-run --because "..."')
    code, text = cli("model", "promote", "small-run")
    assert code == 1 and "errs more than holding still" in text


def test_because_passes_it_and_stands_on_card_record_and_list(trained: Trained):
    why = "  a first\ntry \x1b[31mof | the arm "
    code, text = cli("model", "promote", "small-run", "--because", why)
    assert code == 0, text
    record = load_promotion(trained.promoted)
    assert record is not None and len(record.reasons) == 2
    assert record.because == "a first try [31mof | the arm", "one line, without control characters"
    assert record.verdict.startswith("Promoted against the gate: on held-out episodes it errs more")
    card = (trained.promoted / "README.md").read_text()
    verdict = card.partition("## Verdict")[2].partition("## Data")[0]
    assert "**Promoted against the gate**, because: a first try" in verdict
    for reason in record.reasons:
        assert f"- {reason}" in verdict
    code, text = cli("model", "list")
    assert code == 0 and "against it" in text and "small-run: because a first try" in text
    (listed,) = json.loads(cli("model", "list", "--json")[1])
    assert (listed["because"], listed["reasons"]) == (record.because, list(record.reasons))
    assert trained.promote(because=None) == record, "it was let by before, so the page may show it"


@pytest.mark.parametrize("text", ["", " \n ", "\x1b\x07", "x" * (MOST_CHARACTERS + 1)])
def test_a_reason_has_to_say_something(trained: Trained, text: str):
    with pytest.raises(PromotionError, match="why it is promoted"):
        trained.promote(because=text)
    assert not trained.promoted.exists() and reason_given(None) is None


def test_because_excuses_no_damage(trained: Trained):
    (trained.run / "evaluation.json").unlink()
    with pytest.raises(PromotionError, match="was not evaluated"):
        trained.promote(because=BECAUSE)
    assert not trained.promoted.exists()


def test_a_policy_that_beats_the_rules_needs_no_reason(trained: Trained):
    save_evaluation(beating(evaluation_of(trained)), trained.run)
    record = trained.promote(because="not needed")
    assert (record.reasons, record.because) == ((), None)
    assert record.verdict.startswith("Passed: it errs less than holding still (")
    assert "Passed: it errs less" in (trained.promoted / "README.md").read_text()


def test_what_cannot_be_told_is_not_passed(trained: Trained):
    evaluation = evaluation_of(trained)
    reasons = gate(Evidence(beating(evaluation, "cannot be told"), [], []), [], "small-run").reasons
    assert len(reasons) == 2 and all("cannot be told" in reason for reason in reasons)
    assert evaluation.held_out is not None
    few = evaluation.held_out.model_copy(update={"clusters": 3, "episodes_in_part": 3})
    more = few.model_copy(update={"episodes_in_part": 20})
    for part, words in (
        (few, "3 held-out episodes cannot tell whether it beats"),
        (more, "gr00t-assets evaluate small-run --max-episodes 20"),
        (None, "no episode is held out"),
    ):
        changed = evaluation.model_copy(update={"held_out": part})
        (reason,) = gate(Evidence(changed, [], []), [], "small-run").reasons
        assert words in reason


@pytest.mark.parametrize(
    ("policy", "replay", "passes"), [(30, 4, True), (12, 8, False), (4, 4, False), (0, 0, False)]
)
def test_success_has_to_clear_the_best_baseline(
    trained: Trained, policy: int, replay: int, passes: bool
):
    evaluation = beating(evaluation_of(trained))
    save_evaluation(evaluation, trained.run)
    save_rollouts(rolled_out(evaluation, policy, replay), trained.run)
    if passes:
        record = trained.promote(because=None)
        assert record.success["table"].successes == policy
        assert f"in table it succeeds {record.success['table'].words()}, the best" in record.verdict
        card = (trained.promoted / "README.md").read_text()
        assert f"| table | this policy | {policy} of 50 (" in card
        assert f"| table | replay | {replay} of 50 (" in card
    else:
        reason, _ = refused(trained)
        assert reason.startswith(f"in table it succeeds {policy} of 50 (")
        assert reason.endswith("its interval does not clear the baseline's")


def test_rollouts_of_other_weights_or_damaged_ones_are_no_evidence(trained: Trained):
    evaluation = beating(evaluation_of(trained))
    save_evaluation(evaluation, trained.run)
    other = rolled_out(evaluation, 50, 0).model_copy(update={"model_hash": "f" * 16})
    save_rollouts(other, trained.run)
    assert refused(trained)[0] == (
        "its rollouts in table are of other weights: "
        "gr00t-assets rollout small-run --environment table"
    )
    (trained.run / "rollouts" / "table.json").write_text("{}")
    assert "its rollouts in table cannot be read" in refused(trained)[0]


def test_a_declared_environment_has_to_be_tried(trained: Trained):
    evaluation = beating(evaluation_of(trained))
    (reason,) = gate(Evidence(evaluation, [], []), ["table"], "small-run@2").reasons
    assert "declares the environment table" in reason and reason.endswith(
        "rollout small-run@2 --environment table"
    )
    good = rolled_out(evaluation, 30, 2)
    assert gate(Evidence(evaluation, [good], []), ["table"], "small-run").reasons == ()
    alone = good.model_copy(update={"baselines": {}})
    (reason,) = gate(Evidence(evaluation, [alone], []), ["table"], "small-run").reasons
    assert "no baseline was rolled out" in reason


def test_a_checkpoint_is_promoted_beside_the_final_weights(trained: Trained):
    assert "it was not evaluated" in refused(trained, "2")[0]
    code, text = cli("evaluate", f"{trained.run}", "--checkpoints", "all", "--draws", "2")
    assert code == 0, text
    assert "step 2" in text and "final" in text and "best: step" in text
    record = trained.promote("2")
    folder = trained.store.promoted_model("small-run", f"{trained.run.name}-step-000002")
    assert (record.step, record.name) == (2, "small-run@2") and load_promotion(folder) == record
    assert trained.promote("2") == record
    card = (folder / "README.md").read_text()
    assert "checkpoint at step 2, not the last ones" in card and "| steps | 2 |" in card
    reference = find_model(str(folder))
    assert (reference.name, reference.trainer, reference.step) == ("small-run@2", "native", 2)
    policy = trainer_named("native").open_policy(folder)
    assert policy.config.data_config == "fourier_gr1_arms_only"
    best = trained.promote("best")
    assert best.chosen is not None and "the best of 2 by held-out error" in best.chosen
    final = trained.promote("4")
    assert final.step is None and (trained.promoted / "config.json").is_file()


def test_an_older_promotion_stays_readable(trained: Trained):
    record = trained.promote()
    content = json.loads((trained.promoted / PROMOTION).read_text())
    new = ("step", "chosen", "verdict", "reasons", "because", "success", "held_out_error")
    for name in (*new, "model_hash", "checksum"):
        del content[name]
    (trained.promoted / PROMOTION).write_text(json.dumps(content))
    older = trained.promote(because=None)
    assert (older.verdict, older.weights) == (NOT_JUDGED, record.weights)
    assert "not asked" in cli("model", "list")[1]
    (trained.promoted / PROMOTION).write_text("{")
    code, text = cli("model", "list")
    assert code == 0 and "this is not the record of a promotion" in text
