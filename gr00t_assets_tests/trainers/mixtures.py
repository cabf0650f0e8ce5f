"""A store with drawn datasets of two robots, and experiments that train on mixtures of them."""

from collections.abc import Sequence

from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.registry import combined_hyperparameters
from gr00t_assets_tests.evaluation.runs import make_data

ARMS, MORE_ARMS, SO101 = "arms", "more-arms", "so101"


def make_mixture_data(store: Store) -> None:
    """Two datasets of one robot with a camera, and one of another robot with two."""
    make_data(store, name=ARMS, held_out=[3])
    make_data(store, name=MORE_ARMS, source={**SOURCE, "episodes": 2, "seed": 5})
    make_data(store, "so101", name=SO101, held_out=[0], source={**SOURCE, "robot": "so101"})


SOURCE = {
    "kind": "synthetic",
    "episodes": 3,
    "min_frames": 40,
    "max_frames": 44,
    "width": 64,
    "height": 64,
}


def mixture(
    weights: Sequence[tuple[str, float]], trainer: str = "native", **settings: object
) -> Experiment:
    """An experiment on datasets with their weights."""
    values = {
        "batch_size": 4,
        "max_steps": 4,
        "save_steps": 2,
        "logging_steps": 1,
        "learning_rate": 1e-3,
        **settings,
    }
    return Experiment.model_validate(
        {
            "name": "mixed",
            "sweep": "small",
            "dataset": [{"name": name, "weight": weight} for name, weight in weights],
            "trainer": trainer,
            "hyperparameters": combined_hyperparameters().model_validate(values),
        }
    )
