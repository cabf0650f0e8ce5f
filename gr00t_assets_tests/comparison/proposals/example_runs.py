"""Runs as a comparison sees them, made by hand."""

from typing import Any

from gr00t_assets.comparison.curves import Loss
from gr00t_assets.comparison.run import Run

DATA = {"dataset": "demo", "base model": "tiny", "trainer": "native 0.1.0"}
SETTINGS: dict[str, object] = {
    "learning_rate": 1e-3,
    "batch_size": 8,
    "max_steps": 300,
    "warmup_ratio": 0.05,
    "weight_decay": 1e-5,
    "lr_scheduler_type": "cosine",
    "seed": 42,
    "tune_llm": False,
    "tune_visual": False,
    "tune_projector": True,
    "tune_diffusion_model": True,
}


def run(
    run_id: str,
    loss: float | None,
    error: float = 0.01,
    status: str = "finished",
    data: dict[str, str] | None = None,
    fields: dict[str, Any] | None = None,
    **settings: Any,
) -> Run:
    """One run with a relative standard error of its loss."""
    asked = {**SETTINGS, **settings}
    steps = int(asked["max_steps"])
    return Run(
        run_id=run_id,
        name=f"name-{run_id}",
        source="store",
        status=status,
        settings=asked,
        data=data or DATA,
        frames="verified",
        steps=steps,
        max_steps=steps,
        samples_seen=steps * int(asked["batch_size"]),
        loss=None if loss is None else Loss(loss, loss * error, 800),
        **(fields or {}),
    )
