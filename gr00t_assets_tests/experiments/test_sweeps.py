from pathlib import Path

import pytest

from gr00t_assets.core.errors import BaseModelError, SweepError
from gr00t_assets.experiments.sweeps import load_sweep
from gr00t_assets.trainers.base_model_files import locate
from gr00t_assets_tests.experiments.sweep_texts import load_sweeps

DATASETS = ["synthetic-pick-n-place", "robot_sim.PickNPlace"]


def write(folder: Path, text: str, name: str = "mine") -> Path:
    file = folder / f"{name}.yaml"
    file.write_text(text)
    return file


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(SweepError) as caught:
        load_sweep(write(folder, text), DATASETS)
    return str(caught.value)


def test_the_projects_demo_sweep_is_two_learning_rates_with_two_seeds_each() -> None:
    demo = load_sweeps()["demo"]
    points = [
        (item.name, item.hyperparameters.learning_rate, item.hyperparameters.seed)
        for item in demo.experiments
    ]
    assert points == [
        ("demo-lr1e-3-seed1", 1e-3, 1),
        ("demo-lr1e-3-seed2", 1e-3, 2),
        ("demo-lr2e-4-seed1", 2e-4, 1),
        ("demo-lr2e-4-seed2", 2e-4, 2),
    ]
    assert demo.datasets == ("so101-pick",)


def test_an_entry_overrides_the_defaults_and_seeds_repeat_it(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        """
tags: [all]
defaults:
  dataset: robot_sim.PickNPlace
  hypothesis: as before
  tags: [some]
  hyperparameters: {batch_size: 4, max_steps: 20}
experiments:
  - name: longer
    base_model: nvidia/GR00T-N1.5-3B
    hyperparameters: {max_steps: 40}
    tags: [one]
seeds: [1, 2]
""",
    )
    first, second = load_sweep(file, DATASETS).experiments
    assert (first.name, second.name) == ("longer-seed1", "longer-seed2")
    assert (first.hyperparameters.seed, second.hyperparameters.seed) == (1, 2)
    assert first.hyperparameters.batch_size == 4
    assert first.hyperparameters.max_steps == 40
    assert first.hypothesis == "as before"
    assert first.tags == ("all", "some", "one")


def test_every_wrong_field_is_named_with_its_line_and_the_nearest_name(tmp_path: Path) -> None:
    message = refusal(
        tmp_path,
        """defaults:
  dataset: synthetic-pick-n-place
  hyperparameters:
    learning_rat: 1e-3
experiments:
  - name: one
    hyperparameters: {max_steps: 0}
""",
    )
    assert "line 4: defaults.hyperparameters.learning_rat: unknown field" in message
    assert "did you mean 'learning_rate'?" in message
    assert "line 7: experiments[0].hyperparameters.max_steps" in message


def test_a_misspelt_field_of_an_experiment_is_answered_with_the_fields_of_experiments(
    tmp_path: Path,
) -> None:
    message = refusal(tmp_path, "experiments:\n  - name: one\n    hypotesis: x\n")
    assert "mine.yaml:3: experiments[0].hypotesis" in message
    assert "did you mean 'hypothesis'?" in message


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("'a,b'", "','"),
        ("a..b", "'..'"),
        ("'../up'", "'/'"),
        ("'.hidden'", "begins with a dot"),
        ("'with space'", "' '"),
    ],
)
def test_a_name_that_dagster_cannot_carry_is_refused(
    tmp_path: Path, name: str, complaint: str
) -> None:
    text = f"defaults: {{dataset: synthetic-pick-n-place}}\nexperiments:\n  - name: {name}\n"
    message = refusal(tmp_path, text)
    assert "mine.yaml:3" in message
    assert complaint in message


def test_two_experiments_of_one_name_are_refused_with_both_lines(tmp_path: Path) -> None:
    message = refusal(
        tmp_path,
        "defaults: {dataset: synthetic-pick-n-place}\n"
        "experiments:\n  - name: same\n  - name: same\n",
    )
    assert "mine.yaml:4" in message
    assert "line 3" in message


def test_one_name_in_two_files_is_refused(tmp_path: Path) -> None:
    text = "defaults: {dataset: synthetic-pick-n-place}\nexperiments:\n  - name: same\n"
    write(tmp_path, text, "first")
    write(tmp_path, text, "second")
    with pytest.raises(SweepError, match=r"second\.yaml.*'same' is also in .*first\.yaml"):
        load_sweeps(tmp_path, DATASETS)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("defaults: {dataset: robot_sim.PickNPlac}\nexperiments: [{name: a}]", "did you mean"),
        ("experiments: [{name: a}]", "'a' has no dataset"),
        ("description: nothing", "no experiments"),
        ("schedule: hourly\nexperiments: [{name: a}]", "five fields"),
        ("experiments: [{name: a}\n", "this is not YAML"),
        ("tags: [a]\ntags: [b]\nexperiments: [{name: a}]", "is given twice"),
        (
            "defaults: {dataset: robot_sim.PickNPlace, trainer: isaac}\nexperiments: [{name: a}]",
            "no trainer 'isaac'; did you mean 'isaac-gr00t'?",
        ),
        (
            "defaults: {dataset: robot_sim.PickNPlace}\n"
            "experiments: [{name: a, hyperparameters: {frame_source: video}}]",
            "native trainer does not take frame_source video",
        ),
        (
            "defaults: {dataset: robot_sim.PickNPlace}\n"
            "grid: {name: 'a{seed}', hyperparameters: {seed: [1, -1]}}",
            "grid.hyperparameters.seed[1]",
        ),
        (
            "defaults: {dataset: robot_sim.PickNPlace}\n"
            "grid: {name: same, hyperparameters: {seed: [1, 2]}}",
            "already the name",
        ),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    assert complaint in refusal(tmp_path, text)


def test_an_unknown_experiment_or_sweep_is_answered_with_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, "defaults: {dataset: robot_sim.PickNPlace}\nexperiments: [{name: alpha}]")
    sweeps = load_sweeps(tmp_path, DATASETS)
    assert sweeps.experiments["alpha"].sweep == "mine"
    with pytest.raises(SweepError, match="did you mean 'alpha'"):
        sweeps.experiments["alpa"]
    with pytest.raises(SweepError, match="did you mean 'mine'"):
        sweeps["min"]


@pytest.mark.parametrize("model", ["x" * 300, "~no-such-user/model"])
def test_a_base_model_that_is_no_path_is_told_where_it_is_loaded(tmp_path: Path, model: str):
    text = f"defaults: {{dataset: {DATASETS[0]}}}\nexperiments: [{{name: a, base_model: {model}}}]"
    assert load_sweep(write(tmp_path, text), DATASETS).experiments[0].base_model == model
    with pytest.raises(BaseModelError, match=r"there is no such folder"):
        locate(model)


def test_the_config_hash_changes_with_what_trains_and_not_with_words(tmp_path: Path) -> None:
    def hash_of(text: str) -> str:
        body = f"defaults: {{dataset: robot_sim.PickNPlace}}\nexperiments: [{{name: a, {text}}}]"
        return load_sweep(write(tmp_path, body), DATASETS).experiments[0].config_hash("v", "m")

    plain = hash_of("hypothesis: one")
    assert plain == hash_of("hypothesis: two, tags: [new]")
    assert plain != hash_of("hyperparameters: {seed: 7}")
    assert plain != hash_of("base_model: elsewhere")
