"""Assets of what becomes of a checkpoint: its open-loop evaluation, its rollouts."""

from pathlib import Path

import dagster as dg

from gr00t_assets.core.errors import EvaluationError
from gr00t_assets.core.project import materialize_command
from gr00t_assets.core.text import counted, markdown
from gr00t_assets.defs import metadata as show
from gr00t_assets.defs.assets.training import checkpoint
from gr00t_assets.defs.failures import explained_asset
from gr00t_assets.defs.launching import run_worker
from gr00t_assets.defs.partitions import EXPERIMENTS, experiment_partitions
from gr00t_assets.defs.resources import StoreResource
from gr00t_assets.evaluation import wording as evaluated
from gr00t_assets.evaluation.result import (
    NOT_SUCCESS,
    Evaluation,
    EvaluationSettings,
    PartEvaluation,
    load_evaluation,
)
from gr00t_assets.evaluation.rollouts import result as rolled_out
from gr00t_assets.runs.checkpoint_choice import EVALUATION, best_weights, stored_weights
from gr00t_assets.runs.spec import TrainingSpec, make_spec

_MOST_OUTCOMES = 200
"""Episodes whose outcomes are listed; the file has them all."""


@explained_asset("analysis", {"pytorch"}, partitions_def=experiment_partitions, deps=[checkpoint])
def open_loop_evaluation(
    context: dg.AssetExecutionContext, store: StoreResource
) -> dg.MaterializeResult:
    """Predicted against recorded actions, on held-out episodes and on ones seen in training.

    With intervals, beside holding the state and the mean action, and with a swap of prompts that
    tells whether language is used. It is not success on a robot. What was evaluated with the same
    weights before is not evaluated again.
    """
    from gr00t_assets.evaluation.worker import evaluation_command

    spec = make_spec(EXPERIMENTS[context.partition_key], store)
    _require_trained(spec, "evaluate")
    command = evaluation_command(spec.run_directory, EvaluationSettings())
    run_worker(context, command, "evaluation.log", "evaluation", spec)
    result = evaluation_result(spec)
    assert result is not None
    return result


