"""What a generation of GR00T cannot take of an experiment or its data config, told before."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from gr00t_assets.core.files import file_stamp
from gr00t_assets.core.finding import Finding
from gr00t_assets.core.project import data_files
from gr00t_assets.datasets.catalog import CatalogEntry, project_catalog
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.modality.data_config import DataConfig, data_configs
from gr00t_assets.modality.generations import GENERATIONS, GenerationName
from gr00t_assets.trainers.n15.n15_hyperparameters import N15Hyperparameters

Limit = tuple[str, str, str]  # field of the experiment, what is found of it, and what to do


def entries_of(experiment: Experiment) -> list[CatalogEntry]:
    """Catalog entries of an experiment's datasets; a fault of it is told elsewhere."""
    configs = data_configs()
    catalog = _catalog(file_stamp(data_files("datasets.yaml")), (*configs, *configs.errors))
    return [catalog[dataset.name] for dataset in experiment.datasets if dataset.name in catalog]


def data_configs_of(experiment: Experiment) -> list[DataConfig]:
    """The data configs of an experiment's datasets, each once."""
    configs = data_configs()
    names = dict.fromkeys(entry.data_config for entry in entries_of(experiment))
    return [configs[name] for name in names if name in configs]


def data_config_limits(
    experiment: Experiment, generation: GenerationName | None
) -> Iterator[Limit]:
    """What of an experiment has no effect, or of its data configs does not fit the model.

    ``generation`` is the base model's; where it is not known here, training tells what does not
    fit.
    """
    settings = N15Hyperparameters.of(experiment)
    if settings.lora_full_model and not settings.lora_rank:
        remedy = "give lora_rank as well, or leave it out"
        yield "lora_full_model", "has no effect without LoRA", remedy
    if generation is None:
        return
    model = GENERATIONS[generation]
    for config in data_configs_of(experiment):
        if config.generation != generation:
            theirs, base_model = config.generation.upper(), experiment.base_model
            found = f"data config {config.name} is of {theirs}, base model {base_model} of "
            remedy = f"give the dataset a data config with generation: {generation}"
            yield "dataset", found + generation.upper(), remedy
            continue
        wrong = {
            "max_state_dim": (config.max_state_dim, model.max_state_dim),
            "image_size": (config.image_size, model.image_size),
            "observation_indices": (list(config.observation_indices), [0]),
        }
        for field, (value, taken) in wrong.items():
            if value != taken:
                found = f"data config {config.name} has {field} {value}, "
                found += f"and {generation.upper()} takes {taken}"
                yield "dataset", found, f"take {field} out of data/data_configs/{config.name}.yaml"


def limit_findings(limits: Iterable[Limit]) -> list[Finding]:
    """Limits as findings."""
    return [
        Finding(severity="error", code="not-taken", subject=field, found=found, remedy=remedy)
        for field, found, remedy in limits
    ]


@lru_cache(maxsize=8)
def _catalog(changed: Sequence[object], names: Sequence[str]) -> dict[str, CatalogEntry]:
    """The catalog, read again where its files or the data configs have changed."""
    return project_catalog()
