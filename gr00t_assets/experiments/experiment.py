"""One experiment: what is trained, on what, how, and what one hopes to learn from it."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    SerializeAsAny,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from gr00t_assets.core.files import FrozenModel, json_hash
from gr00t_assets.core.yaml_files import explained_error, without
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.experiments.registry import (
    DEFAULT_TRAINER,
    all_hyperparameters,
    hyperparameters_model,
    trainer_names,
    trainer_problem,
)

DATASET_FORMS = ONE, MIXTURE = "one dataset", "mixture"
"""Names of the forms of ``dataset``, which pydantic puts into the places of its errors."""


class WeightedDataset(FrozenModel):
    """A dataset of a mixture."""

    name: str = Field(description="Name in data/datasets.yaml")
    weight: float = Field(
        default=1.0,
        gt=0,
        allow_inf_nan=False,
        description="Beside those of the others; see balance_dataset_weights",
    )

    @model_validator(mode="before")
    @classmethod
    def _of_two_fields(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise explained_error(f"expected a name and a weight: {{name: {value}, weight: 1}}")
        return value


def _named(value: Any) -> Any:
    if isinstance(value, dict):
        name = value.get("name", "NAME")
        raise explained_error(f"expected a name, or a list of {{name: {name}, weight: 1}}")
    return value


def _several(value: Any) -> Any:
    if isinstance(value, list | tuple) and len(value) < 2:
        raise explained_error("a mixture has two datasets or more; of one give the name alone")
    return value


DatasetChoice = Annotated[
    Annotated[str, BeforeValidator(_named), Tag(ONE)]
    | Annotated[tuple[WeightedDataset, ...], BeforeValidator(_several), Tag(MIXTURE)],
    Discriminator(lambda value: MIXTURE if isinstance(value, list | tuple) else ONE),
]
"""The name of a dataset, or a list of ``{name, weight}``."""


def mixture_name(datasets: Sequence[WeightedDataset]) -> str:
    """A choice in words.

    Examples:
        >>> datasets = [WeightedDataset(name="a", weight=0.7), WeightedDataset(name="b", weight=1)]
        >>> mixture_name(datasets), mixture_name(datasets[:1])
        ('a 0.7 + b 1', 'a')
    """
    if len(datasets) == 1:
        return datasets[0].name
    return " + ".join(f"{dataset.name} {dataset.weight:g}" for dataset in datasets)


ReportTo = Literal["wandb", "none"]

FIRST_RUNG = 0.25
"""Share of its samples that a run sees before the first decision about it, at least."""


TrainerName = Annotated[str, without(trainer_problem)]


class Pruning(FrozenModel):
    """Successive halving over the runs of a sweep (Li et al., "A System for Massively Parallel
    Hyperparameter Tuning", MLSys 2020); ``gr00t_assets.runs.pruning`` decides.

    The first decision is at a quarter of a run's samples, or at ``min_samples`` where that is more;
    the others are at every ``reduction_factor`` times as many. ``min_steps`` is of version 0.2.
    """

    min_samples: int | None = Field(
        default=None, ge=1, description="Samples before the first decision, a quarter at least"
    )
    reduction_factor: int = Field(
        default=3, ge=2, description="Of so many runs one goes on; also the runs a decision needs"
    )
    min_steps: int | None = Field(
        default=None, ge=1, description="The same in optimizer steps; of version 0.2"
    )

    @field_validator("min_steps")
    @classmethod
    def _one_unit(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and info.data.get("min_samples") is not None:
            raise explained_error("min_samples is given as well: take min_steps out")
        return value

    def rungs(self, hyperparameters: Hyperparameters) -> tuple[int, ...]:
        """Optimizer steps after which a run is decided about, the first one first.

        Examples:
            >>> Pruning(reduction_factor=3).rungs(Hyperparameters(batch_size=4, max_steps=800))
            (200, 600)
            >>> Pruning(min_samples=1600).rungs(Hyperparameters(batch_size=32, max_steps=100))
            (50,)
        """
        steps = hyperparameters.max_steps
        asked = math.ceil((self.min_samples or 0) / hyperparameters.samples_per_step)
        rungs = [max(asked, self.min_steps or 0, math.ceil(FIRST_RUNG * steps))]
        while rungs[-1] < steps:
            rungs.append(rungs[-1] * self.reduction_factor)
        return tuple(rungs[:-1])


class Experiment(FrozenModel):
    """One partition of ``checkpoint``; its key is ``name``."""

    name: str
    sweep: str = Field(description="Name of the sweep file that it stands in")
    dataset: DatasetChoice = Field(
        description="Name in data/datasets.yaml, or a mixture: a list of {name, weight}"
    )
    trainer: TrainerName = Field(
        default=DEFAULT_TRAINER, description="Name of an installed trainer"
    )
    base_model: str = Field(default="tiny", description="'tiny', a directory, or a Hub id")
    base_model_revision: str | None = Field(default=None, description="Commit of a Hub id")
    hyperparameters: SerializeAsAny[Hyperparameters] = Field(
        default_factory=Hyperparameters, validate_default=True, description="Of its trainer's model"
    )
    hypothesis: str = Field(default="", description="What is expected, written before it runs")
    tags: tuple[str, ...] = Field(default=(), description="Words to find it by, on the page too")
    report_to: ReportTo = Field(default="wandb", description="Where metrics go besides the store")
    priority: int = Field(default=0, description="Higher ones leave the queue first")
    vram_gb: float | None = Field(
        default=None, gt=0, description="GPU memory needed on each device, GB; None: not checked"
    )
    engine: str | None = Field(
        default=None,
        exclude_if=lambda name: name is None,
        description="Of data/engines.yaml, where it trains; None: the default one",
    )
    continue_from: str | None = Field(
        default=None, description="Experiment whose last checkpoint it starts from"
    )
    pruning: Pruning | None = Field(
        default=None, description="When it is given up as hopeless; None: never"
    )
    continued_steps: tuple[int, ...] = Field(
        default=(), description="max_steps of the runs that it goes on from, the first one first"
    )

    @field_validator("hyperparameters", mode="before")
    @classmethod
    def _of_trainer(cls, value: Any, info: ValidationInfo) -> Any:
        trainer = info.data.get("trainer")
        if trainer is None:
            return Hyperparameters()
        model = hyperparameters_model(trainer)
        if isinstance(value, model):
            return value
        if isinstance(value, Hyperparameters):
            value = value.model_dump(exclude_unset=True)
        return model.model_validate(value)

    @property
    def datasets(self) -> tuple[WeightedDataset, ...]:
        """What it is trained on; a single dataset is a mixture of one, of weight 1."""
        choice = self.dataset
        return (WeightedDataset(name=choice),) if isinstance(choice, str) else choice

    @property
    def dataset_name(self) -> str:
        """``a``, or ``a 0.7 + b 0.3``."""
        return mixture_name(self.datasets)

    @property
    def vram_bytes(self) -> int | None:
        """``vram_gb`` in bytes."""
        return None if self.vram_gb is None else round(self.vram_gb * 1e9)

    def config_hash(self, dataset_version: str, modality_hash: str) -> str:
        """First 12 hex digits of a SHA-256 over all that changes the trained weights.

        Of the hyperparameters it covers what differs from the defaults, and the version of these: a
        hyperparameter that is added later leaves every hash as it was. Name, sweep, hypothesis,
        tags, report_to, priority, vram_gb, engine and pruning are left out: changing the words,
        what the queue is told, where it trains, or when it is given up, does not train again.
        """
        content = {
            "trainer": self.trainer,
            "base_model": self.base_model,
            "base_model_revision": self.base_model_revision,
            "dataset_version": dataset_version,
            "modality_config": modality_hash,
            "hyperparameters": self.hyperparameters.changed(),
            "defaults_version": self.hyperparameters.defaults_version,
        }
        if self.continued_steps:
            content["continued_steps"] = list(self.continued_steps)
        return json_hash(content, 12)

    @property
    def settings(self) -> dict[str, Any]:
        """What it trains, on what and from what, and every hyperparameter, by name."""
        fields = ("trainer", "base_model", "base_model_revision", "continue_from")
        own = {name: getattr(self, name) for name in fields}
        return {"dataset": self.dataset_name} | own | self.hyperparameters.model_dump()

    def continued(self) -> "Experiment | None":
        """The experiment that this one goes on from; equal in all that trains but the steps."""
        if self.continue_from is None:
            return None
        *before, steps = self.continued_steps
        changes = {
            "name": self.continue_from,
            "hyperparameters": self.hyperparameters.model_copy(update={"max_steps": steps}),
            "continue_from": None,
            "continued_steps": tuple(before),
        }
        return self.model_copy(update=changes)


def settings_of_trainer(
    trainer: str, settings: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """The settings without those of other trainers, and the names of those that would be lost.

    What another trainer has is not lost where it has no effect on this one: where it has its
    default, or is among that trainer's ``dropped_elsewhere``. What no trainer has is kept. It
    raises as ``trainer_named``.
    """
    own = hyperparameters_model(trainer).model_fields
    others = [hyperparameters_model(name) for name in trainer_names() if name != trainer]
    fields = all_hyperparameters()
    lost = [
        name
        for name, value in settings.items()
        if name not in own
        and name in fields
        and value != fields[name].default
        and not any(name in model.dropped_elsewhere for model in others)
    ]
    taken = {name: value for name, value in settings.items() if name in own or name not in fields}
    return taken, lost
