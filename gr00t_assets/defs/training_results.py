"""What materialisations of a checkpoint, its evaluation and its rollouts say.

Their data versions and metadata, the most wanted first, from what the run directory holds: for the
assets, which have just computed it, and for ``store rematerialize``, which tells it anew.
"""

from pathlib import Path

import dagster as dg

from gr00t_assets.core.project import Store
from gr00t_assets.core.text import counted, markdown
from gr00t_assets.defs.metadata import (
    INLINE,
    Metadata,
    bullets,
    fields,
    folded_table,
    image,
    readable,
    result,
    settings,
    stored_path,
    table,
)
from gr00t_assets.evaluation import wording as evaluated
from gr00t_assets.evaluation.evaluation_plots import horizon_png, horizon_svg, trajectories_png
from gr00t_assets.evaluation.result import NOT_SUCCESS, Evaluation, PartEvaluation
from gr00t_assets.evaluation.rollouts import result as rolled_out
from gr00t_assets.evaluation.rollouts.result import Rollouts, rollouts_file
from gr00t_assets.runs.checkpoint_choice import EVALUATION, best_weights, stored_weights
from gr00t_assets.runs.manifest import MIXTURE_HEAD, Manifest, mixture_rows
from gr00t_assets.runs.metrics import read_held_out_losses, read_metrics
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.wandb_run import read_record

ALREADY_FINISHED = "already finished; nothing trained"

_MOST_OUTCOMES = 200
"""Episodes whose outcomes are listed; the file has them all."""


def checkpoint_result(
    manifest: Manifest, spec: TrainingSpec, store: Store, text: str = ALREADY_FINISHED
) -> dg.MaterializeResult:
    """Of a run that is finished or pruned; ``text`` says whether it was trained now.

    Names, loss, curve and settings, then numbers, then where everything came from.
    """
    version = f"{manifest.config_hash}-{manifest.trainer_revision}"
    if manifest.status == "pruned":
        text, version = manifest.failure or "pruned", f"{version}-pruned"
    hyperparameters = spec.experiment.hyperparameters
    changed = hyperparameters.changed()
    parts = {name: f"{count:,}" for name, count in manifest.trainable_parameters.items() if count}
    mixture = mixture_rows(manifest)
    return result(
        version,
        {
            "experiment": f"{spec.experiment.name} of the sweep {spec.experiment.sweep}",
            "hypothesis": spec.experiment.hypothesis or "none",
            **_losses(manifest, spec),
            "hyperparameters": settings(changed),
            "result": text,
            **_checkpoint_numbers(manifest, spec),
            "trainable_parameters": table(["part", "parameters"], parts.items()),
            "trainer": f"{manifest.trainer}, revision {manifest.trainer_revision}",
            "base_model": manifest.base_model,
            "dataset": f"{manifest.dataset}, version {manifest.dataset_version}",
            **({"mixture": table(list(MIXTURE_HEAD), mixture)} if mixture else {}),
            "device": manifest.device,
            **_wandb(spec),
            "run_directory": stored_path(spec.run_directory, store),
            "config_hash": manifest.config_hash,
            "default_hyperparameters": settings(hyperparameters.model_dump(exclude=set(changed))),
        },
    )


def _losses(manifest: Manifest, spec: TrainingSpec) -> Metadata:
    """The final loss with its curve, and the loss on held-out episodes where it was taken."""
    from gr00t_assets.comparison.wording import loss_text
    from gr00t_assets.reporting.curve_images import inline_curve, run_curve_png

    metrics, window = read_metrics(spec.run_directory), manifest.final_loss
    loss = "none was logged"
    if window:
        mean = loss_text(window.mean, window.standard_error)
        loss = f"{mean} over the last {counted(window.steps, 'step')}"
    shown: Metadata = {
        "loss": loss,
        "loss_line": dg.MetadataValue.md(inline_curve(metrics, INLINE)),
        "loss_curve": image(run_curve_png(metrics), f"training loss of {spec.experiment.name}"),
    }
    if held_out := read_held_out_losses(spec.run_directory):
        rows = [[step, f"{loss:.4f}"] for step, loss in held_out.items()]
        shown["held_out_losses"] = folded_table(["step", "loss on held-out episodes"], rows)
        shown["held_out_loss"] = readable(list(held_out.values())[-1])
    return shown


def _checkpoint_numbers(manifest: Manifest, spec: TrainingSpec) -> Metadata:
    """What the page plots by partition and by time."""
    first, final = manifest.first_loss, manifest.final_loss
    losses = {
        "first_loss": first and first.mean,
        "final_loss": final and final.mean,
        "final_loss_se": final and final.standard_error,
    }
    return {
        **{name: readable(value) for name, value in losses.items() if value is not None},
        "learning_rate": spec.experiment.hyperparameters.learning_rate,
        **fields(manifest, "steps", "samples_seen", "epochs", "samples_per_second"),
        **fields(manifest, "wall_seconds", "gpu_seconds"),
        "peak_memory_megabytes": readable(manifest.peak_memory_bytes / 1e6),
        "attempts": manifest.attempts,
    }


def _wandb(spec: TrainingSpec) -> Metadata:
    """Where the run is on Weights & Biases, or how it gets there."""
    record = read_record(spec.run_directory)
    if record is None or record.mode is None:
        return {}
    offline = f"offline; in the run directory: {record.sync}"
    return {"weights_and_biases": dg.MetadataValue.url(record.url) if record.url else offline}


