"""What a trainer does not take is refused when the file is read, with the line that says it."""

from pathlib import Path

import pytest

from gr00t_assets.core.errors import SweepError
from gr00t_assets.experiments.sweeps import Sweep, load_sweep

ISAAC = "trainer: isaac-gr00t, base_model: nvidia/GR00T-N1.5-3B"


def load(folder: Path, text: str) -> Sweep:
    file = folder / "mine.yaml"
    file.write_text(text)
    return load_sweep(file, ["demo"])


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(SweepError) as caught:
        load(folder, text)
    return str(caught.value)


def one(trainer: str, hyperparameters: str) -> str:
    return (
        f"defaults: {{dataset: demo, {trainer}}}\n"
        "experiments:\n"
        "  - name: a\n"
        f"    hyperparameters: {{{hyperparameters}}}\n"
    )


@pytest.mark.parametrize(
    ("trainer", "hyperparameters", "complaint"),
    [
        ("trainer: native", "lora_full_model: true", "no effect without LoRA; give lora_rank"),
        (
            "trainer: native",
            "frame_source: video",
            "native trainer does not take frame_source video; isaac-gr00t does",
        ),
        ("trainer: native", "num_nodes: 2", "of kind local has one; take an engine of kind slurm"),
        (ISAAC, "augmentation: none", "isaac-gr00t always augments"),
        (ISAAC, "lora_full_model: true", "no effect without LoRA; give lora_rank"),
        (
            ISAAC,
            "tune_projector: false, tune_diffusion_model: false",
            "vlln and vl_self_attention, which no setting freezes",
        ),
    ],
)
def test_a_setting_that_the_trainer_does_not_take_is_refused(
    tmp_path: Path, trainer: str, hyperparameters: str, complaint: str
) -> None:
    message = refusal(tmp_path, one(trainer, hyperparameters))
    assert complaint in message
    assert "mine.yaml:4: experiments[0].hyperparameters." in message


@pytest.mark.parametrize(
    "hyperparameters",
    [
        "num_gpus: 8",
        "frame_source: video",
        "lora_rank: 8, lora_full_model: true",
        "tune_projector: false, tune_diffusion_model: false, tune_visual: true",
        "tune_projector: false, tune_diffusion_model: false, lora_rank: 8",
        "tune_projector: false",
        "augmentation: gr00t",
    ],
)
def test_what_isaac_gr00t_takes_is_let_through(tmp_path: Path, hyperparameters: str) -> None:
    assert len(load(tmp_path, one(ISAAC, hyperparameters)).experiments) == 1


@pytest.mark.parametrize(
    ("base_model", "complaint"),
    [
        ("tiny", "'tiny' is built in to the native trainer; give isaac-gr00t base_model nvidia/"),
        ("./models/mine", "'./models/mine' is neither a Hub id (owner/name) nor an absolute path"),
        ("../mine", "looks for a relative path on the Hub"),
        ("data/models/mine", "write a folder's path in full"),
        ("out/checkpoint-300", "write a folder's path in full"),
        ("mine", "neither a Hub id"),
    ],
)
def test_a_base_model_that_the_script_would_not_find_is_refused(
    tmp_path: Path, base_model: str, complaint: str
) -> None:
    text = (
        "defaults:\n  dataset: demo\n  trainer: isaac-gr00t\n"
        f"  base_model: {base_model}\nexperiments: [{{name: a}}, {{name: b}}]\n"
    )
    message = refusal(tmp_path, text)
    assert message.startswith(f"{tmp_path}/mine.yaml:4: defaults.base_model: ")
    assert complaint in message


@pytest.mark.parametrize(
    "base_model", ["nvidia/GR00T-N1.5-3B", "/models/mine", "~/models/mine", "/out/checkpoint-300"]
)
def test_a_base_model_in_full_is_let_through(tmp_path: Path, base_model: str) -> None:
    text = f"defaults: {{dataset: demo, trainer: isaac-gr00t, base_model: {base_model}}}\n"
    assert load(tmp_path, text + "experiments: [{name: a}]\n").experiments


def test_without_a_base_model_the_line_is_that_of_the_trainer(tmp_path: Path) -> None:
    text = "defaults:\n  dataset: demo\nexperiments:\n  - name: a\n    trainer: isaac-gr00t\n"
    assert "mine.yaml:5: experiments[0].trainer: the base model 'tiny'" in refusal(tmp_path, text)
    text = "defaults:\n  dataset: demo\n  trainer: isaac-gr00t\nexperiments:\n  - name: a\n"
    assert "mine.yaml:3: defaults.trainer: the base model 'tiny'" in refusal(tmp_path, text)


def test_all_problems_come_at_once_each_at_its_line_and_once(tmp_path: Path) -> None:
    text = """defaults:
  dataset: demo
  trainer: isaac-gr00t
  hyperparameters:
    augmentation: none
experiments:
  - name: first
    base_model: ./here
  - name: second
    base_model: /models/mine
    dataset: dem
    hyperparameters:
      lora_full_model: true
  - name: third
    trainer: native
    hyperparameters:
      frame_source: video
"""
    lines = [line.strip() for line in refusal(tmp_path, text).splitlines()]
    assert lines[0].endswith("mine.yaml: 5 problems.")
    assert [line.split(": ")[:2] for line in lines[1:]] == [
        ["line 5", "defaults.hyperparameters.augmentation"],
        ["line 8", "experiments[0].base_model"],
        ["line 11", "experiments[1].dataset"],
        ["line 13", "experiments[1].hyperparameters.lora_full_model"],
        ["line 17", "experiments[2].hyperparameters.frame_source"],
    ]


def test_a_grid_is_pointed_at_where_it_lists_the_setting(tmp_path: Path) -> None:
    text = """defaults:
  dataset: demo
  hyperparameters:
    max_steps: 3
grid:
  name: a{frame_source}
  hyperparameters:
    frame_source: [video, cache]
seeds: [1, 2]
"""
    assert "mine.yaml:8: grid.hyperparameters.frame_source: " in refusal(tmp_path, text)
