"""What the page of rollouts shows, the most wanted first."""

import dagster as dg

from gr00t_assets.core.project import Store
from gr00t_assets.core.text import markdown
from gr00t_assets.core.units import counted
from gr00t_assets.defs.metadata import (
    Metadata,
    bullets,
    fields,
    folded_table,
    image,
    readable,
    stored_path,
    table,
)
from gr00t_assets.evaluation.rollouts.result import (
    OUTCOME_HEAD,
    RATE_HEAD,
    Rollouts,
    baseline_sentences,
    endings_sentence,
    failure_sentences,
    outcome_rows,
    rate_rows,
    rollouts_file,
    rollouts_sentence,
    seconds_sentence,
)
from gr00t_assets.runs.spec import TrainingSpec

_MOST_ROWS = 200
"""Episodes whose outcomes are listed; the file has them all."""


def rollout_metadata(rollouts: Rollouts, spec: TrainingSpec, store: Store) -> Metadata:
    """Success and intervals, videos, outcomes, then numbers, then where they came from."""
    settings, directory = rollouts.settings, spec.run_directory
    best = rollouts.best_baseline
    numbers = {
        "success_rate": rollouts.rate.rate,
        "best_baseline_rate": best and best[1].rate,
        "mean_score": rollouts.mean_score,
        "steps_to_success": rollouts.steps_to_success,
    }
    return {
        "verdict": rollouts_sentence(rollouts),
        "success": table(RATE_HEAD, rate_rows(rollouts)),
        "videos": _videos(rollouts, spec),
        "endings": endings_sentence(rollouts),
        "failures": bullets(failure_sentences(rollouts)),
        "outcomes": folded_table(OUTCOME_HEAD, outcome_rows(rollouts.policy[:_MOST_ROWS])),
        "baselines": bullets(baseline_sentences(rollouts)),
        **{name: readable(value) for name, value in numbers.items() if value is not None},
        "settings": f"{counted(settings.episodes, 'episode')} from seed {settings.first_seed} on, "
        f"replanned every {counted(settings.replan_every, 'step')}",
        "environment": f"{rollouts.environment}, {rollouts.environment_hash}",
        "seconds": seconds_sentence(rollouts),
        **fields(rollouts, "wall_seconds", "device", "model_hash"),
        "rollouts": stored_path(
            rollouts_file(directory, rollouts.environment, rollouts.step), store
        ),
    }


def _videos(rollouts: Rollouts, spec: TrainingSpec) -> dg.MetadataValue:
    """Videos that play by themselves; those that are not there any more are named."""
    shown = []
    for path in (spec.run_directory / video for video in rollouts.videos):
        caption = path.stem.replace("-", " ")
        there = image(path.read_bytes(), caption, "webp").md_str if path.is_file() else "is gone"
        shown.append(f"{markdown(caption)}\n\n{there}")
    return dg.MetadataValue.md("\n\n".join(shown) or "none")
