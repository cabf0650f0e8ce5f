"""Finished runs with chosen settings and losses."""

from typing import Any

import numpy as np

from gr00t_assets.comparison.curves import Loss
from gr00t_assets.comparison.run import Run

SETTINGS: dict[str, Any] = {
    "learning_rate": 1e-4,
    "batch_size": 8,
    "max_steps": 1000,
    "warmup_ratio": 0.05,
    "lr_scheduler_type": "cosine",
    "tune_llm": False,
    "tune_visual": False,
    "tune_projector": True,
    "tune_diffusion_model": True,
    "dataloader_num_workers": 4,
    "seed": 1,
}


def finished_run(
    run_id: str, loss: float | None, error: float = 0.02, dataset: str = "demo", **changes: Any
) -> Run:
    """A run of a store with verified frames; ``error`` is a share of the loss."""
    fields: dict[str, Any] = {
        name: changes.pop(name) for name in ("status", "frames") if name in changes
    }
    settings = SETTINGS | changes
    return Run(
        run_id=run_id,
        name=run_id,
        source="store",
        settings=settings,
        data={"dataset": dataset, "trainer": "native"},
        steps=settings["max_steps"],
        max_steps=settings["max_steps"],
        samples_seen=settings["max_steps"] * settings["batch_size"],
        dataset_frames=1000,
        loss=Loss(loss, loss * error, 1024) if loss is not None else None,
        status=fields.get("status", "finished"),
        frames=fields.get("frames", "verified"),
    )


def replicates(
    name: str, loss: float, count: int = 4, spread: float = 0.03, **changes: Any
) -> list[Run]:
    """Runs that differ in the seed alone, with a spread of the log loss around ``loss``.

    No seed is luckier than another: the order of the losses is drawn from the name.
    """
    places = np.linspace(-1, 1, count)
    places *= spread / places.std(ddof=1)
    places = np.random.default_rng(list(name.encode())).permutation(places)
    return [
        finished_run(f"{name}-seed{seed}", loss * float(np.exp(place)), seed=seed, **changes)
        for seed, place in enumerate(places, 1)
    ]