def evaluation_result(
    evaluation: Evaluation, spec: TrainingSpec, store: Store
) -> dg.MaterializeResult:
    """Of an open-loop evaluation: the verdict, plots, errors and baselines, then numbers."""
    parts, main, drawn = evaluation.parts, evaluation.main, evaluation.settings
    small = f"![error at each step of the horizon](<data:image/svg+xml,{horizon_svg(evaluation)}>)"
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
    images = {
        f"{_key(part)}_trajectories": image(
            trajectories_png(evaluation, part.part), f"an episode {part.part}"
        )
        for part in parts
    }
    groups = {
        f"{_key(part)}_action_groups": folded_table(evaluated.PART_HEAD, evaluated.group_rows(part))
        for part in parts
    }
    return result(
        evaluation.content_hash(),
        {
            "verdict": evaluated.verdict_sentence(evaluation),
            **_best_checkpoint(spec.run_directory),
            "not_success": NOT_SUCCESS,
            **({"error_by_step_line": dg.MetadataValue.md(small)} if len(small) < INLINE else {}),
            "errors": bullets(errors),
            "baselines": bullets(baselines),
            "language_used": evaluated.language_sentence(evaluation),
            "limits": bullets(evaluation.limits),
            "error_by_step": image(horizon_png(evaluation), "error at each step of the horizon"),
            **images,
            **groups,
            "each_number_in_units": folded_table(evaluated.JOINT_HEAD, evaluated.joint_rows(main)),
            **_evaluation_numbers(evaluation),
            "draws": f"{counted(drawn.draws, 'draw')} of "
            f"{counted(evaluation.denoising_steps, 'denoising step')}, "
            f"seed {drawn.seed}, every {counted(main.stride, 'row')}",
            "model_hash": evaluation.model_hash,
            "dataset": f"{evaluation.dataset}, version {evaluation.dataset_version}",
            "device": evaluation.device,
            "evaluation": stored_path(spec.run_directory / EVALUATION, store),
        },
    )


def _best_checkpoint(run_directory: Path) -> Metadata:
    """What ``EXPERIMENT@best`` is and why; nothing of a run that has its final weights alone."""
    if len(stored_weights(run_directory)) < 2:
        return {}
    best = best_weights(run_directory)
    return {"best_checkpoint": f"cannot be told: {best}" if isinstance(best, str) else best.why}


def _evaluation_numbers(evaluation: Evaluation) -> Metadata:
    """What the page plots by partition and by time."""
    numbers: Metadata = {}
    for part in evaluation.parts:
        name = f"{_key(part)}_error"
        numbers[name] = readable(part.error.mean)
        if part.error.standard_error is not None:
            numbers[f"{name}_se"] = readable(part.error.standard_error)
        for rule in part.baselines:
            numbers[f"{name}_of_{rule.name.replace(' ', '_')}"] = readable(rule.error.mean)
    numbers["language_ratio"] = readable(evaluation.prompt_swap.ratio.mean)
    return {**numbers, **fields(evaluation, "wall_seconds")}


def _key(part: PartEvaluation) -> str:
    """``held_out`` or ``seen``: names that fit the page's column."""
    return "held_out" if part.part == "held out" else "seen"


def rollouts_result(rollouts: Rollouts, spec: TrainingSpec, store: Store) -> dg.MaterializeResult:
    """Of rollouts in one environment: success and intervals, videos, outcomes, then numbers."""
    asked, best = rollouts.settings, rollouts.best_baseline
    file = rollouts_file(spec.run_directory, rollouts.environment, rollouts.step)
    numbers = {
        "success_rate": rollouts.rate.rate,
        "best_baseline_rate": best and best[1].rate,
        "mean_score": rollouts.mean_score,
        "steps_to_success": rollouts.steps_to_success,
    }
    videos = []
    for path in (spec.run_directory / video for video in rollouts.videos):
        caption = path.stem.replace("-", " ")
        there = image(path.read_bytes(), caption, "webp").md_str if path.is_file() else "is gone"
        videos.append(f"{markdown(caption)}\n\n{there}")
    outcomes = rolled_out.outcome_rows(rollouts.policy[:_MOST_OUTCOMES])
    return result(
        rollouts.content_hash(),
        {
            "verdict": rolled_out.rollouts_sentence(rollouts),
            "success": table(rolled_out.RATE_HEAD, rolled_out.rate_rows(rollouts)),
            "videos": dg.MetadataValue.md("\n\n".join(videos) or "none"),
            "endings": rolled_out.endings_sentence(rollouts),
            "failures": bullets(rolled_out.failure_sentences(rollouts)),
            "outcomes": folded_table(rolled_out.OUTCOME_HEAD, outcomes),
            "baselines": bullets(rolled_out.baseline_sentences(rollouts)),
            **{name: readable(value) for name, value in numbers.items() if value is not None},
            "settings": f"{counted(asked.episodes, 'episode')} from seed {asked.first_seed} on, "
            f"replanned every {counted(asked.replan_every, 'step')}",
            "environment": f"{rollouts.environment}, {rollouts.environment_hash}",
            "seconds": rolled_out.seconds_sentence(rollouts),
            **fields(rollouts, "wall_seconds", "device", "model_hash"),
            "rollouts": stored_path(file, store),
        },
    )
