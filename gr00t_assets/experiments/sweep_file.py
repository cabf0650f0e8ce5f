"""What may stand in ``data/sweeps/NAME.yaml``, field by field."""

import math
import re
from typing import Annotated, Any, Literal

from croniter import CroniterBadDateError, CroniterError, croniter
from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator

from gr00t_assets.core.files import FrozenModel
from gr00t_assets.core.text import time_zone_problem
from gr00t_assets.core.yaml_files import explained_error, without
from gr00t_assets.experiments.experiment import DatasetChoice, Pruning, ReportTo, TrainerName
from gr00t_assets.experiments.registry import DEFAULT_TRAINER

DEFAULT_RETRIES = 3
"""Times that an experiment whose run died is requested again."""

MOST_EXPERIMENTS = 10_000
"""Of one file; each is a partition."""

BEST = "best"
"""The question which experiment has the lowest loss."""

DIGITS = 3
"""Significant digits of a sampled number."""

_CRON_FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")
_CRON_PART = re.compile(r"(\*|[a-z]{3}|\d+)(-([a-z]{3}|\d+))?(/\d+)?")


class Distribution(FrozenModel):
    """Where the values of one hyperparameter are drawn from."""

    distribution: Literal["uniform", "log_uniform", "int_uniform"]
    low: float
    high: float

    @field_validator("low", "high")
    @classmethod
    def _can_be_drawn(cls, value: float, info: ValidationInfo) -> float:
        kind, low = info.data.get("distribution"), info.data.get("low", -math.inf)
        if not math.isfinite(value):
            raise explained_error("low and high are finite numbers")
        if kind == "int_uniform" and not value.is_integer():
            raise explained_error(f"int_uniform needs whole numbers, not {value:g}")
        if kind == "log_uniform" and value <= 0:
            raise explained_error(f"log_uniform needs low above 0, not {value:g}")
        if info.field_name == "high" and value <= low:
            raise explained_error(f"high {value:g} is not above low {low:g}")
        return value

    def value(self, share: float) -> float | int:
        """The quantile at ``share``, to three digits but for whole numbers, inside the bounds.

        Examples:
            >>> Distribution(distribution="log_uniform", low=1e-5, high=1e-3).value(0.5)
            0.0001
        """
        if self.distribution == "int_uniform":
            low, high = int(self.low), int(self.high)
            return min(high, low + math.floor(share * (high - low + 1)))
        if self.distribution == "log_uniform":
            exact = math.exp(math.log(self.low) + share * math.log(self.high / self.low))
        else:
            exact = self.low + share * (self.high - self.low)
        return min(self.high, max(self.low, float(f"{exact:.{DIGITS}g}")))

    def bounds(self) -> dict[str, float | int]:
        """Both bounds as they are drawn, by name."""
        kind = int if self.distribution == "int_uniform" else float
        return {"low": kind(self.low), "high": kind(self.high)}


CHOICE_FORMS = LISTED, DRAWN = "listed", "drawn"
"""Names of the forms of a choice, which pydantic puts into the places of its errors."""

Choice = Annotated[
    Annotated[list[Any], Tag(LISTED)] | Annotated[Distribution, Tag(DRAWN)],
    Discriminator(
        lambda value: {list: LISTED, dict: DRAWN, Distribution: DRAWN}.get(type(value)),
        custom_error_type="choice",
        custom_error_message="expected a list of values, or distribution, low and high",
    ),
]
"""What one hyperparameter is drawn from: values that are each as likely, or a distribution."""


class _QueueSettings(FrozenModel):
    """What an experiment tells the queue; it changes nothing that is trained."""

    priority: int | None = Field(
        default=None, description="Higher ones leave the queue first; dagster/priority, 0"
    )
    vram_gb: float | None = Field(
        default=None, gt=0, description="GPU memory a run needs on each device, GB; not checked"
    )
    engine: str | None = Field(
        default=None, description="Of data/engines.yaml, where it trains; the default one"
    )


class Defaults(_QueueSettings):
    """What every experiment of the sweep starts from."""

    dataset: DatasetChoice | None = Field(
        default=None, description="Name in data/datasets.yaml, or a list of {name, weight}"
    )
    trainer: TrainerName = Field(
        default=DEFAULT_TRAINER, description="Name of an installed trainer"
    )
    base_model: str = Field(default="tiny", description="'tiny', a directory, or a Hub id")
    base_model_revision: str | None = None
    hypothesis: str = ""
    tags: tuple[str, ...] = ()
    report_to: ReportTo = "wandb"
    hyperparameters: dict[str, Any] = Field(default_factory=dict)


