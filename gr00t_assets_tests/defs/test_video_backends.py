"""Only a backend that an experiment reads videos with is held against a dataset."""

import pytest

from gr00t_assets.defs.assets import datasets
from gr00t_assets.experiments.experiment import Experiment, Trainer
from gr00t_assets.experiments.hyperparameters import Hyperparameters


def experiment(trainer: Trainer, dataset: str, **settings: str) -> Experiment:
    hyperparameters = Hyperparameters.model_validate(settings)
    return Experiment(
        name="a", sweep="s", dataset=dataset, trainer=trainer, hyperparameters=hyperparameters
    )


def test_the_frame_cache_asks_for_no_check_of_a_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        experiment("native", "demo", video_backend="torchcodec"),
        experiment("isaac-gr00t", "demo", video_backend="torchvision_av"),
        experiment("isaac-gr00t", "demo", video_backend="decord", frame_source="video"),
        experiment("isaac-gr00t", "other", video_backend="torchcodec", frame_source="video"),
    ]
    monkeypatch.setattr(datasets, "EXPERIMENTS", dict(enumerate(found)))
    assert datasets.video_backends("demo") == ["decord"]
    assert datasets.video_backends("other") == ["torchcodec"]
