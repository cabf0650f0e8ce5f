"""What may stand in ``data/sweeps/NAME.yaml``, field by field."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from gr00t_assets.experiments.cron import cron_problem
from gr00t_assets.experiments.experiment import ReportTo, Trainer
from gr00t_assets.experiments.pruning import Pruning

DEFAULT_RETRIES = 3
"""Times that an experiment whose run died is requested again."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Needs(_Part):
    """What an experiment needs of the queue; it changes nothing that is trained."""

    priority: int | None = Field(
        default=None, description="Higher ones leave the queue first; dagster/priority, 0"
    )
    vram_gb: float | None = Field(
        default=None, gt=0, description="GPU memory a run needs on each device, GB; not checked"
    )


class Defaults(_Needs):
    """What every experiment of the sweep starts from."""

    dataset: str | None = Field(default=None, description="Name in data/datasets.yaml")
    trainer: Trainer = "native"
    base_model: str = Field(default="tiny", description="'tiny', a directory, or a Hub id")
    base_model_revision: str | None = None
    hypothesis: str = ""
    tags: tuple[str, ...] = ()
    report_to: ReportTo = "wandb"
    hyperparameters: dict[str, Any] = Field(default_factory=dict)


class Entry(_Needs):
    """One experiment; what is left out comes from the defaults."""

    name: str
    dataset: str | None = None
    trainer: Trainer | None = None
    base_model: str | None = None
    base_model_revision: str | None = None
    hypothesis: str | None = None
    tags: tuple[str, ...] = ()
    report_to: ReportTo | None = None
    continue_from: str | None = Field(
        default=None, description="Experiment of this file to go on from, with more max_steps"
    )
    hyperparameters: dict[str, Any] = Field(default_factory=dict)


class Points(_Needs):
    """Experiments made from one pattern; hypothesis and tags may name values as the name does."""

    name: str = Field(description="Pattern such as lr{learning_rate}-b{batch_size}")
    hypothesis: str | None = None
    hypotheses: dict[str, str] = Field(
        default_factory=dict, description="Of single experiments, by the name that the pattern gave"
    )
    tags: tuple[str, ...] = ()


class Grid(Points):
    """Every combination of the listed values, as one experiment each."""

    hyperparameters: dict[str, list[Any]] = Field(min_length=1)


class Random(Points):
    """Samples of hyperparameters, as one experiment each; ``{index}`` counts them from 001."""

    count: int = Field(ge=1, description="Samples; raising it keeps those before")
    seed: int = Field(default=0, ge=0, description="Of the sampling; not that of the training")
    hyperparameters: dict[str, Any] = Field(
        min_length=1, description="Values to choose from, or distribution, low and high"
    )


class SweepFile(_Part):
    """A whole sweep file. The file's name is the sweep's name."""

    description: str = ""
    schedule: str | None = Field(default=None, description="Cron expression, five fields, UTC")
    max_retries: int = Field(
        default=DEFAULT_RETRIES, ge=0, description="Times that a run that died is requested again"
    )
    tags: tuple[str, ...] = ()
    pruning: Pruning | None = Field(
        default=None, description="Give up hopeless runs while they train; None: never"
    )
    defaults: Defaults = Defaults()
    experiments: tuple[Entry, ...] = ()
    grid: Grid | None = None
    random: Random | None = None
    seeds: tuple[int, ...] = Field(default=(), description="Every experiment once for each seed")

    @field_validator("schedule")
    @classmethod
    def _cron(cls, value: str | None) -> str | None:
        if value is not None and (problem := cron_problem(value)):
            raise ValueError(problem)
        return value
