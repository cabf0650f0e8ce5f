"""What the materialisation of an ``open_loop_evaluation`` shows on its page."""

from typing import TypeAlias

import dagster as dg

from gr00t_assets.core.project import Store
from gr00t_assets.defs.metadata import INLINE, bullets, image, in_store, readable, table
from gr00t_assets.evaluation.drawings import horizon_png, trajectories_png
from gr00t_assets.evaluation.result import (
    EVALUATION,
    NOT_SUCCESS,
    Evaluation,
    PartEvaluation,
)
from gr00t_assets.evaluation.small_drawing import horizon_svg
from gr00t_assets.evaluation.words import (
    PART_HEAD,
    baseline_sentence,
    group_rows,
    joint_rows,
    language_sentence,
    part_sentence,
    verdict_sentence,
)
from gr00t_assets.runs.spec import TrainingSpec

Shown: TypeAlias = dict[str, str | int | float | dg.MetadataValue]


def evaluation_metadata(evaluation: Evaluation, spec: TrainingSpec, store: Store) -> Shown:
    """The verdict, plots, errors and baselines, then numbers, then where they came from.

    Args:
        evaluation: What was found.
        spec: Of the run.
        store: The store that the run directory is in.
    """
    main = evaluation.main
    settings = evaluation.settings
    small = f"![error at each step of the horizon](<data:image/svg+xml,{horizon_svg(evaluation)}>)"
    drawn = {"error_by_step_line": dg.MetadataValue.md(small)} if len(small) < INLINE else {}
    return {
        "verdict": verdict_sentence(evaluation),
        "not_success": NOT_SUCCESS,
        **drawn,
        "errors": bullets(part_sentence(part) for part in evaluation.parts),
        "baselines": bullets(
            f"{part.part}: {baseline_sentence(rule)}"
            for part in evaluation.parts
            for rule in part.baselines
        ),
        "language_used": language_sentence(evaluation),
        "limits": bullets(evaluation.limits),
        **_plots(evaluation),
        **{f"{part.part}: action groups": _groups(part) for part in evaluation.parts},
        f"{main.part}: each number, in units": table(
            ["number", "error", "hold", "mean action"], joint_rows(main)
        ),
        **_numbers(evaluation),
        "draws": f"{settings.draws} draws of {evaluation.denoising_steps} denoising steps, "
        f"seed {settings.seed}, every {main.stride} rows",
        "model_hash": evaluation.model_hash,
        "dataset": f"{evaluation.dataset}, version {evaluation.dataset_version}",
        "device": evaluation.device,
        "evaluation": in_store(spec.run_directory / EVALUATION, store),
    }


def _plots(evaluation: Evaluation) -> Shown:
    shown: Shown = {
        "error_by_step": image(horizon_png(evaluation), "error at each step of the horizon")
    }
    for part in evaluation.parts:
        png = trajectories_png(evaluation, part.part)
        shown[f"{part.part}: trajectories"] = image(png, f"an episode {part.part}")
    return shown


def _groups(part: PartEvaluation) -> dg.MarkdownMetadataValue:
    return table(list(PART_HEAD), group_rows(part))


def _numbers(evaluation: Evaluation) -> Shown:
    """What the page plots by partition and by time."""
    numbers: Shown = {}
    for part in evaluation.parts:
        name = part.part.replace(" ", "_")
        numbers[f"error_{name}"] = readable(part.error.mean)
        numbers[f"error_{name}_se"] = readable(part.error.standard_error)
        for rule in part.baselines:
            key = f"{rule.name.replace(' ', '_')}_error_{name}"
            numbers[key] = readable(rule.error.mean)
    numbers["language_ratio"] = readable(evaluation.prompt_swap.ratio.mean)
    numbers["wall_seconds"] = readable(evaluation.wall_seconds)
    return numbers
