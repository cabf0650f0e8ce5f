"""Checks of datasets, training environments, checkpoints and of what results are worth.

Those of data, environments and checkpoints block what follows. Those of results block nothing: red
where the result is bad, yellow where that cannot be told, by the numbers that an experiment's
present configuration has in its run directory.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import dagster as dg

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.finding import Findings
from gr00t_assets.datasets.sources.versions import load_record
from gr00t_assets.defs.assets.data import dataset, modality_config
from gr00t_assets.defs.assets.evaluation import open_loop_evaluation, rollouts
from gr00t_assets.defs.assets.training import checkpoint, environment_report, training_environment
from gr00t_assets.defs.failures import explained
from gr00t_assets.defs.metadata import findings_table, stored_path
from gr00t_assets.defs.partitions import CATALOG, EXPERIMENTS
from gr00t_assets.defs.resources import StoreResource
from gr00t_assets.evaluation.result import BaselineName, load_evaluation
from gr00t_assets.evaluation.rollouts import result as rolled_out
from gr00t_assets.evaluation.wording import baseline_sentence, language_sentence
from gr00t_assets.runs import final_loss
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.runs.spec import TrainingSpec, current_config_hash, make_spec
from gr00t_assets.trainers import run_checks
from gr00t_assets.trainers.base import EnvironmentReport

Judgement = tuple[Literal["yes", "no", "cannot be told", "does not apply"], str]
"""Whether it holds, and why in a sentence or two."""

Judge = Callable[[TrainingSpec], Judgement]

_NOT_THERE: Judgement = ("cannot be told", "there is nothing of the present configuration")

checks: list[dg.AssetChecksDefinition] = []
"""All of them, in the order in which they stand below."""

# Partitioned asset checks are a preview in 1.13; the pin on 1.13 is what the warning asks for.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)


def _check(
    asset: dg.AssetsDefinition,
    name: str,
    description: str,
    body: Callable[..., dg.AssetCheckResult],
    blocking: bool = True,
) -> None:
    """Add a check of each partition of an asset."""
    check = dg.asset_check(
        asset=asset,
        name=name,
        description=description,
        partitions_def=asset.partitions_def,
        blocking=blocking,
    )
    checks.append(check(explained(body)))


def _dataset_check(
    asset: dg.AssetsDefinition, name: str, description: str, with_data_config: bool
) -> None:
    def body(context: dg.AssetCheckExecutionContext, store: StoreResource) -> dg.AssetCheckResult:
        from gr00t_assets.datasets.fit.dataset_check import check_stored_dataset

        entry = CATALOG[context.partition_key]
        data_config = entry.data_config if with_data_config else None
        record = load_record(entry.name, store)
        findings = check_stored_dataset(record, store, data_config, entry.embodiment_tag)
        return _result(context, findings)

    _check(asset, name, description, body)


def _environment_check(
    name: str, description: str, findings_of: Callable[[EnvironmentReport], Findings]
) -> None:
    def body(context: dg.AssetCheckExecutionContext, store: StoreResource) -> dg.AssetCheckResult:
        report = environment_report(context.partition_key, context.run.run_id, store)
        return _result(context, findings_of(report))

    _check(training_environment, name, description, body)


def _result(context: dg.AssetCheckExecutionContext, findings: Findings) -> dg.AssetCheckResult:
    """Every finding as a table; an error fails the check."""
    for finding in findings.errors:
        subject = finding.subject or context.partition_key
        context.log.error(f"{subject}: {finding.found}; {finding.remedy}")
    return dg.AssetCheckResult(
        passed=findings.ok,
        description=findings.summary(),
        metadata={
            "errors": findings.error_count,
            "warnings": findings.warning_count,
            "findings": findings_table(findings),
        },
    )


def _checkpoint_check(
    name: str, description: str, find: Callable[[Path], run_checks.Problem]
) -> None:
    def body(context: dg.AssetCheckExecutionContext, store: StoreResource) -> dg.AssetCheckResult:
        experiment = EXPERIMENTS[context.partition_key]
        directory = store.run_directory(experiment.name, current_config_hash(experiment, store))
        metadata = {"run_directory": stored_path(directory, store.root)}
        try:
            manifest = load_manifest(directory)
        except Gr00tAssetsError as error:
            return dg.AssetCheckResult(passed=False, description=str(error), metadata=metadata)
        if name == run_checks.WEIGHTS and manifest is not None and manifest.status == "pruned":
            pruned = f"there are no final weights to load: {manifest.failure}"
            return dg.AssetCheckResult(passed=True, description=pruned, metadata=metadata)
        problem = find(directory) if directory.is_dir() else "this configuration has not been run"
        run_checks.record_check(directory, name, problem is None)
        if problem is not None:
            context.log.error(f"{experiment.name}: {name}: {problem}")
        return dg.AssetCheckResult(passed=problem is None, description=problem, metadata=metadata)

    _check(checkpoint, name, description, body)


_dataset_check(dataset, "files_are_sound", "No file of the dataset has a fault.", False)
_dataset_check(
    modality_config, "fits_data_config", "The dataset fits its data config without fault.", True
)
_environment_check(
    "environment_is_complete",
    "Nothing that a training needs is missing on this machine.",
    lambda report: report.findings,
)
_environment_check(
    "commit_fits_generation",
    "The code that trains is there, at a commit that is not known to be of another model.",
    lambda report: report.code_findings,
)
_checkpoint_check(
    "loss_is_finite", "Every logged loss is a finite number.", run_checks.loss_problem
)
_checkpoint_check(
    run_checks.WEIGHTS,
    "The final weights load and predict finite actions for a real sample.",
    run_checks.weights_problem,
)
_checkpoint_check(
    "config_matches_run",
    "The run directory was made with the experiment's present configuration.",
    run_checks.config_problem,
)


def _result_check(
    asset: dg.AssetsDefinition, worst: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
) -> Callable[[Judge], Judge]:
    """Make a check of a judge: its name, its docstring, and ``worst`` where its answer is no."""

    def added(judge: Judge) -> Judge:
        name = judge.__name__

        def body(
            context: dg.AssetCheckExecutionContext, store: StoreResource
        ) -> dg.AssetCheckResult:
            answer, why = judge(make_spec(EXPERIMENTS[context.partition_key], store))
            severity = worst if answer == "no" else dg.AssetCheckSeverity.WARN
            passed = answer in ("yes", "does not apply")
            if not passed:
                context.log.warning(f"{context.partition_key}: {name}: {answer}: {why}")
            return dg.AssetCheckResult(
                passed=passed, severity=severity, description=why, metadata={"answer": answer}
            )

        description = " ".join((judge.__doc__ or "").split())
        _check(asset, name, description, body, blocking=False)
        return judge

    return added


@_result_check(checkpoint)
def loss_fell(spec: TrainingSpec) -> Judgement:
    """The final loss is below the first one, by the 95 percent interval of the difference of both
    windows in metrics.jsonl.
    """
    losses = read_metrics(spec.run_directory).losses
    return final_loss.loss_fell(losses) if len(losses) else _NOT_THERE


@_result_check(checkpoint, dg.AssetCheckSeverity.WARN)
def loss_has_no_spikes(spec: TrainingSpec) -> Judgement:
    """No step's loss in metrics.jsonl is seven standard deviations above the mean of up to 1,000
    steps before it (the spike score of OLMo 2).
    """
    losses = read_metrics(spec.run_directory).losses
    if not len(losses):
        return _NOT_THERE
    steps = final_loss.loss_spikes(losses)
    if not len(steps):
        return "yes", f"none in {len(losses):,} steps"
    spikes = losses[steps - 1]
    shown = ", ".join(map(str, steps[:5])) + (" ..." if len(steps) > 5 else "")
    highest = f"the highest is {spikes.max():.4g} at step {steps[spikes.argmax()]}"
    return "no", f"at {len(steps)} of {len(losses):,} steps ({shown}); {highest}"


def judge_baseline(rule: BaselineName, spec: TrainingSpec) -> Judgement:
    """Whether the policy errs less than a rule without a model, by ``evaluation.json``."""
    evaluation = load_evaluation(spec.run_directory)
    if evaluation is None:
        return _NOT_THERE
    baseline = next((item for item in evaluation.main.baselines if item.name == rule), None)
    if baseline is None:
        return "cannot be told", f"it was evaluated without the rule {rule!r}"
    return baseline.beaten, f"{evaluation.main.part}: {baseline_sentence(baseline)}"


@_result_check(open_loop_evaluation)
def beats_holding_still(spec: TrainingSpec) -> Judgement:
    """Its error is below that of holding still: held-out episodes, 95 percent interval of the
    paired difference.
    """
    return judge_baseline("hold", spec)


@_result_check(open_loop_evaluation)
def beats_mean_action(spec: TrainingSpec) -> Judgement:
    """Its error is below that of the mean recorded action, likewise."""
    return judge_baseline("mean action", spec)


@_result_check(open_loop_evaluation, dg.AssetCheckSeverity.WARN)
def uses_language(spec: TrainingSpec) -> Judgement:
    """Another prompt changes its actions by more than another draw of the noise does."""
    evaluation = load_evaluation(spec.run_directory)
    if evaluation is None:
        return _NOT_THERE
    used = evaluation.language_used
    if used == "cannot be told: one task":
        return "does not apply", "the dataset has one task: there is nothing to tell apart"
    answer = used if used == "yes" or used == "no" else "cannot be told"
    return answer, language_sentence(evaluation)


@_result_check(rollouts)
def beats_rules(spec: TrainingSpec) -> Judgement:
    """Its success rate is above that of the best rule without a model: their 95 percent intervals
    do not overlap, as the gate of a promotion asks.
    """
    environment = rolled_out.declared_environment(spec)
    if environment is None:
        return "does not apply", "no environment is declared for its dataset: nothing to beat"
    path = rolled_out.rollouts_file(spec.run_directory, environment.name)
    if not path.is_file():
        return _NOT_THERE
    return beats_best_rule(rolled_out.read_rollouts(path))


def beats_best_rule(rollouts: rolled_out.Rollouts) -> Judgement:
    """By Wilson's 95 percent intervals of both rates, which do not overlap where it is told."""
    if rollouts.best_baseline is None:
        return "cannot be told", "no rule without a model was rolled out beside it"
    own, rule = rollouts.rate.wilson(), rollouts.best_baseline[1].wilson()
    answer = "yes" if own[0] > rule[1] else "no" if own[1] < rule[0] else "cannot be told"
    return answer, rolled_out.rollouts_sentence(rollouts)
