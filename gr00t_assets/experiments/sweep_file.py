"""What may stand in ``data/sweeps/NAME.yaml``, field by field."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from gr00t_assets.experiments.experiment import ReportTo, Trainer


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Defaults(_Part):
    """What every experiment of the sweep starts from."""

    dataset: str | None = Field(default=None, description="Name in data/datasets.yaml")
    trainer: Trainer = "native"
    base_model: str = Field(default="tiny", description="'tiny', a directory, or a Hub id")
    base_model_revision: str | None = None
    hypothesis: str = ""
    tags: tuple[str, ...] = ()
    report_to: ReportTo = "wandb"
    hyperparameters: dict[str, Any] = Field(default_factory=dict)


class Entry(_Part):
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


class Grid(_Part):
    """Every combination of the listed values, as one experiment each."""

    name: str = Field(description="Pattern such as lr{learning_rate}-b{batch_size}")
    hypothesis: str | None = None
    hyperparameters: dict[str, list[Any]] = Field(min_length=1)


class SweepFile(_Part):
    """A whole sweep file. The file's name is the sweep's name."""

    description: str = ""
    schedule: str | None = Field(default=None, description="Cron expression, five fields, UTC")
    tags: tuple[str, ...] = ()
    defaults: Defaults = Defaults()
    experiments: tuple[Entry, ...] = ()
    grid: Grid | None = None
    seeds: tuple[int, ...] = Field(default=(), description="Every experiment once for each seed")

    @field_validator("schedule")
    @classmethod
    def _five_fields(cls, value: str | None) -> str | None:
        if value is not None and len(value.split()) != 5:
            raise ValueError("a cron schedule has five fields, such as '0 20 * * *'")
        return value
