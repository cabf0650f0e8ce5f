"""The other runs of a sweep that a run is held against while it trains."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from gr00t_assets.core.project import Store
from gr00t_assets.runs.halving import RungLosses
from gr00t_assets.runs.loss_window import final_window
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.runs.run_directory import SPEC
from gr00t_assets.runs.spec import TrainingSpec

_PARTS = ("tune_llm", "tune_visual", "tune_projector", "tune_diffusion_model", "lora_rank",
          "lora_full_model")  # fmt: skip


def rival_losses(spec: TrainingSpec, rungs: Sequence[int]) -> list[RungLosses]:
    """Losses at the rungs of every other run of the sweep that may be compared with this one.

    Those are runs on the same data, with the same trainer, base model and trainable parts, whether
    they train, have finished, failed or were pruned.

    Args:
        spec: Of the run that is decided about.
        rungs: Steps.
    """
    found = [losses_at(folder, rungs) for folder in _rivals(spec)]
    return [losses for losses in found if losses]


def losses_at(run_directory: Path, rungs: Sequence[int]) -> dict[int, float]:
    """The smoothed loss of a run at each rung that it has reached.

    It is the mean over the window that a run of so many steps would end with; infinite where a
    loss in it is no finite number.
    """
    losses = np.array([one for metric in read_metrics(run_directory) for one in metric.losses])
    found = {}
    for rung in rungs:
        if len(losses) >= rung:
            window = final_window(losses[:rung], samples_per_step=1)
            found[rung] = float(losses[0]) if rung == 1 else window.mean if window else math.inf
    return found


def _rivals(spec: TrainingSpec) -> Iterator[Path]:
    own = spec.run_directory
    wanted = _kind(spec)
    for path in sorted((Store(Path(spec.store)).root / "runs").glob(f"[!.]*/[!.]*/{SPEC}")):
        if path.parent == own:
            continue
        try:
            other = TrainingSpec.model_validate(json.loads(path.read_text()))
        except (OSError, ValueError):
            continue
        if _kind(other) == wanted:
            yield path.parent


def _kind(spec: TrainingSpec) -> tuple[object, ...]:
    experiment, modality = spec.experiment, spec.modality_config
    return (
        experiment.sweep,
        experiment.trainer,
        experiment.base_model,
        experiment.base_model_revision,
        modality.dataset_version,
        modality.content_hash(),
        *(getattr(experiment.hyperparameters, name) for name in _PARTS),
    )
