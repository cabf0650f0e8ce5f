"""Only a backend that an experiment reads videos with is held against a dataset."""

import pytest

from gr00t_assets.defs.assets import data
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.registry import hyperparameters_model


def experiment(trainer: str, dataset: str, **settings: str) -> Experiment:
    hyperparameters = hyperparameters_model(trainer).model_validate(settings)
    return Experiment(
        name="a", sweep="s", dataset=dataset, trainer=trainer, hyperparameters=hyperparameters
    )


def test_the_frame_cache_asks_for_no_check_of_a_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    experiments = [
        experiment("native", "demo"),
        experiment("isaac-gr00t", "demo", video_backend="torchvision_av"),
        experiment("isaac-gr00t", "demo", video_backend="decord", frame_source="video"),
        experiment("isaac-gr00t", "other", video_backend="torchcodec", frame_source="video"),
    ]
    monkeypatch.setattr(data, "EXPERIMENTS", dict(enumerate(experiments)))
    assert data.video_backends("demo") == ["decord"]
    assert data.video_backends("other") == ["torchcodec"]
