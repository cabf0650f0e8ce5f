"""A run as the comparison sees it, wherever it comes from: a store, a table, or W&B."""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeVar

from pydantic_core import CoreSchema, core_schema

from gr00t_assets.comparison.curves import Curve, EndTrend, Loss
from gr00t_assets.experiments.registry import trainer_named, trainer_names
from gr00t_assets.runs.stored_run import StoredRun

Source = Literal["store", "table", "wandb"]
Frames = Literal["verified", "known wrong", "not verified"]
Settings = Mapping[str, object]  # By the trainer's names
Item = TypeVar("Item")
Key = TypeVar("Key")

_PARTS = {"tune_llm": "language model", "tune_visual": "vision tower",
          "tune_projector": "projector", "tune_diffusion_model": "diffusion model"}  # fmt: skip
TRAINABLE_PARTS = (*_PARTS, "lora_rank", "lora_full_model")
"""Hyperparameters that say which weights are trained; together they are one factor."""


@dataclass(frozen=True)
class Run:
    """One run; what its source does not tell is None. In JSON it is its id."""

    run_id: str  # Unique among those compared: config hash, W&B id, id of a table
    name: str  # Of the experiment; replicates may share it
    source: Source
    status: str  # ``finished``, or another key of ``stored_run.STATUS_WORDS``
    settings: Settings  # By its trainer's names; absent, not guessed, if not known
    data: Mapping[str, str]  # On and with what it was trained, by ``columns.DATA`` in words
    frames: Frames  # Whether the images that it trained on are known to be the right ones
    steps: int | None  # Optimizer steps done
    max_steps: int | None  # Asked for: the length of the schedule
    samples_seen: int | None  # Over all steps and GPUs
    dataset_frames: int | None = None
    loss: Loss | None = None  # At the end, or so far
    first_loss: Loss | None = None  # Over the first window
    curve: Curve | None = None
    sweep: str = ""
    hypothesis: str = ""
    started_at: str = ""
    samples_per_second: float | None = None
    wall_seconds: float | None = None
    gpu_hours: float | None = None  # Wall hours times GPUs; 0 on a CPU
    peak_memory_bytes: int | None = None  # Of one GPU, with this run's settings and no other's
    failed_checks: tuple[str, ...] = ()
    note: str = ""
    problems: tuple[str, ...] = ()  # What is doubtful about it, one sentence each
    continued_steps: tuple[int, ...] = ()  # ``max_steps`` of runs continued from, the first first
    stored: StoredRun | None = field(default=None, repr=False, compare=False)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> CoreSchema:
        by_id = core_schema.plain_serializer_function_ser_schema(lambda run: run.run_id)
        return core_schema.any_schema(serialization=by_id)

    @property
    def dataset(self) -> str:
        """What it was trained on, by name, else by content."""
        return self.data.get("dataset", self.data.get("dataset version", ""))

    @property
    def epochs(self) -> float | None:
        """Samples seen over frames of the dataset."""
        seen, frames = self.samples_seen, self.dataset_frames
        return seen / frames if seen and frames else None

    @property
    def finished(self) -> bool:
        """Finished with a loss: only such a run is ranked, or takes part in a contrast."""
        return self.status == "finished" and self.loss is not None

    @property
    def stale(self) -> bool:
        """Made with another configuration or other data than its experiment has now."""
        return self.stored is not None and self.stored.stale

    @property
    def constant_schedule(self) -> bool:
        """Whether the learning rate does not depend on how long the run is."""
        return str(self.settings.get("lr_scheduler_type", "")).startswith("constant")

    @cached_property
    def comparable(self) -> tuple[object, ...]:
        """Data and frames: only runs that share both have losses of one kind."""
        return (tuple(sorted(_identity(self.data).items())), self.frames)

    @cached_property
    def comparability(self) -> dict[str, str]:
        """All that must be equal before one loss can be called lower than another, by name."""
        parts = trainable_parts(self.settings)
        return {**self.data, "trainable parts": parts, "frames": self.frames}

    @property
    def class_id(self) -> str:
        """Short id of the comparability class that it belongs to."""
        return class_id(self.comparability)

    @cached_property
    def end_trend(self) -> EndTrend:
        """Whether its loss still falls at its end."""
        return self.curve.end_trend() if self.curve else EndTrend("unknown")

    @cached_property
    def halfway_loss(self) -> Loss | None:
        """The loss where half of ``max_steps`` was done; None without a curve that reaches it."""
        if not self.curve or not self.max_steps or not self.steps:
            return None
        per_step = float(self.curve.samples[-1]) / self.steps
        return self.curve.loss_at(0.5 * self.max_steps * per_step)


@dataclass(frozen=True)
class Change:
    """One hyperparameter, other factor or word of ``Run.data`` with its value on either side."""

    factor: str
    low: object
    high: object
    material: bool = True  # Whether it can change what is learned; loader processes cannot
    implied: bool = False  # Whether it follows: twice the steps, twice the samples

    @property
    def width(self) -> float | None:
        """Log of the ratio of its values, without a sign; None where one is no number above 0."""
        low, high = self.low, self.high
        if isinstance(low, int | float) and isinstance(high, int | float) and low > 0 and high > 0:
            return abs(math.log(high / low))
        return None


def class_id(comparability: Mapping[str, str]) -> str:
    """6 hex digits of a SHA-256 over ``Run.comparability``, without the name of a known version."""
    content = json.dumps(_identity(comparability), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:6]


def trainable_parts(settings: Settings) -> str:
    """Which weights are trained, in words.

    Examples:
        >>> trainable_parts({"tune_projector": True, "tune_diffusion_model": True})
        'projector, diffusion model'
    """
    parts = ", ".join(part for name, part in _PARTS.items() if settings.get(name))
    if settings.get("lora_rank"):
        where = "backbone and action head" if settings.get("lora_full_model") else "action head"
        parts += f"; LoRA of rank {settings['lora_rank']} on the {where}"
    return parts or "none known"


SETTINGS_OF_A_STEP = ("batch_size", "gradient_accumulation_steps", "num_gpus", "num_nodes")


def samples_per_step(settings: Settings) -> int | None:
    """Samples of one optimizer step, over GPUs and accumulated batches; None where unknown."""
    if not isinstance(settings.get("batch_size"), int):
        return None
    counts = [settings.get(name) for name in SETTINGS_OF_A_STEP]
    return math.prod(count for count in counts if isinstance(count, int))


def samples_of(settings: Settings) -> int | None:
    """Samples that a whole run with these settings sees; None where steps or batch are unknown."""
    per_step, steps = samples_per_step(settings), settings.get("max_steps")
    return steps * per_step if isinstance(steps, int) and per_step is not None else None


def upstream_trainer() -> str:
    """The trainer of the upstream fine-tuning script: the one that reads videos itself."""
    reads = [name for name in trainer_names() if trainer_named(name).reads_videos]
    return (reads or trainer_names())[0]


def _identity(comparability: Mapping[str, str]) -> dict[str, str]:
    known = "dataset version" in comparability
    return {name: value for name, value in comparability.items() if name != "dataset" or not known}


def grouped(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """Items by a key, in order of first appearance.

    Examples:
        >>> grouped([1, 2, 3], lambda number: number % 2)
        {1: [1, 3], 0: [2]}
    """
    groups: dict[Key, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups
