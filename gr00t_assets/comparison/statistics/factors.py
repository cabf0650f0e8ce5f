"""Factors, configurations of runs that are equal in all of them but the seed, and their spread."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from gr00t_assets.comparison.run import (
    TRAINABLE_PARTS,
    Item,
    Run,
    Settings,
    grouped,
    samples_per_step,
    trainable_parts,
)
from gr00t_assets.core.errors import ComparisonError
from gr00t_assets.core.text import nearest
from gr00t_assets.experiments.registry import all_hyperparameters, trainer_named, trainer_names

QUESTIONS = ("learning_rate", "batch_size", "max_steps", "warmup_ratio", "weight_decay",
             "trainable_parts", "lr_scheduler_type", "seed")  # fmt: skip
"""Factors that people ask about, in the order in which they are answered."""

SHARES_OF_A_STEP = frozenset({"num_gpus", "num_nodes", "gradient_accumulation_steps"})

IMMATERIAL = SHARES_OF_A_STEP | {
    "save_steps", "save_total_limit", "logging_steps", "dataloader_num_workers", "report_to",
    "gradient_checkpointing", "compile", "eval_steps", "frozen_features",
}  # fmt: skip
"""Settings that do not change what is learned. Number of GPUs and accumulation count only through
the samples of one step, which are the factor ``batch_size``."""

_OTHER_WORDS = {
    "learning_rate": "lr learningrate",
    "batch_size": "batch batchsize bs samples_per_step",
    "max_steps": "steps training_steps",
    "warmup_ratio": "warmup warm_up warm_up_ratio",
    "weight_decay": "wd decay",
    "trainable_parts": "parts trained_parts trainable full_fine_tuning "
    + " ".join(TRAINABLE_PARTS),
    "lr_scheduler_type": "scheduler schedule lr_scheduler",
    "samples_seen": "samples",
    "seed": "seeds",
    "dataloader_num_workers": "workers",
    "num_gpus": "gpus",
}
ALIASES = {word: factor for factor, words in _OTHER_WORDS.items() for word in words.split()}
FRAME_SOURCES = frozenset({"video_backend", "frame_source"})
SAME_SAMPLES = 0.02  # Share that samples seen may differ by and be equal, to the nearest step
SMALLEST_SPREAD = 1e-6  # Standard deviations of a log loss below it are rounding
_SCHEDULERS = ("cosine", "linear", "constant", "constant_with_warmup")


@dataclass(frozen=True, eq=False)
class Configuration:
    """Finished runs that are equal in all that can change what is learned, but for the seed."""

    runs: tuple[Run, ...]
    material: dict[str, object]  # The value of every material factor that is known

    @property
    def first(self) -> Run:
        """The first of the replicates."""
        return self.runs[0]

    @cached_property
    def by_seed(self) -> tuple[tuple[Run, ...], ...]:
        """Replicates by seed. Two runs with one seed repeat each other and count as one."""
        groups = grouped(self.runs, lambda run: run.settings.get("seed", ("unknown", id(run))))
        return tuple(map(tuple, groups.values()))

    @property
    def log_losses(self) -> list[float]:
        """The log loss of each seed, the mean over its runs."""
        logs = [[math.log(run.loss.mean) for run in same if run.loss] for same in self.by_seed]
        return [sum(of_seed) / len(of_seed) for of_seed in logs]

    @property
    def log_loss(self) -> float:
        """Mean of the log loss over the seeds."""
        return sum(self.log_losses) / len(self.by_seed)

    def value(self, factor: str) -> object:
        """Value of a factor, which replicates share unless it is immaterial."""
        if factor in self.material:
            return self.material[factor]
        return factor_value(self.first, factor)


def known_factors() -> list[str]:
    """Every factor that may be asked about, those of ``QUESTIONS`` first."""
    others = [name for name in all_hyperparameters() if name not in TRAINABLE_PARTS]
    return list(dict.fromkeys([*QUESTIONS, *others, "samples_seen"]))


def factor_named(text: str) -> str:
    """The factor that a person means.

    Raises:
        ComparisonError: There is none of that name; the known ones are in the message.

    Examples:
        >>> factor_named("steps"), factor_named("Warm-up"), factor_named("lr")
        ('max_steps', 'warmup_ratio', 'learning_rate')
    """
    word, known = re.sub("[- ]", "_", text.strip().lower()), known_factors()
    if word in known or word in ALIASES:
        return word if word in known else ALIASES[word]
    near = nearest(word, [*known, *ALIASES])
    hint = [f"did you mean {ALIASES.get(near, near)}?"] if near else []
    raise ComparisonError(text, "this is not a factor.", [*hint, f"factors: {', '.join(known)}"])


def factor_value(run: Run, factor: str) -> object:
    """The value that a run has of a factor, a setting or a word of ``data``; None where unknown.

    ``batch_size`` is the samples of one optimizer step, and ``trainable_parts`` is in words.
    """
    if factor in _VALUES:
        return _VALUES[factor](run)
    return run.settings.get(factor, run.data.get(factor))


_VALUES: dict[str, Callable[[Run], object]] = {
    "trainable_parts": lambda run: (
        None if run.settings.keys().isdisjoint(TRAINABLE_PARTS) else trainable_parts(run.settings)
    ),
    "batch_size": lambda run: samples_per_step(run.settings),
    "samples_seen": lambda run: run.samples_seen,
    "max_steps": lambda run: run.settings.get("max_steps", run.max_steps),
    "continued_steps": lambda run: run.continued_steps,
    "frames": lambda run: run.frames,
}


def order_of(factor: str, value: object) -> tuple[int, float, str]:
    """What a factor's values are sorted by: numbers by size, words from the usual one on."""
    if value is None:
        return (0, 0.0, "")
    if isinstance(value, int | float):
        return (1, float(value), "")
    text, place = str(value), 0
    if factor == "trainable_parts":
        place = len(text.split(","))
    elif factor == "lr_scheduler_type" and text in _SCHEDULERS:
        place = _SCHEDULERS.index(text)
    return (2, float(place), text)


def idle_settings(settings: Settings) -> set[str]:
    """What does nothing beside the others: LoRA's scale without LoRA, warm-up of no schedule."""
    idle = set() if settings.get("lora_rank") else {"lora_alpha", "lora_dropout"}
    return idle | {"warmup_ratio"} if settings.get("lr_scheduler_type") == "constant" else idle


def material_settings(run: Run) -> dict[str, object]:
    """The value of each known factor that can change what this run learns, but for the seed.

    Where frames come from does so only if they may be wrong.
    """
    left_out = {"seed", *IMMATERIAL, *TRAINABLE_PARTS, *idle_settings(run.settings)}
    if frames_are_equal(run):
        left_out |= FRAME_SOURCES
    material = {name: value for name, value in run.settings.items() if name not in left_out}
    for name in ("trainable_parts", "batch_size", "max_steps"):
        material[name] = factor_value(run, name)
    if run.continued_steps and not run.constant_schedule:
        material["continued_steps"] = run.continued_steps
    return material


def frames_are_equal(run: Run) -> bool:
    """Whether the images do not depend on the video backend: verified, or of the frame cache."""
    if run.frames == "verified" or run.settings.get("frame_source") == "cache":
        return True
    name = run.data.get("trainer", "").partition(" ")[0]
    return name in trainer_names() and not trainer_named(name).reads_videos


def configurations(runs: Sequence[Run]) -> list[Configuration]:
    """The finished runs by configuration, in order of first appearance."""
    finished = [run for run in runs if run.finished and run.loss and run.loss.mean > 0]
    groups = grouped(finished, configuration_key).values()
    return [Configuration(tuple(same), material_settings(same[0])) for same in groups]


def known_by_seed(runs: Sequence[Run], known: Mapping[str, Item]) -> list[list[Item]]:
    """What is known of replicates, by run id; seed by seed, without those that it has none of."""
    seeds = Configuration(tuple(runs), {}).by_seed
    by_seed = [[known[run.run_id] for run in same if run.run_id in known] for same in seeds]
    return [items for items in by_seed if items]


def configuration_key(run: Run) -> tuple[object, ...]:
    """What replicates share: data, frames and every material setting but the seed."""
    return run.comparable, tuple(sorted(material_settings(run).items()))


def factors_of(runs: Sequence[Run]) -> list[str]:
    """Material factors that differ among finished runs of the same data, ``QUESTIONS`` first."""
    values: dict[tuple[object, str], set[object]] = {}
    for run in runs:
        if run.finished:
            settings = material_settings(run) | {"seed": run.settings.get("seed")}
            for name, value in settings.items():
                values.setdefault((run.comparable, name), set()).add(value)
    varying = {name for (_, name), present in values.items() if len(present - {None}) > 1}
    return [name for name in dict.fromkeys([*known_factors(), *sorted(varying)]) if name in varying]


def samples_are_equal(low: Configuration, high: Configuration) -> bool:
    """Whether both saw the same number of samples, to the nearest step."""
    fewer, more = low.first.samples_seen, high.first.samples_seen
    if fewer is None or more is None:
        return fewer == more
    return abs(fewer - more) <= SAME_SAMPLES * max(fewer, more)


SpreadSource = Literal["repeated seeds", "residual", "similar classes", "none"]


@dataclass(frozen=True)
class Spread:
    """How much two runs of one configuration differ, and where that is known from."""

    deviation: float | None = None  # Standard deviation of the log loss; None where nothing tells
    degrees: int = 0  # Of freedom
    source: SpreadSource = "none"
    runs: int = 0  # It was estimated from so many

    @classmethod
    def of_squares(cls, squares: float, degrees: int, source: SpreadSource, runs: int) -> "Spread":
        """From a sum of squares; a deviation that is mere rounding is ``SMALLEST_SPREAD``."""
        return cls(max(SMALLEST_SPREAD, math.sqrt(squares / degrees)), degrees, source, runs)

    @property
    def variance(self) -> float:
        """The square of the deviation; 0 where nothing tells."""
        return (self.deviation or 0.0) ** 2

    @property
    def percent(self) -> float | None:
        """The deviation as a share of the loss, in percent."""
        return None if self.deviation is None else 100 * math.expm1(self.deviation)


class Observation(NamedTuple):
    """Runs of one configuration that count once: equal seeds, or losses equal to the last digit."""

    cell: int
    seed: object
    log_loss: float


def observations(members: Sequence[Configuration]) -> list[Observation]:
    """What the model is fitted to, configuration by configuration."""
    rows = []
    for cell, item in enumerate(members):
        seed_of: dict[float, object] = {}
        for number, (runs, loss) in enumerate(zip(item.by_seed, item.log_losses, strict=True)):
            seed = runs[0].settings.get("seed")
            seed_of.setdefault(loss, ("unknown", cell, number) if seed is None else seed)
        rows += [Observation(cell, seed, loss) for loss, seed in seed_of.items()]
    return rows


def repeated_spread(members: Sequence[Configuration]) -> Spread:
    """The spread between the seeds of configurations, pooled; a seed's own effect is in it."""
    groups = grouped(observations(members), lambda row: row.cell).values()
    repeated = [[row.log_loss for row in rows] for rows in groups if len(rows) > 1]
    if not (degrees := sum(len(losses) - 1 for losses in repeated)):
        return Spread()
    squares = sum((len(losses) - 1) * float(np.var(losses, ddof=1)) for losses in repeated)
    return Spread.of_squares(squares, degrees, "repeated seeds", sum(map(len, repeated)))


def pooled(spreads: Iterable[Spread]) -> Spread:
    """The spread of similar classes: variances weighted by their degrees of freedom."""
    known = [item for item in spreads if item.deviation is not None]
    if not (degrees := sum(item.degrees for item in known)):
        return Spread()
    deviation = math.sqrt(sum(item.degrees * item.variance for item in known) / degrees)
    return Spread(deviation, degrees, "similar classes", sum(item.runs for item in known))
