"""The command that a person runs by hand equals the journal's, and says what it cannot say."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.datasets.catalog import CatalogEntry, load_catalog
from gr00t_assets.datasets.source_kinds import FolderSource
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.registry import combined_hyperparameters
from gr00t_assets.experiments.sweeps import find_experiment, load_sweeps
from gr00t_assets.trainers.isaac_gr00t.environment import CHECKOUT, PYTHON
from gr00t_assets.trainers.isaac_gr00t.script_interface import (
    RELEASE,
    ScriptInterface,
    number,
    read_interface,
)
from gr00t_assets.trainers.isaac_gr00t.shell_command import (
    Paths,
    ShellCommand,
    command_of_experiment,
    shell_command,
)
from gr00t_assets_tests.comparison.run_factory import store_with_data
from gr00t_assets_tests.trainers.isaac_gr00t.command_texts import JOURNAL, LATER_SCRIPT

ROOT = Path(__file__).resolve().parents[3]

PATHS = Paths(python="python", script="gr00t_finetune.py", datasets=("data",), output="out")


def journal_command(title: str) -> list[str]:
    block = re.search(rf"### {title}.*?```bash\n(.*?)```", JOURNAL, re.DOTALL)
    assert block
    return shlex.split(block[1].replace("\\\n", " "))


def flags(words: list[str]) -> dict[str, str | None]:
    """Each flag with its value, or None of a switch."""
    found: dict[str, str | None] = {}
    for word, following in zip(words, [*words[1:], "--"], strict=True):
        if word.startswith("--"):
            assert word not in found
            found[word] = None if following.startswith("--") else following
    return found


def printed(command: ShellCommand) -> dict[str, str | None]:
    return flags([word for flag in command.flags for word in flag])


def make(
    dataset: dict[str, Any] | None = None,
    interface: ScriptInterface = RELEASE,
    mended: bool | None = None,
    paths: Paths = PATHS,
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
    return shell_command(experiment, [entry], interface, paths, mended)


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The checked-in project, with an empty store and no checkout of Isaac-GR00T."""
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(ROOT))
    monkeypatch.setenv("GR00T_ASSETS_STORE", str(tmp_path / "store"))
    monkeypatch.setenv(CHECKOUT, str(tmp_path / "checkout"))
    monkeypatch.setenv(PYTHON, str(tmp_path / "python"))
    return tmp_path


@pytest.fixture
def later(tmp_path: Path) -> ScriptInterface:
    script = tmp_path / "gr00t_finetune.py"
    script.write_text(LATER_SCRIPT)
    return read_interface(script)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("title", "experiment"),
    [
        ("Our Demo Script", "overfit_demo"),
        ("Our Long Script", "overfit_long"),
        ("Blog Post", "blog_exact"),
    ],
)
def test_it_equals_the_journals_command_flag_for_flag(title: str, experiment: str) -> None:
    expected = journal_command(title)
    theirs = flags(expected)
    command = command_of_experiment(
        experiment,
        script=expected[1],
        dataset_path=[str(theirs["--dataset-path"])],
        output_dir=theirs["--output-dir"],
    )
    assert list(command.program) == expected[:2]
    assert printed(command) == theirs
    if title != "Blog Post":
        assert list(printed(command)) == list(theirs)
    assert len(command.notes) == 1 and "frame cache" in command.notes[0]


@pytest.mark.usefixtures("project")
def test_the_tag_is_printed_where_the_catalog_has_another_than_the_script() -> None:
    catalog = load_catalog()
    sweeps = load_sweeps()
    for name, tag in (("demo-overfit", "gr1"), ("overfit_demo", None), ("so101-full", None)):
        experiment = find_experiment(name, sweeps)
        command = shell_command(experiment, [catalog[experiment.dataset_name]], RELEASE, PATHS)
        assert printed(command).get("--embodiment-tag") == tag


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
    [([3, 7], "keeps episode(s) 3, 7"), (0.1, "keeps the last 10% of the episodes"), (None, None)],
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
    paths = Paths(python="printf", script="%s\\n", datasets=("it's a $HOME",), output='a "b" & c')
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


def test_everything_that_this_machine_does_not_tell_is_named_at_once(project: Path) -> None:
    with pytest.raises(TrainingError) as caught:
        command_of_experiment("overfit_demo")
    message = str(caught.value)
    assert f"--script: there is no checkout at {project / 'checkout'}" in message
    assert "--dataset-path, --output-dir: robot_sim.PickNPlace-untagged" in message


def test_paths_are_those_of_the_checkout_and_the_store(project: Path) -> None:
    script = project / "checkout" / "scripts" / "gr00t_finetune.py"
    script.parent.mkdir(parents=True)
    script.write_text(LATER_SCRIPT)
    (project / "python").symlink_to("/bin/sh")
    experiment = find_experiment("overfit_demo", load_sweeps())
    store = store_with_data(project / "store", experiment.dataset_name)
    command = command_of_experiment("overfit_demo")
    flags = printed(command)
    assert command.program == (str(project / "python"), str(script))
    assert Path(flags["--dataset-path"] or "").parent == store.root / "datasets" / (
        "robot_sim.PickNPlace-untagged"
    )
    output = Path(flags["--output-dir"] or "")
    assert output.name == "checkpoints"
    assert output.parents[1] == store.root / "runs" / "overfit_demo"
    assert command.notes[-1].startswith("output_dir: this is the platform's own folder")
    assert flags["--report-to"] == "wandb"


@pytest.mark.usefixtures("project")
def test_an_experiment_of_another_trainer_has_no_such_command() -> None:
    with pytest.raises(TrainingError, match="its trainer is native"):
        command_of_experiment("demo-b1-lr1e-3", "s", ["d"], "o")


@pytest.mark.usefixtures("project")
def test_the_command_line_prints_it_for_a_shell_and_refuses_with_one_message() -> None:
    cli = [
        sys.executable,
        "-c",
        "from gr00t_assets.cli.main import main; main()",
        "isaac",
        "command",
    ]
    paths = ["--script", "s.py", "--dataset-path", "my data", "--output-dir", "out"]
    done = subprocess.run(
        [*cli, "blog_exact", *paths, "--one-line"], capture_output=True, text=True, check=True
    )
    *notes, line = done.stdout.splitlines()
    assert shlex.split(line)[:4] == ["python", "s.py", "--dataset-path", "my data"]
    assert notes and all(note.startswith("# ") for note in notes)
    refused = subprocess.run([*cli, "blog_exactt", *paths], capture_output=True, text=True)
    assert refused.returncode == 1
    assert "did you mean 'blog_exact'?" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("content", ["class Other:\n    x: int = 1\n", "class (", None])
def test_another_script_is_refused(tmp_path: Path, content: str | None) -> None:
    script = tmp_path / "gr00t_finetune.py"
    if content is not None:
        script.write_text(content)
    with pytest.raises(TrainingError, match=r"gr00t_finetune\.py"):
        read_interface(script)
