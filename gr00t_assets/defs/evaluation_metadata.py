"""What the page of an open-loop evaluation shows, the verdict first."""

from pathlib import Path

import dagster as dg

from gr00t_assets.core.project import Store
from gr00t_assets.core.text import counted
from gr00t_assets.defs.metadata import (
    INLINE,
    Metadata,
    bullets,
    fields,
    folded_table,
    image,
    readable,
    stored_path,
)
from gr00t_assets.evaluation.evaluation_plots import horizon_png, horizon_svg, trajectories_png
from gr00t_assets.evaluation.result import NOT_SUCCESS, Evaluation, PartEvaluation
from gr00t_assets.evaluation.wording import (
    JOINT_HEAD,
    PART_HEAD,
    baseline_sentence,
    dataset_sentences,
    group_rows,
    joint_rows,
    language_sentence,
    part_sentence,
    verdict_sentence,
)
from gr00t_assets.runs.checkpoint_choice import EVALUATION, best_weights, stored_weights
from gr00t_assets.runs.spec import TrainingSpec


def evaluation_metadata(evaluation: Evaluation, spec: TrainingSpec, store: Store) -> Metadata:
    """The verdict, plots, errors and baselines, then numbers, then where they came from."""
    main = evaluation.main
    settings = evaluation.settings
    small = f"![error at each step of the horizon](<data:image/svg+xml,{horizon_svg(evaluation)}>)"
    drawn = {"error_by_step_line": dg.MetadataValue.md(small)} if len(small) < INLINE else {}
    return {
        "verdict": verdict_sentence(evaluation),
        **_best_checkpoint(spec.run_directory),
        "not_success": NOT_SUCCESS,
        **drawn,
        "errors": bullets(
            text
            for part in evaluation.parts
            for text in (part_sentence(part), *dataset_sentences(part))
        ),
        "baselines": bullets(
            f"{part.part}: {baseline_sentence(rule)}"
            for part in evaluation.parts
            for rule in part.baselines
        ),
        "language_used": language_sentence(evaluation),
        "limits": bullets(evaluation.limits),
        "error_by_step": image(horizon_png(evaluation), "error at each step of the horizon"),
        **{
            f"{_key(part)}_trajectories": image(
                trajectories_png(evaluation, part.part), f"an episode {part.part}"
            )
            for part in evaluation.parts
        },
        **{
            f"{_key(part)}_action_groups": folded_table(list(PART_HEAD), group_rows(part))
            for part in evaluation.parts
        },
        "each_number_in_units": folded_table(list(JOINT_HEAD), joint_rows(main)),
        **_evaluation_numbers(evaluation),
        "draws": f"{counted(settings.draws, 'draw')} of "
        f"{counted(evaluation.denoising_steps, 'denoising step')}, "
        f"seed {settings.seed}, every {counted(main.stride, 'row')}",
        "model_hash": evaluation.model_hash,
        "dataset": f"{evaluation.dataset}, version {evaluation.dataset_version}",
        "device": evaluation.device,
        "evaluation": stored_path(spec.run_directory / EVALUATION, store),
    }


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
        name = _key(part)
        numbers[f"{name}_error"] = readable(part.error.mean)
        if part.error.standard_error is not None:
            numbers[f"{name}_error_se"] = readable(part.error.standard_error)
        for rule in part.baselines:
            key = f"{name}_error_of_{rule.name.replace(' ', '_')}"
            numbers[key] = readable(rule.error.mean)
    numbers["language_ratio"] = readable(evaluation.prompt_swap.ratio.mean)
    return {**numbers, **fields(evaluation, "wall_seconds")}


def _key(part: PartEvaluation) -> str:
    """``held_out`` or ``seen``: names that fit the page's column."""
    return "held_out" if part.part == "held out" else "seen"
