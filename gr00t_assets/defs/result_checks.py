"""Checks that say what a result is worth: red where it is bad, yellow where it cannot be told.

They block nothing. Those of an experiment take the numbers of its present configuration from its
run directory.
"""

from collections.abc import Callable
from typing import Literal

import dagster as dg

from gr00t_assets.defs.assets.rollouts import rollouts
from gr00t_assets.defs.assets.training import checkpoint, open_loop_evaluation
from gr00t_assets.defs.failures import explained
from gr00t_assets.defs.partitions import EXPERIMENTS, experiment_partitions
from gr00t_assets.defs.resources import StoreResource
from gr00t_assets.evaluation.result import BaselineName, load_evaluation
from gr00t_assets.evaluation.rollouts.result import (
    Rollouts,
    declared_environment,
    read_rollouts,
    rollouts_file,
    rollouts_sentence,
)
from gr00t_assets.evaluation.wording import baseline_sentence, language_sentence
from gr00t_assets.runs.loss_trend import loss_fell, loss_spikes
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.runs.spec import TrainingSpec, make_spec

Judgement = tuple[Literal["yes", "no", "cannot be told"], str]
"""Whether it holds, and why in a sentence or two."""

_NOT_THERE: Judgement = ("cannot be told", "there is nothing of the present configuration")


def _check(
    asset: dg.AssetsDefinition,
    name: str,
    description: str,
    judge: Callable[[TrainingSpec], Judgement],
    *,
    worst: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetChecksDefinition:
    """A check of each experiment; of severity ``worst`` where the answer is no."""

    def body(context: dg.AssetCheckExecutionContext, store: StoreResource) -> dg.AssetCheckResult:
        answer, why = judge(make_spec(EXPERIMENTS[context.partition_key], store))
        severity = worst if answer == "no" else dg.AssetCheckSeverity.WARN
        if answer != "yes":
            context.log.warning(f"{context.partition_key}: {name}: {answer}: {why}")
        return dg.AssetCheckResult(
            passed=answer == "yes", severity=severity, description=why, metadata={"answer": answer}
        )

    return dg.asset_check(
        asset=asset, name=name, description=description, partitions_def=experiment_partitions
    )(explained(body))


def judge_fall(spec: TrainingSpec) -> Judgement:
    """Whether the loss fell, by ``metrics.jsonl``."""
    losses = read_metrics(spec.run_directory).losses
    return loss_fell(losses) if len(losses) else _NOT_THERE


def judge_spikes(spec: TrainingSpec) -> Judgement:
    """Whether the loss had no spikes, by ``metrics.jsonl``."""
    losses = read_metrics(spec.run_directory).losses
    if not len(losses):
        return _NOT_THERE
    steps = loss_spikes(losses)
    if not len(steps):
        return "yes", f"none in {len(losses):,} steps"
    spikes = losses[steps - 1]
    shown = ", ".join(map(str, steps[:5])) + (" ..." if len(steps) > 5 else "")
    highest = f"the highest is {spikes.max():.4g} at step {steps[spikes.argmax()]}"
    return "no", f"at {len(steps)} of {len(losses):,} steps ({shown}); {highest}"


def judge_baseline(rule: BaselineName) -> Callable[[TrainingSpec], Judgement]:
    """Whether the policy errs less than a rule without a model, by ``evaluation.json``."""

    def judge(spec: TrainingSpec) -> Judgement:
        evaluation = load_evaluation(spec.run_directory)
        if evaluation is None:
            return _NOT_THERE
        found = next((item for item in evaluation.main.baselines if item.name == rule), None)
        if found is None:
            return "cannot be told", f"it was evaluated without the rule {rule!r}"
        return found.beaten, f"{evaluation.main.part}: {baseline_sentence(found)}"

    return judge


def judge_language(spec: TrainingSpec) -> Judgement:
    """Whether the policy acts otherwise for another prompt, by ``evaluation.json``."""
    evaluation = load_evaluation(spec.run_directory)
    if evaluation is None:
        return _NOT_THERE
    used = evaluation.language_used
    if used == "cannot be told: one task":
        return "yes", "the dataset has one task, so that there is nothing to tell apart"
    return ("yes" if used == "yes" else "no"), language_sentence(evaluation)


def judge_rollouts(spec: TrainingSpec) -> Judgement:
    """Whether the policy succeeds more often than every rule without a model, by its rollouts."""
    environment = declared_environment(spec)
    if environment is None:
        return "yes", "no environment is declared for its dataset: there is nothing to beat"
    path = rollouts_file(spec.run_directory, environment.name)
    if not path.is_file():
        return _NOT_THERE
    return beats_best_rule(read_rollouts(path))


def beats_best_rule(found: Rollouts) -> Judgement:
    """By Wilson's 95 percent intervals of both rates, which do not overlap where it is told."""
    if found.best_baseline is None:
        return "cannot be told", "no rule without a model was rolled out beside it"
    own, rule = found.rate.wilson(), found.best_baseline[1].wilson()
    answer = "yes" if own[0] > rule[1] else "no" if own[1] < rule[0] else "cannot be told"
    return answer, rollouts_sentence(found)


_WARN = dg.AssetCheckSeverity.WARN

result_checks = [
    _check(
        checkpoint,
        "loss_fell",
        "The final loss is below the first one, by the 95 percent interval of the difference of "
        "both windows in metrics.jsonl.",
        judge_fall,
    ),
    _check(
        checkpoint,
        "loss_has_no_spikes",
        "No step's loss in metrics.jsonl is seven standard deviations above the mean of up to "
        "1,000 steps before it (the spike score of OLMo 2).",
        judge_spikes,
        worst=_WARN,
    ),
    _check(
        open_loop_evaluation,
        "beats_holding_still",
        "Its error is below that of holding still: held-out episodes, 95 percent interval of the "
        "paired difference.",
        judge_baseline("hold"),
    ),
    _check(
        open_loop_evaluation,
        "beats_mean_action",
        "Its error is below that of the mean recorded action, likewise.",
        judge_baseline("mean action"),
    ),
    _check(
        open_loop_evaluation,
        "uses_language",
        "Another prompt changes its actions by more than another draw of the noise does.",
        judge_language,
        worst=_WARN,
    ),
    _check(
        rollouts,
        "beats_rules",
        "Its success rate is above that of the best rule without a model: their 95 percent "
        "intervals do not overlap, as the gate of a promotion asks.",
        judge_rollouts,
    ),
]
