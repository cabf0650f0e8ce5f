"""Mixtures of datasets in sweep files: how they are read, and what is wrong with them, by line."""

import json
from pathlib import Path

import pytest

from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets_tests.experiments.sweep_texts import load, refusal

MIXTURE = """\
defaults:
  dataset:
    - {name: demo, weight: 0.7}
    - {name: other, weight: 0.3}
  hyperparameters: {batch_size: 2}
experiments:
  - name: mixed
  - name: equal
    dataset: [{name: other}, {name: demo}]
  - name: alone
    dataset: demo
  - name: longer
    continue_from: mixed
    hyperparameters: {max_steps: 20000}
grid:
  name: seed{seed}
  hyperparameters: {seed: [1, 2]}
"""


def test_a_mixture_is_read_wherever_a_dataset_may_stand(tmp_path: Path) -> None:
    sweep = load(tmp_path, MIXTURE)
    names = {item.name: item.dataset_name for item in sweep.experiments}
    mixed = "demo 0.7 + other 0.3"
    assert names == {
        "mixed": mixed,
        "equal": "other 1 + demo 1",
        "alone": "demo",
        "longer": mixed,
        "seed1": mixed,
        "seed2": mixed,
    }
    assert sweep.datasets == ("demo", "other")
    mixed, _, alone, *_ = sweep.experiments
    assert [(item.name, item.weight) for item in mixed.datasets] == [("demo", 0.7), ("other", 0.3)]
    assert [(item.name, item.weight) for item in alone.datasets] == [("demo", 1.0)]


def test_one_dataset_is_written_as_it_always_was(tmp_path: Path) -> None:
    *_, alone, _, _, _ = load(tmp_path, MIXTURE).experiments
    assert json.loads(alone.model_dump_json())["dataset"] == "demo"
    for experiment in load(tmp_path, MIXTURE).experiments:
        assert Experiment.model_validate_json(experiment.model_dump_json()) == experiment


@pytest.mark.parametrize(
    ("dataset", "complaints"),
    [
        (
            "[{name: demo}, {name: othr}]",
            ["mine.yaml:4: experiments[0].dataset[1].name: unknown dataset 'othr'; "
             "did you mean 'other'?"],
        ),
        (
            "[{name: demo, weight: 0}, {name: other, weight: -1}]",
            ["line 4: experiments[0].dataset[0].weight: Input should be greater than 0, found 0",
             "line 4: experiments[0].dataset[1].weight: Input should be greater than 0, found -1"],
        ),
        (
            "[{name: demo, weight: .inf}, {name: other, weight: much}]",
            ["dataset[0].weight: Input should be a finite number",
             "dataset[1].weight: Input should be a valid number"],
        ),
        (
            "[{name: demo}, {name: other}, {name: demo}]",
            ["mine.yaml:4: experiments[0].dataset[2].name: 'demo' is in this mixture already, at "
             "line 4; give it once, with the sum of the weights"],
        ),
        (
            "[{name: demo}]",
            ["mine.yaml:4: experiments[0].dataset: a mixture has two datasets or more; "
             "of one give the name alone"],
        ),
        ("[]", ["a mixture has two datasets or more"]),
        (
            "[demo, {name: other}]",
            ["mine.yaml:4: experiments[0].dataset[0]: expected a name and a weight: "
             "{name: demo, weight: 1}"],
        ),
        (
            "[{name: demo, wieght: 2}, {weight: 1}]",
            ["experiments[0].dataset[0].wieght: unknown field; did you mean 'weight'?",
             "experiments[0].dataset[1].name: is missing"],
        ),
        (
            "{name: demo, weight: 2}",
            ["mine.yaml:4: experiments[0].dataset: expected a name, or a list of "
             "{name: demo, weight: 1}"],
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_mixture_is_told_with_its_line(
    tmp_path: Path, dataset: str, complaints: list[str]
) -> None:
    text = f"description: mine\nexperiments:\n  - name: a\n    dataset: {dataset}\n"
    message = refusal(tmp_path, text)
    for complaint in complaints:
        assert complaint in message


def test_a_fault_of_the_defaults_is_told_there(tmp_path: Path) -> None:
    message = refusal(tmp_path, MIXTURE.replace("name: other, weight: 0.3", "name: anothr"))
    assert "mine.yaml:4: defaults.dataset[1].name: unknown dataset 'anothr'" in message


def test_weights_that_isaac_gr00t_does_not_take_are_told_with_the_line(tmp_path: Path) -> None:
    isaac = "    trainer: isaac-gr00t\n    base_model: nvidia/GR00T-N1.5-3B\n"
    text = MIXTURE.replace("  - name: mixed\n", f"  - name: mixed\n{isaac}")
    message = refusal(tmp_path, text)
    assert "mine.yaml:2: defaults.dataset: isaac-gr00t gives every dataset of a" in message
    assert "give them one weight" in message


def test_a_trainer_that_takes_one_dataset_refuses_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(trainer_named("native")), "takes_mixtures", False)
    message = refusal(tmp_path, MIXTURE)
    assert "line 2: defaults.dataset: the native trainer takes one dataset, and no mixture" in (
        message
    )
    assert "line 9: experiments[1].dataset: the native trainer takes one dataset" in message
    assert "alone" not in message
