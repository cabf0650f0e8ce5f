"""The command that a person runs by hand, and what it says that it cannot say."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.source_kinds import FolderSource
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.registry import combined_hyperparameters
from gr00t_assets.trainers.isaac_gr00t.script_interface import (
    RELEASE,
    ScriptInterface,
    number,
    read_interface,
)
from gr00t_assets.trainers.isaac_gr00t.shell_command import ShellCommand, shell_command
from gr00t_assets_tests.trainers.isaac_gr00t.command_texts import LATER_SCRIPT, printed

PATHS = (("python", "gr00t_finetune.py"), ("data",), "out")


def make(
    dataset: dict[str, Any] | None = None,
    interface: ScriptInterface = RELEASE,
    mended: bool | None = None,
    paths: tuple[tuple[str, str], tuple[str, ...], str] = PATHS,
    base_model: str = "nvidia/GR00T-N1.5-3B",
    revision: str | None = None,
    fields: dict[str, Any] | None = None,
    **hyperparameters: Any,
) -> ShellCommand:
    entry = CatalogEntry(
        name="demo",
        description="x",
        source=FolderSource(path="."),
        data_config="fourier_gr1_arms_only",
        **(dataset or {}),
    )
    experiment = Experiment(
        name="one",
        sweep="s",
        dataset="demo",
        trainer="isaac-gr00t",
        base_model=base_model,
        base_model_revision=revision,
        hyperparameters=combined_hyperparameters().model_validate(hyperparameters),
        **(fields or {}),
    )
    interface = replace(interface, torchvision_av_fixed=mended)
    return shell_command(experiment, [entry], interface, *paths)


@pytest.fixture
def later(tmp_path: Path) -> ScriptInterface:
    script = tmp_path / "gr00t_finetune.py"
    script.write_text(LATER_SCRIPT)
    return read_interface(script)


def test_what_neither_the_file_states_nor_the_script_lacks_is_left_out() -> None:
    assert printed(make(batch_size=32)) == {
        "--dataset-path": "data",
        "--output-dir": "out",
        "--data-config": "fourier_gr1_arms_only",
        "--batch-size": "32",
    }


def test_switches_have_no_values() -> None:
    flags = printed(
        make(
            tune_projector=False,
            lora_rank=8,
            lora_dropout=0.05,
            lora_full_model=True,
            balance_dataset_weights=False,
            balance_trajectory_weights=True,
        )
    )
    assert flags["--no-tune-projector"] is None
    assert flags["--lora-full-model"] is None
    assert flags["--no-balance-dataset-weights"] is None
    assert flags["--balance-trajectory-weights"] is None
    assert (flags["--lora-rank"], flags["--lora-dropout"]) == ("8", "0.05")


def test_another_commits_defaults_are_read_from_its_script(later: ScriptInterface) -> None:
    command = make(interface=later, gradient_accumulation_steps=4)
    flags = printed(command)
    assert flags["--dataloader-num-workers"] == "8"
    assert flags["--video-backend"] == "decord"
    assert flags["--gradient-accumulation-steps"] == "4"
    assert "save_total_limit 8: the script cannot be told and takes 5." in command.notes
    assert not any("adam_beta1" in note for note in command.notes)
    assert any(
        note.startswith("adam_beta2") for note in make(interface=later, adam_beta2=0.9).notes
    )


def test_what_the_script_cannot_be_told_is_said() -> None:
    command = make(
        lr_scheduler_type="constant",
        seed=7,
        logging_steps=10,
        save_total_limit=3,
        gradient_accumulation_steps=2,
        max_grad_norm=0.5,
        adam_epsilon=1e-6,
        video_backend="torchcodec",
        fields={"report_to": "none"},
    )
    note_of = {note.split()[0]: note for note in command.notes}
    assert set(note_of) == {
        "frames:",
        "video_backend",
        "report_to",
        "lr_scheduler_type",
        "seed",
        "gradient_accumulation_steps",
        "adam_epsilon",
        "max_grad_norm",
        "save_total_limit",
    }
    assert note_of["lr_scheduler_type"].endswith("cannot be told and takes cosine.")
    assert note_of["seed"].startswith("seed 7") and "takes 42" in note_of["seed"]
    assert "takes decord or torchvision_av" in note_of["video_backend"]
    assert "with decord" in note_of["frames:"]
    assert "WANDB_MODE=disabled" in note_of["report_to"]
    assert not {"--video-backend", "--report-to", "--seed"} & set(printed(command))


def test_settings_that_the_script_has_anyway_need_no_word() -> None:
    command = make(lr_scheduler_type="cosine", seed=42, logging_steps=10, frame_source="video")
    assert command.notes == ()


@pytest.mark.parametrize(
    ("mended", "source", "said"),
    [
        (True, "video", None),
        (True, "cache", "with torchvision_av."),
        (False, "video", "which at this commit returns the key frame"),
        (None, "cache", "which in Isaac-GR00T before cdf6d6e of 2025-09-18 returns the key frame"),
    ],
)
def test_wrong_frames_are_said(mended: bool | None, source: str, said: str | None) -> None:
    command = make(video_backend="torchvision_av", frame_source=source, mended=mended)
    assert (said is None and not command.notes) or (said and said in command.notes[0])


@pytest.mark.parametrize(
    ("held_out", "said"),
    [
        ([3, 7], "keeps episode(s) 3, 7"),
        (0.1, "keeps the last 10% of the episodes"),
        (0.125, "keeps the last 12.5% of the episodes"),
        (None, None),
    ],
)
def test_held_out_episodes_are_said(held_out: Any, said: str | None) -> None:
    notes = " ".join(make({"held_out": held_out}).notes)
    assert ("held_out" in notes) == (said is not None)
    assert said is None or said in notes


def test_a_continued_experiment_says_that_the_script_begins_anew() -> None:
    command = make(fields={"continue_from": "shorter", "continued_steps": (5,)}, max_steps=9)
    (note,) = [note for note in command.notes if note.startswith("continue_from shorter")]
    assert "begins anew" in note and "--resume" in note
    assert "--resume" not in printed(command)


def test_a_base_model_is_named_so_that_the_script_finds_it() -> None:
    folder = make(base_model="~/models/mine", revision="abc")
    assert printed(folder)["--base-model-path"] == str(Path.home() / "models/mine")
    assert not any("revision" in note for note in folder.notes)
    hub = make(base_model="owner/other", revision="abc")
    assert printed(hub)["--base-model-path"] == "owner/other"
    assert any(note.startswith("base_model_revision abc") for note in hub.notes)


@pytest.mark.parametrize("one_line", [False, True])
def test_a_shell_reads_it_as_it_was_meant(one_line: bool) -> None:
    paths = (("printf", "%s\\n"), ("it's a $HOME",), 'a "b" & c')
    command = make({"held_out": [1]}, paths=paths, seed=1)
    text = command.text(one_line)
    shell = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True)
    assert shell.stdout.splitlines() == [word for flag in command.flags for word in flag]
    lines = text.splitlines()
    assert all(len(line) <= 100 for line in lines if line.startswith("#"))
    assert len([line for line in lines if not line.startswith("#")]) == (
        1 if one_line else 1 + len(command.flags)
    )


@given(st.floats(min_value=-1e6, max_value=1e6))
def test_numbers_are_exact(value: float) -> None:
    assert float(number(value)) == value


@pytest.mark.parametrize("content", ["class Other:\n    x: int = 1\n", "class (", None])
def test_another_script_is_refused(tmp_path: Path, content: str | None) -> None:
    script = tmp_path / "gr00t_finetune.py"
    if content is not None:
        script.write_text(content)
    with pytest.raises(TrainingError, match=r"gr00t_finetune\.py"):
        read_interface(script)