class Entry(_QueueSettings):
    """One experiment; what is left out comes from the defaults."""

    name: str
    dataset: DatasetChoice | None = None
    trainer: TrainerName | None = None
    base_model: str | None = None
    base_model_revision: str | None = None
    hypothesis: str | None = None
    tags: tuple[str, ...] = ()
    report_to: ReportTo | None = None
    continue_from: str | None = Field(
        default=None, description="Experiment of this file to go on from, with more max_steps"
    )
    hyperparameters: dict[str, Any] = Field(default_factory=dict)


class Pattern(_QueueSettings):
    """Experiments made from one pattern; hypothesis and tags may name values as the name does."""

    name: str = Field(description="Pattern such as lr{learning_rate}-b{batch_size}")
    hypothesis: str | None = None
    hypotheses: dict[str, str] = Field(
        default_factory=dict, description="Of single experiments, by the name that the pattern gave"
    )
    tags: tuple[str, ...] = ()


class Grid(Pattern):
    """Every combination of the listed values, as one experiment each."""

    hyperparameters: dict[str, list[Any]] = Field(min_length=1)


class Random(Pattern):
    """Samples of hyperparameters, as one experiment each; ``{index}`` counts them from 001."""

    count: int = Field(
        ge=1, le=MOST_EXPERIMENTS, description="Samples; raising it keeps those before"
    )
    seed: int = Field(default=0, ge=0, description="Of the sampling; not that of the training")
    hyperparameters: dict[str, Choice] = Field(
        min_length=1, description="Values to choose from, or distribution, low and high"
    )


class Until(FrozenModel):
    """What a sweep is to find out: it adds seeds to its experiments until it knows."""

    question: str = Field(description="A hyperparameter that differs, trainable_parts, or best")
    confidence: float = Field(default=0.95, ge=0.5, le=0.999, description="Of the answer")
    max_gpu_hours: float = Field(
        gt=0, description="Of all its runs together; hours of the CPU where there is no GPU"
    )


def cron_problem(text: str) -> str | None:
    """What keeps a text from being a cron expression of five fields; ``None`` where nothing does.

    A field is ``*``, a number, a name (``jan``, ``mon``), a range ``1-5``, any of them with a step
    ``*/15``, or several of these with commas. What Dagster takes beyond that (``L``, ``W``, ``#``,
    ``@daily``) is refused.

    Examples:
        >>> cron_problem("*/15 8-18 * * mon-fri") is None
        True
        >>> cron_problem("0 25 * * *")
        'hour 25 is not in 0 to 23'
    """
    fields = text.lower().split()
    if len(fields) != len(_CRON_FIELDS):
        return "a cron schedule has five fields, such as '0 20 * * *', every day at 20:00"
    for place, (name, field) in enumerate(zip(_CRON_FIELDS, fields, strict=True)):
        for part in field.split(","):
            match = _CRON_PART.fullmatch(part)
            if match is None:
                return f"{name} '{part}' cannot be read: write *, 5, 1-5, */15, or some with commas"
            first, last = match[1], match[3] or ""
            if first.isdigit() and last.isdigit() and int(first) > int(last):
                return f"{name} '{part}': the range runs backwards"
        alone = " ".join(field if index == place else "*" for index in range(len(fields)))
        try:
            croniter(alone)
        except CroniterError:
            low, high = croniter.RANGES[place]
            return f"{name} {field} is not in {low} to {high}"
    try:
        croniter(text).get_next()
    except CroniterBadDateError:
        return f"there is no day {fields[2]} in month {fields[3]}"
    return None


class SweepFile(FrozenModel):
    """A whole sweep file. The file's name is the sweep's name."""

    description: str = ""
    schedule: Annotated[str, without(cron_problem)] | None = Field(
        default=None, description="Cron expression, five fields"
    )
    time_zone: Annotated[str, without(time_zone_problem)] = Field(
        default="UTC", description="Of the schedule, such as Europe/Berlin"
    )
    max_retries: int = Field(
        default=DEFAULT_RETRIES, ge=0, description="Times that a run that died is requested again"
    )
    tags: tuple[str, ...] = ()
    pruning: Pruning | None = Field(
        default=None, description="Give up hopeless runs while they train; None: never"
    )
    defaults: Defaults = Field(default=Defaults(), description="What every experiment starts from")
    experiments: tuple[Entry, ...] = Field(default=(), description="Experiments, one by one")
    grid: Grid | None = Field(default=None, description="Every combination of some values")
    random: Random | None = Field(default=None, description="Samples of hyperparameters")
    seeds: tuple[int, ...] = Field(default=(), description="Every experiment once for each seed")
    until: Until | None = Field(
        default=None, description="Add seeds, round by round, until a question is answered"
    )
