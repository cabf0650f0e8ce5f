"""One run as a comparison sees it, wherever it comes from: a store, a table, or W&B."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from gr00t_assets.comparison.contrasts.class_words import identity

Source = Literal["store", "table", "wandb"]
Frames = Literal["verified", "known wrong", "not verified"]
LossKind = Literal["window mean", "one logged value"]

TRAINABLE_PARTS = ("tune_llm", "tune_visual", "tune_projector", "tune_diffusion_model",
                   "lora_rank", "lora_full_model")  # fmt: skip
"""Hyperparameters that say which weights are trained; together they are one factor."""


@dataclass(frozen=True)
class Loss:
    """The loss at the end of a run, or so far.

    Attributes:
        mean: In the units of the training loss.
        standard_error: Of the mean, within the run. Of one logged value it is an estimate from the
            number of samples in it, see ``noise.logged_value_error``.
        samples: Samples that the mean is over.
        kind: A mean over a window of many steps, or the one value that was written down.
    """

    mean: float
    standard_error: float
    samples: int
    kind: LossKind = "window mean"


@dataclass(frozen=True)
class RunCurve:
    """Per-step losses of a run; both arrays have shape ``(n,)`` and are in order of steps."""

    samples_seen: np.ndarray
    losses: np.ndarray


@dataclass(frozen=True)
class Observation:
    """One run with all that a comparison may use of it.

    Attributes:
        run_id: Unique among the runs that are compared: config hash, W&B id, id of a table.
        name: Of the experiment; replicates may share it.
        status: ``finished``, or another word of ``run.STATUS_WORDS``.
        settings: Every known hyperparameter by its name in ``Hyperparameters``, in its Python
            type. A setting that the source does not know is absent, never a guessed default.
        data: What it was trained on and with, by name: ``dataset`` and ``dataset version`` (or the
            name alone), ``modality config`` (or the data config), ``base model``, ``trainer``.
            Trainable parts and frames are fields of their own.
        frames: Whether the images that it trained on are known to be the right ones.
        steps: Optimizer steps done.
        max_steps: Steps asked for, the length of the schedule.
        samples_seen: Over all steps and GPUs.
        dataset_frames: Frames in the dataset; None where it is not known.
        loss: None where the run has none.
        curve: None where only a final value is known.
        note: What its author or the store says of it.
        peak_memory_bytes: Of one GPU; it belongs to this run's settings and to no other's.
        continued_steps: ``max_steps`` of the runs that it was continued from, the first one first.
    """

    run_id: str
    name: str
    source: Source
    status: str
    settings: Mapping[str, object]
    data: Mapping[str, str]
    frames: Frames
    steps: int | None
    max_steps: int | None
    samples_seen: int | None
    dataset_frames: int | None = None
    loss: Loss | None = None
    curve: RunCurve | None = None
    sweep: str = ""
    hypothesis: str = ""
    started_at: str = ""
    samples_per_second: float | None = None
    gpu_hours: float | None = None
    peak_memory_bytes: int | None = None
    failed_checks: tuple[str, ...] = ()
    note: str = ""
    problems: tuple[str, ...] = field(default=())
    continued_steps: tuple[int, ...] = ()

    @property
    def dataset(self) -> str:
        """What it was trained on, in one word."""
        return self.data.get("dataset", self.data.get("dataset version", ""))

    @property
    def epochs(self) -> float | None:
        """Samples seen over frames of the dataset."""
        if not self.samples_seen or not self.dataset_frames:
            return None
        return self.samples_seen / self.dataset_frames

    @property
    def comparable(self) -> tuple[object, ...]:
        """Data and frames: only runs that share both have losses of one kind."""
        return (tuple(sorted(identity(self.data).items())), self.frames)

    @property
    def finished(self) -> bool:
        """Finished with a loss: only such a run is ranked, or takes part in a contrast."""
        return self.status == "finished" and self.loss is not None
