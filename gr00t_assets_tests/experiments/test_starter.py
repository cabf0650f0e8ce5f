"""``gr00t-assets sweep new`` in a project of its own."""

import errno
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gr00t_assets.core.errors import CatalogError, SweepError
from gr00t_assets.core.files import create_file
from gr00t_assets.experiments.new_sweep import generations_sweep, new_sweep
from gr00t_assets.experiments.sweeps import load_sweep
from gr00t_assets_tests.experiments.sweep_texts import load_sweeps

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the checked-in catalogs in one and the sweep ``demo``."""
    (tmp_path / "data" / "sweeps").mkdir(parents=True)
    catalogs = [CHECKOUT / "data" / folder / "datasets.yaml" for folder in ("", "examples")]
    (tmp_path / "data" / "datasets.yaml").write_text("".join(map(Path.read_text, catalogs)))
    shutil.copytree(CHECKOUT / "data" / "data_configs", tmp_path / "data" / "data_configs")
    shutil.copy(CHECKOUT / "data" / "sweeps" / "demo.yaml", tmp_path / "data" / "sweeps")
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("trainer", [None, "native", "isaac-gr00t"])
def test_a_new_file_loads_as_it_is_and_with_every_line_that_waits_in_it(
    project: Path, trainer: str | None
) -> None:
    made = new_sweep("mine", trainer=trainer)
    assert load_sweeps()["mine"] == made
    assert {item.trainer for item in made.experiments} == {trainer or "native"}
    assert all(item.hypothesis for item in made.experiments)
    settings = [item.hyperparameters.model_dump_json() for item in made.experiments]
    assert len(set(settings)) == len(settings), "nothing is trained twice"
    text = re.sub(r"^( *)#(?=\S|  )", r"\1", made.file.read_text(), flags=re.MULTILINE)
    file = project / "everything.yaml"
    file.write_text(text)
    every = load_sweep(file, ["synthetic-pick-n-place"])
    assert (every.schedule, every.time_zone) == ("0 20 * * *", "Europe/Berlin")
    assert every.max_retries == 3
    assert len(every.experiments) == 3 * (5 + 8)
    assert every.experiments[0].priority == 10
    assert every.experiments[0].vram_gb
    assert max(map(len, text.splitlines())) <= 100


def test_the_catalogs_names_are_offered_and_one_is_taken(project: Path) -> None:
    made = new_sweep("mine", dataset="so101-table-cleanup")
    assert made.datasets == ("so101-table-cleanup",)
    assert "robot_sim.PickNPlace-untagged" in made.file.read_text()


def test_a_file_whose_writing_ends_half_way_is_not_there(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        new_sweep("mine")
    assert [path.name for path in (project / "data" / "sweeps").iterdir()] == ["demo.yaml"]


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
def test_of_two_that_make_a_file_at_once_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refused(source: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr("os.link", refused)
    assert create_file(tmp_path / "new" / "a", "first")
    assert not create_file(tmp_path / "new" / "a", "second")
    (file,) = (tmp_path / "new").iterdir()
    assert file.read_text() == "first"


def test_a_file_that_is_there_stays_as_it_was(project: Path) -> None:
    before = (project / "data" / "sweeps" / "demo.yaml").read_bytes()
    with pytest.raises(SweepError, match="there already"):
        new_sweep("demo")
    assert (project / "data" / "sweeps" / "demo.yaml").read_bytes() == before


@pytest.mark.parametrize("name", ["", "a b", "../up", ".hidden", "a..b", "mine.yaml"])
def test_a_bad_name_is_refused_and_nothing_is_written(project: Path, name: str) -> None:
    with pytest.raises(SweepError):
        new_sweep(name)
    files = [path.name for path in project.rglob("*") if path.is_file()]
    assert sorted(files) == [
        "datasets.yaml",
        "demo.yaml",
        "so101_wrist.yaml",
        "so101_wrist_n17.yaml",
    ]


def test_unknown_names_are_answered_with_the_nearest(project: Path) -> None:
    with pytest.raises(CatalogError, match="did you mean 'so101-table-cleanup'"):
        new_sweep("mine", dataset="so101-table")
    with pytest.raises(SweepError, match="did you mean 'isaac-gr00t'"):
        new_sweep("mine", trainer="isaac")
    with pytest.raises(SweepError, match="did you mean 'demo'"):
        new_sweep("mine", source="dem")
    assert list(load_sweeps()) == ["demo"]


def test_names_that_another_sweep_has_are_refused(project: Path) -> None:
    text = "defaults: {dataset: synthetic-pick-n-place}\nexperiments: [{name: mine-baseline}]\n"
    (project / "data" / "sweeps" / "other.yaml").write_text(text)
    with pytest.raises(SweepError, match="'mine-baseline' is already one of other"):
        new_sweep("mine")
    assert not (project / "data" / "sweeps" / "mine.yaml").exists()


def test_a_copy_has_other_names_and_no_schedule(project: Path) -> None:
    (project / "data" / "sweeps" / "old.yaml").write_text(
        "schedule: 0 20 * * *\ntags: [old, kept]\ndefaults: {dataset: synthetic-pick-n-place}\n"
        "experiments:\n  - {name: first, hyperparameters: {learning_rate: 1e-3}}\n"
        "  - {name: old-longer, continue_from: first, hyperparameters: {max_steps: 20000}}\n"
        "grid: {name: 'old-{seed}', hypotheses: {old-1: one}, hyperparameters: {seed: [1]}}\n"
    )
    made = new_sweep("new", source="old", dataset="robot_sim.PickNPlace")
    assert [item.name for item in made.experiments] == ["new-first", "new-longer", "new-1"]
    assert made.experiments[1].continue_from == "new-first"
    assert made.experiments[2].hypothesis == "one"
    assert made.experiments[0].tags == ("new", "kept")
    assert made.schedule is None
    assert made.datasets == ("robot_sim.PickNPlace",)
    assert '#schedule: "0 20 * * *"' in made.file.read_text()


def test_a_copy_that_the_other_trainer_does_not_take_is_not_written(project: Path) -> None:
    with pytest.raises(SweepError, match=r"(?s)the new mine\.yaml:.*always augments") as caught:
        new_sweep("mine", source="demo", trainer="isaac-gr00t")
    assert "nothing was written" in str(caught.value)
    assert list(load_sweeps()) == ["demo"]


def test_the_command_says_what_it_wrote(project: Path) -> None:
    command = [
        sys.executable,
        "-c",
        "from gr00t_assets.cli.main import main; main()",
        "sweep",
        "new",
    ]
    made = subprocess.run([*command, "mine"], capture_output=True, text=True, check=False)
    assert made.stdout.startswith("written: data/sweeps/mine.yaml, 5 experiments"), made.stderr
    again = subprocess.run([*command, "mine"], capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "there already" in again.stderr


def test_two_generations_are_one_sweep(project: Path) -> None:
    made = generations_sweep("gens", "so101-pick-n1.7", "so101-pick")
    pairs = {(item.dataset, item.base_model) for item in made.experiments}
    assert pairs == {("so101-pick", "tiny"), ("so101-pick-n1.7", "tiny-n1.7")}
    assert len(made.experiments) == 6 and load_sweeps()["gens"] == made
    with pytest.raises(SweepError, match="so101-pick and so101-pick are of one generation"):
        generations_sweep("more", "so101-pick", "so101-pick")
    assert not (project / "data" / "sweeps" / "more.yaml").exists()
