"""The command of an experiment equals the journal's, and has the paths of this machine."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.datasets.catalog import load_catalog
from gr00t_assets.trainers.isaac_gr00t.environment import CHECKOUT, PYTHON
from gr00t_assets.trainers.isaac_gr00t.script_interface import RELEASE
from gr00t_assets.trainers.isaac_gr00t.shell_command import command_of_experiment, shell_command
from gr00t_assets_tests.comparison.run_factory import store_with_data
from gr00t_assets_tests.experiments.sweep_texts import load_sweeps
from gr00t_assets_tests.trainers.isaac_gr00t.command_texts import (
    JOURNAL,
    LATER_SCRIPT,
    flags,
    printed,
)

ROOT = Path(__file__).resolve().parents[3]


def journal_command(title: str) -> list[str]:
    block = re.search(rf"### {title}.*?```bash\n(.*?)```", JOURNAL, re.DOTALL)
    assert block
    return shlex.split(block[1].replace("\\\n", " "))


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The checked-in project, with an empty store and no checkout of Isaac-GR00T."""
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(ROOT))
    monkeypatch.setenv("GR00T_ASSETS_EXAMPLES", "1")
    monkeypatch.setenv("GR00T_ASSETS_STORE", str(tmp_path / "store"))
    monkeypatch.setenv(CHECKOUT, str(tmp_path / "checkout"))
    monkeypatch.setenv(PYTHON, str(tmp_path / "python"))
    return tmp_path


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
    experiments = load_sweeps().experiments
    for name, tag in (("demo-overfit", "gr1"), ("overfit_demo", None), ("so101-full", None)):
        experiment = experiments[name]
        command = shell_command(
            experiment,
            [catalog[experiment.dataset_name]],
            RELEASE,
            ("python", "s.py"),
            ("data",),
            "out",
        )
        assert printed(command).get("--embodiment-tag") == tag


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
    experiment = load_sweeps().experiments["overfit_demo"]
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
        command_of_experiment("demo-lr1e-3-seed1", "s", ["d"], "o")


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