@explained_asset("analysis", {"gymnasium"}, partitions_def=experiment_partitions, deps=[checkpoint])
def rollouts(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
    """Success of the policy in simulation, with intervals and videos, beside rules without a model.

    In the environment that `data/datasets.yaml` names for the experiment's dataset; where it names
    none there is nothing to do. What was rolled out with the same weights, environment and settings
    before is not rolled out again.
    """
    from gr00t_assets.evaluation.worker import evaluation_command

    spec = make_spec(EXPERIMENTS[context.partition_key], store)
    environment = rolled_out.declared_environment(spec)
    if environment is None:
        names = ", ".join(dataset.name for dataset in spec.datasets)
        verdict = f"no environment is declared for dataset {names}"
        context.log.info(verdict)
        return show.result("no environment", {"verdict": verdict})
    _require_trained(spec, "roll out")
    settings = rolled_out.settings_for(environment, spec)
    command = evaluation_command(spec.run_directory, settings, environment.name)
    run_worker(context, command, "rollouts.log", "rolling out", spec)
    outcome = rolled_out.read_rollouts(
        rolled_out.rollouts_file(spec.run_directory, environment.name)
    )
    return rollouts_result(outcome, spec)


def _require_trained(spec: TrainingSpec, what: str) -> None:
    name = spec.experiment.name
    if not spec.run_directory.is_dir():
        problem = f"its present configuration was not trained, so there is nothing to {what}."
        command = materialize_command("checkpoint", name)
        raise EvaluationError(name, problem, [f"run: {command}"])


def evaluation_result(spec: TrainingSpec) -> dg.MaterializeResult | None:
    """Of a run's evaluation: the verdict, plots, errors and baselines, then numbers.

    None of a run that was not evaluated.
    """
    from gr00t_assets.reporting.images import horizon_png, horizon_svg, trajectories_png

    if (evaluation := load_evaluation(spec.run_directory)) is None:
        return None
    parts, main, drawn = evaluation.parts, evaluation.main, evaluation.settings
    caption, joints = "error at each step of the horizon", evaluated.joint_rows(main)
    small = f"![{caption}](<data:image/svg+xml,{horizon_svg(evaluation)}>)"
    errors = (
        text
        for part in parts
        for text in (evaluated.part_sentence(part), *evaluated.dataset_sentences(part))
    )
    baselines = (
        f"{part.part}: {evaluated.baseline_sentence(rule)}"
        for part in parts
        for rule in part.baselines
    )
    by_part: show.Metadata = {}
    for part in parts:
        plot = trajectories_png(evaluation, part.part)
        by_part[f"{_key(part)}_trajectories"] = show.image(plot, f"an episode {part.part}")
    for part in parts:
        groups = show.folded_table(evaluated.PART_HEAD, evaluated.group_rows(part))
        by_part[f"{_key(part)}_action_groups"] = groups
    return show.result(
        evaluation.content_hash(),
        {
            "verdict": evaluated.verdict_sentence(evaluation),
            "best_checkpoint": _best_checkpoint(spec.run_directory),
            "not_success": NOT_SUCCESS,
            "error_by_step_line": dg.MetadataValue.md(small) if len(small) < show.INLINE else None,
            "errors": show.bullets(errors),
            "baselines": show.bullets(baselines),
            "language_used": evaluated.language_sentence(evaluation),
            "limits": show.bullets(evaluation.limits),
            "error_by_step": show.image(horizon_png(evaluation), caption),
            **by_part,
            "each_number_in_units": show.folded_table(evaluated.JOINT_HEAD, joints),
            **_evaluation_numbers(evaluation),
            "draws": f"{counted(drawn.draws, 'draw')} of "
            f"{counted(evaluation.denoising_steps, 'denoising step')}, "
            f"seed {drawn.seed}, every {counted(main.stride, 'row')}",
            "model_hash": evaluation.model_hash,
            "dataset": f"{evaluation.dataset}, version {evaluation.dataset_version}",
            "device": evaluation.device,
            "evaluation": show.stored_path(spec.run_directory / EVALUATION, spec.store),
        },
    )


def _best_checkpoint(run_directory: Path) -> str | None:
    """What ``EXPERIMENT@best`` is and why; None of a run that has its final weights alone."""
    if len(stored_weights(run_directory)) < 2:
        return None
    best = best_weights(run_directory)
    return f"cannot be told: {best}" if isinstance(best, str) else best.why


def _evaluation_numbers(evaluation: Evaluation) -> show.Metadata:
    """What the page plots by partition and by time."""
    numbers: show.Metadata = {}
    for part in evaluation.parts:
        name = f"{_key(part)}_error"
        numbers[name] = show.readable(part.error.mean)
        numbers[f"{name}_se"] = show.readable(part.error.standard_error)
        for rule in part.baselines:
            numbers[f"{name}_of_{rule.name.replace(' ', '_')}"] = show.readable(rule.error.mean)
    numbers["language_ratio"] = show.readable(evaluation.prompt_swap.ratio.mean)
    return {**numbers, **show.fields(evaluation, "wall_seconds")}


def _key(part: PartEvaluation) -> str:
    """``held_out`` or ``seen``: names that fit the page's column."""
    return "held_out" if part.part == "held out" else "seen"


def rollouts_result(rollouts: rolled_out.Rollouts, spec: TrainingSpec) -> dg.MaterializeResult:
    """Of rollouts in one environment: success and intervals, videos, outcomes, then numbers."""
    asked, best = rollouts.settings, rollouts.best_baseline
    file = rolled_out.rollouts_file(spec.run_directory, rollouts.environment, rollouts.step)
    videos = []
    for path in (spec.run_directory / video for video in rollouts.videos):
        caption = path.stem.replace("-", " ")
        video = show.image(path.read_bytes(), caption, "webp") if path.is_file() else None
        videos.append(f"{markdown(caption)}\n\n{video.md_str if video else 'is gone'}")
    outcomes = rolled_out.outcome_rows(rollouts.policy[:_MOST_OUTCOMES])
    return show.result(
        rollouts.content_hash(),
        {
            "verdict": rolled_out.rollouts_sentence(rollouts),
            "success": show.table(rolled_out.RATE_HEAD, rolled_out.rate_rows(rollouts)),
            "videos": dg.MetadataValue.md("\n\n".join(videos) or "none"),
            "endings": rolled_out.endings_sentence(rollouts),
            "failures": show.bullets(rolled_out.failure_sentences(rollouts)),
            "outcomes": show.folded_table(rolled_out.OUTCOME_HEAD, outcomes),
            "baselines": show.bullets(rolled_out.baseline_sentences(rollouts)),
            "success_rate": show.readable(rollouts.rate.rate),
            "best_baseline_rate": show.readable(best[1].rate) if best else None,
            **show.fields(rollouts, "mean_score", "steps_to_success"),
            "settings": f"{counted(asked.episodes, 'episode')} from seed {asked.first_seed} on, "
            f"replanned every {counted(asked.replan_every, 'step')}",
            "environment": f"{rollouts.environment}, {rollouts.environment_hash}",
            "seconds": rolled_out.seconds_sentence(rollouts),
            **show.fields(rollouts, "wall_seconds", "device", "model_hash"),
            "rollouts": show.stored_path(file, spec.store),
        },
    )
