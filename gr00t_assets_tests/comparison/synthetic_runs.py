"""Runs made by hand: settings and a loss, with or without a curve."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gr00t_assets.comparison import compare
from gr00t_assets.comparison.curves import Curve, Loss, logged_value_error
from gr00t_assets.comparison.run import Frames, Run, samples_per_step
from gr00t_assets.comparison.statistics.ranking import comparability_classes

DEFAULTS: dict[str, Any] = {
    "learning_rate": 1e-4,
    "batch_size": 8,
    "max_steps": 400,
    "warmup_ratio": 0.05,
    "weight_decay": 1e-5,
    "tune_llm": False,
    "tune_visual": False,
    "tune_projector": True,
    "tune_diffusion_model": True,
    "lr_scheduler_type": "cosine",
    "seed": 0,
    "save_steps": 100,
}
DATA = {"dataset": "demo", "modality config": "m", "base model": "tiny", "trainer": "native 1"}


def synthetic_run(
    run_id: str,
    loss: Loss | float | None = 0.1,
    *,
    curve: Curve | None = None,
    status: str = "finished",
    data: Mapping[str, str] = DATA,
    frames: Frames = "verified",
    **settings: Any,
) -> Run:
    """One run; a number as loss is one logged value of ten steps."""
    asked = DEFAULTS | settings
    asked = {name: value for name, value in asked.items() if value is not None}
    batch, steps = asked["batch_size"], asked["max_steps"]
    assert isinstance(batch, int) and isinstance(steps, int)
    if isinstance(loss, float | int):
        error = logged_value_error(loss, 10 * batch)
        loss = Loss(float(loss), error, 10 * batch, "one logged value")
    return Run(
        run_id=run_id,
        name=run_id,
        source="table",
        status=status,
        settings=asked,
        data=data,
        frames=frames,
        steps=steps,
        max_steps=steps,
        samples_seen=steps * (samples_per_step(asked) or 0),
        dataset_frames=2096,
        loss=loss if curve is None else curve.final_loss(),
        curve=curve,
    )


def headline(runs: Sequence[Run]) -> str:
    """What the comparison says of runs first."""
    return compare(runs).headline


def by_rank(runs: Sequence[Run]) -> list[Run]:
    """The ranked runs class by class, lowest loss first; after them the others in their order."""
    ranked = [place for item in comparability_classes(runs) for place in item.ranking]
    first = [run for place in ranked for run in place.runs]
    return first + [run for run in runs if not run.finished]


def drawn_curve(
    draw: np.random.Generator,
    level: float,
    steps: int = 400,
    batch: int = 8,
    sample_cv: float = 0.8,
    memory: float = 0.0,
) -> Curve:
    """A curve that falls from 1.2 to ``level``, with noise that may last over several steps.

    The noise of the log loss is a first-order autoregression with coefficient ``memory`` and the
    standard deviation that the mean over a batch has.
    """
    shocks = draw.normal(0, sample_cv / math.sqrt(batch) * math.sqrt(1 - memory**2), steps)
    noise = shocks
    if memory:
        from scipy.signal import lfilter

        noise = np.asarray(lfilter([1.0], [1.0, -memory], shocks))
    fall = np.exp(-np.arange(steps) / (0.08 * steps))
    losses = (level + (1.2 - level) * fall) * np.exp(noise)
    done = np.arange(1.0, steps + 1)
    return Curve(done, batch * done, losses)


def journal_runs() -> list[Run]:
    """The runs of the hand-kept journal, each with its one logged value."""
    with (Path(__file__).parents[2] / "data" / "examples" / "journal" / "runs.csv").open() as file:
        return [_journal_run(row) for row in csv.DictReader(file)]


def _journal_run(row: dict[str, str]) -> Run:
    settings: dict[str, Any] = {
        "video_backend": row["video_backend"],
        "lr_scheduler_type": row["lr_scheduler_type"],
    }
    for name in ("learning_rate", "warmup_ratio", "weight_decay"):
        settings[name] = float(row[name])
    for name in ("batch_size", "max_steps", "dataloader_num_workers", "save_steps", "seed"):
        settings[name] = int(row[name])
    for name in ("tune_llm", "tune_visual", "tune_projector", "tune_diffusion_model"):
        settings[name] = row[name] == "true"
    step, batch = int(row["logged_step"]), int(row["batch_size"])
    value = float(row["loss"]) if row["loss"] else None
    samples = 10 * batch
    return Run(
        run_id=row["run_id"],
        name=row["name"],
        source="table",
        status=row["status"],
        settings=settings,
        data={"dataset": row["dataset"], "data config": row["data_config"]},
        frames="known wrong",
        steps=step,
        max_steps=int(row["max_steps"]),
        samples_seen=step * batch,
        dataset_frames=2096 if row["dataset"] == "robot_sim.PickNPlace" else None,
        loss=Loss(value, logged_value_error(value, samples), samples, "one logged value")
        if value
        else None,
        note=row["note"],
    )
