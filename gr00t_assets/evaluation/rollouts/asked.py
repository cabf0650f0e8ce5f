"""What is asked for: the environment of an experiment, and the settings of its rollouts."""

from gr00t_assets.core.errors import EvaluationError
from gr00t_assets.datasets.catalog import known_entry, project_catalog
from gr00t_assets.environments.environment_file import Environment, load_environments
from gr00t_assets.evaluation.rollouts.result import RolloutSettings
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.runs.training_data import RunDataset

_REPLAN = 4
"""Actions that are done of a chunk where nobody says how many."""


def declared_environment(spec: TrainingSpec, name: str | None = None) -> Environment | None:
    """The environment of a name, or of the first dataset that has one; None where none has.

    Raises:
        SimulationError: There is no environment of that name, or its declaration is wrong.
        CatalogError: The catalog has a fault where it would name one.
    """
    if name is None:
        catalog = project_catalog()
        entries = [known_entry(dataset.name, catalog) for dataset in spec.datasets]
        name = next((entry.environment for entry in entries if entry and entry.environment), None)
    return None if name is None else load_environments().get(name)


def dataset_for(spec: TrainingSpec, environment: str) -> RunDataset:
    """Of the datasets of a run the one that names an environment; else the first."""
    catalog = project_catalog()
    for dataset in spec.datasets:
        if dataset.name in catalog and catalog[dataset.name].environment == environment:
            return dataset
    return spec.datasets[0]


def settings_for(
    environment: Environment,
    spec: TrainingSpec,
    *,
    episodes: int | None = None,
    replan_every: int | None = None,
    ensemble: float | None = None,
) -> RolloutSettings:
    """As the environment declares them, where nothing else is asked for, or ``EvaluationError``."""
    horizon = len(spec.datasets[0].config.action_indices)
    replan_every = replan_every or environment.replan_every or min(_REPLAN, horizon)
    if replan_every > horizon:
        problem = f"a chunk of its actions has {horizon}, so not {replan_every} can be done of it."
        raise EvaluationError(spec.experiment.name, problem, [f"replan after 1 to {horizon}"])
    return RolloutSettings(
        episodes=episodes or environment.episodes,
        first_seed=environment.seeds,
        replan_every=replan_every,
        ensemble=ensemble,
    )
