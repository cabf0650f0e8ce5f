"""What an experiment is trained on: one dataset, or several that each have a weight."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from gr00t_assets.core.files import FrozenModel
from gr00t_assets.core.yaml_files import explained_error

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


def weighted_datasets(choice: str | Sequence[WeightedDataset]) -> tuple[WeightedDataset, ...]:
    """The datasets of a choice; a single one has the weight 1."""
    return (WeightedDataset(name=choice),) if isinstance(choice, str) else tuple(choice)


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
