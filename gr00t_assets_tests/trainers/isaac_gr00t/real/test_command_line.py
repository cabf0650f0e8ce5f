"""The printed commands, parsed by the real tyro into the real script's arguments."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import CatalogEntry, load_catalog
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.registry import combined_hyperparameters
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.isaac_gr00t.launch_file import script_arguments
from gr00t_assets.trainers.isaac_gr00t.script_interface import (
    RELEASE,
    TRANSFORMERS_DEFAULTS,
    read_interface,
)
from gr00t_assets.trainers.isaac_gr00t.shell_command import shell_command
from gr00t_assets_tests.comparison.run_factory import modality
from gr00t_assets_tests.experiments.sweep_texts import load_sweeps
from gr00t_assets_tests.trainers.isaac_gr00t.real.conftest import Isaac

DATA = Path(__file__).resolve().parents[4] / "data" / "examples"
CATALOG = load_catalog(DATA / "datasets.yaml")

EVERYTHING = {
    "batch_size": 3,
    "max_steps": 7,
    "num_gpus": 2,
    "save_steps": 5,
    "learning_rate": 1.2345678e-7,
    "weight_decay": 0.25,
    "warmup_ratio": 0.009,
    "tune_llm": True,
    "tune_visual": True,
    "tune_projector": False,
    "tune_diffusion_model": False,
    "lora_rank": 4,
    "lora_alpha": 8,
    "lora_dropout": 0.0,
    "lora_full_model": True,
    "dataloader_num_workers": 0,
    "video_backend": "torchvision_av",
    "balance_dataset_weights": False,
    "balance_trajectory_weights": False,
}


def experiments() -> list[Experiment]:
    """Every checked-in experiment of this trainer, and one where every argument is another."""
    sweeps = load_sweeps(DATA / "sweeps", CATALOG).values()
    found = [item for sweep in sweeps for item in sweep.experiments]
    other = Experiment(
        name="other",
        sweep="s",
        dataset="robot_sim.PickNPlace",
        trainer="isaac-gr00t",
        base_model="/models/mine",
        hyperparameters=combined_hyperparameters().model_validate(EVERYTHING),
    )
    return [*(item for item in found if item.trainer == "isaac-gr00t"), other]


def spec_of(experiment: Experiment, entry: CatalogEntry, store: Store) -> TrainingSpec:
    config = modality(entry.name).model_copy(
        update={"data_config": entry.data_config, "embodiment_tag": entry.embodiment_tag}
    )
    config_hash = experiment.config_hash(config.dataset_version, config.content_hash())
    return TrainingSpec(
        store=str(store.root),
        experiment=experiment,
        modality_config=config,
        config_hash=config_hash,
    )


@pytest.fixture(scope="session")
def answered(isaac: Isaac, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the platform passes for each experiment, and what the printed command parses to."""
    folder = tmp_path_factory.mktemp("commands with a space")
    interface = read_interface(isaac.script)
    passed, words = [], []
    for experiment in experiments():
        entry = CATALOG[experiment.dataset_name]
        spec = spec_of(experiment, entry, Store(folder / "store"))
        program, data = ("python", str(isaac.script)), (str(spec.datasets[0].directory),)
        command = shell_command(experiment, [entry], interface, program, data, str(folder / "out"))
        line = command.text(one_line=True).splitlines()[-1]
        words.append(shlex.split(line)[2:])
        passed.append(script_arguments(spec, Path(experiment.base_model), folder / "out"))
    (folder / "commands.json").write_text(json.dumps(words))
    answer = isaac.program("parse_command", isaac.script, folder / "commands.json")
    return {**answer, "passed": passed}


def test_each_command_trains_with_what_the_platform_passes(answered: dict[str, Any]) -> None:
    assert len(answered["parsed"]) == len(experiments()) >= 16
    for experiment, passed, parsed in zip(
        experiments(), answered["passed"], answered["parsed"], strict=True
    ):
        assert {name: parsed[name] for name in passed} == passed, experiment.name
        assert parsed["report_to"] == "wandb"
        assert parsed["resume"] is False
        assert parsed.get("gradient_accumulation_steps", 1) == 1


def test_transformers_defaults_are_those_that_are_taken_for_granted(
    answered: dict[str, Any],
) -> None:
    defaults = {name: answered["defaults"][name] for name in TRANSFORMERS_DEFAULTS}
    assert defaults.pop("lr_scheduler_type") in ("linear", "SchedulerType.LINEAR")
    assert defaults == {
        name: value for name, value in TRANSFORMERS_DEFAULTS.items() if name != "lr_scheduler_type"
    }


def test_the_release_has_the_arguments_that_stand_in_for_a_checkout(isaac: Isaac) -> None:
    interface = read_interface(isaac.script)
    if isaac.drops_future_tokens:
        assert interface == RELEASE
    else:
        assert interface.defaults["dataloader_num_workers"] == 12
        assert interface.defaults["video_backend"] == "torchcodec"
        assert interface.fixed["save_total_limit"] == 5
        assert interface.takes("gradient_accumulation_steps", 2)
