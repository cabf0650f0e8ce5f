"""Runs for the report: replicates of two rates at two batch sizes, and one of each other kind."""

import numpy as np

from gr00t_assets.comparison.comparison import Comparison, compare
from gr00t_assets.comparison.curves import Curve, Loss
from gr00t_assets.comparison.run import Run
from gr00t_assets.evaluation.result import (
    Baseline,
    BaselineName,
    Estimate,
    Evaluation,
    EvaluationSettings,
    PartEvaluation,
    PromptSwap,
    Trajectory,
    TrajectoryLine,
)
from gr00t_assets.experiments.registry import combined_hyperparameters

BASELINES: tuple[tuple[BaselineName, float], ...] = (("hold", 0.9), ("mean action", 0.01))
DATA = {"dataset": "demo", "base model": "tiny", "trainer": "native 0.1.0"}


def finished_run(name: str, loss: float = 0.1, curve: bool = True, **settings) -> Run:
    """A finished run of the store; settings are hyperparameters, other fields by their name."""
    fields = {name: settings.pop(name) for name in list(settings) if name in Run.__match_args__}
    hyperparameters = combined_hyperparameters().model_validate(
        {"max_steps": 100, "batch_size": 8, **settings}
    )
    steps = hyperparameters.max_steps
    samples = np.arange(1, steps + 1) * hyperparameters.samples_per_step
    noise = np.random.default_rng(len(name)).lognormal(0, 0.05, steps)
    values = loss * noise * (1 + 9 * np.exp(-np.arange(steps) / 12))
    defaults = {
        "run_id": f"id-{name}",
        "name": name,
        "source": "store",
        "status": "finished",
        "settings": hyperparameters.model_dump(),
        "data": DATA,
        "frames": "verified",
        "steps": steps,
        "max_steps": steps,
        "samples_seen": int(samples[-1]),
        "dataset_frames": 1000,
        "loss": Loss(loss, loss / 50, 160),
        "curve": Curve(np.arange(1.0, steps + 1), samples.astype(float), values) if curve else None,
        "started_at": "2026-01-01T10:00:00+00:00",
    }
    return Run(**(defaults | fields))


def replicated() -> list[Run]:
    """A rate that halves the loss beyond doubt, each with three seeds."""
    return [
        finished_run(f"lr{rate:g}-s{seed}", loss * (1 + 0.01 * seed), learning_rate=rate, seed=seed)
        for rate, loss in ((1e-3, 0.05), (1e-4, 0.1))
        for seed in (1, 2, 3)
    ]


def compared(*runs: Run, **fields) -> Comparison:
    return compare(runs, key="store", title="Runs of the store", origin="By hand.", **fields)


def estimate(mean: float, error: float = 0.001) -> Estimate:
    return Estimate(mean=mean, standard_error=error, low=mean - 2 * error, high=mean + 2 * error)


def evaluation(run: Run, error: float, held_out: bool = True) -> Evaluation:
    """An evaluation whose policy beats holding the state and not the mean action."""
    baselines = [
        Baseline(name=name, words=name, error=estimate(value), difference=estimate(error - value),
                 beaten="yes" if error < value else "no", by_step=(value,))
        for name, value in BASELINES
    ]  # fmt: skip
    shape = {
        "episodes": (3,), "episodes_in_part": 1, "stride": 4, "windows": 9,
        "resampled": "episodes", "clusters": 3, "error": estimate(error),
        "by_step": (estimate(error),), "groups": (), "joints": (),
        "baselines": tuple(baselines), "draw_spread": estimate(0.05),
        "squared_error_in_units": error**2,
    }  # fmt: skip
    swap = PromptSwap(
        part="held out", other="an unrelated sentence", tasks=1, example=("pick", "dance"),
        windows=9, difference=estimate(0.1), draw_spread=estimate(0.1), ratio=estimate(1.0),
        error_increase=estimate(0.0),
    )  # fmt: skip
    line = TrajectoryLine(
        joint="left_arm[0]", recorded=(0.0, 1.0, 2.0), predicted=((0.0, 0.9),),
        low=((0.0, 0.8),), high=((0.1, 1.0),),
    )  # fmt: skip
    drawn = Trajectory(
        part="held out", episode=3, seconds=(0.0, 0.1, 0.2), chunk_seconds=((0.0, 0.1),),
        lines=(line,),
    )  # fmt: skip
    return Evaluation(
        experiment=run.name, config_hash=run.run_id, model_hash="0" * 16, trainer="native",
        dataset="demo", dataset_version="v", modality_hash="m", settings=EvaluationSettings(),
        denoising_steps=4, horizon=16,
        held_out=PartEvaluation(part="held out", **shape) if held_out else None,
        seen=PartEvaluation(part="seen in training", **shape), prompt_swap=swap,
        language_used="cannot be told: one task", trajectories=(drawn,),
        limits=("One episode was held out.",), device="cpu", wall_seconds=1.0,
        evaluated_at="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
