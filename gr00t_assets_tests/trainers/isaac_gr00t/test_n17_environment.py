"""What differs for N1.7 before anything is trained: environment, its check, and the command."""

import shlex
import shutil
import sys
from pathlib import Path

import pytest

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.project import Store
from gr00t_assets.trainers.isaac_gr00t.doctor.doctor import examine
from gr00t_assets.trainers.isaac_gr00t.environment import N15, N17, IsaacEnvironment
from gr00t_assets.trainers.isaac_gr00t.n17_launch import n17_flags
from gr00t_assets.trainers.isaac_gr00t.setup.setup import Setup
from gr00t_assets.trainers.isaac_gr00t.setup.setup_steps import SetupError, SetupOptions
from gr00t_assets.trainers.isaac_gr00t.shell_command import command_of_experiment
from gr00t_assets_tests.trainers.isaac_gr00t.environments import commit_all, program
from gr00t_assets_tests.trainers.isaac_gr00t.n17_place import make_place

SMALL = Path(__file__).with_name("small_checkout_n17")


def options(flash_attention: bool = True) -> SetupOptions:
    return SetupOptions(N17.pinned, "file:///origin", Path(sys.executable), flash_attention)


def test_its_setup_needs_uv_which_reads_where_packages_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    with pytest.raises(SetupError, match="packages come from where pip does not look"):
        Setup(tmp_path / "isaac", options(), N17)
    program(tmp_path / "programs", "uv", "true")
    with pytest.raises(SetupError, match="it cannot be left out"):
        Setup(tmp_path / "isaac", options(flash_attention=False), N17)
    steps = Setup(tmp_path / "isaac", options(), N17).pending
    assert [step.name for step in steps] == ["clone", "commit", "environment", "packages"]
    assert f"--detach {N17.pinned}" in steps[1].lines()[0]
    assert steps[3].lines()[0].endswith(f"-e {tmp_path / 'isaac' / 'Isaac-GR00T'}")
    (tmp_path / "isaac" / ".venv").mkdir(parents=True)
    with pytest.raises(SetupError, match="GR00T_ASSETS_ISAAC_N17_CHECKOUT and GR00T_ASSETS_ISA"):
        Setup(tmp_path / "isaac", options(), N17)


def test_its_checkout_is_known_by_its_script_and_looked_at_with_its_pins(tmp_path: Path) -> None:
    checkout = shutil.copytree(SMALL, tmp_path / "Isaac-GR00T")
    commit_all(checkout, "small")
    environment = IsaacEnvironment.in_directory(tmp_path)
    assert environment.generation is N17
    findings = examine(environment, gpu=False, store=Store(tmp_path / "store")).findings
    texts = {finding.code: finding for finding in findings}
    assert texts["checkout"].severity == "ok"
    assert "such as 65cc4a1" in (texts["commit"].expected or "")
    assert "resume" not in texts and "pytorch3d" not in texts and "decord" not in texts
    assert "--generation n1.7" in (texts["python"].remedy or "")
    (tmp_path / "empty").mkdir()
    assert IsaacEnvironment.in_directory(tmp_path / "empty").generation is N15


def test_the_command_by_hand_has_nvidias_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path / "project"))
    place = make_place(tmp_path / "project")
    spec = place.spec(num_gpus=2, seed=7)
    flags, notes = n17_flags(spec, tmp_path, ("/a", "/b"), "/out")
    line = shlex.join(part for flag in flags for part in flag)
    assert "--global-batch-size 4" in line and "--dataset-path /a:/b" in line
    assert f"--modality-config-path {tmp_path}/own_arms_n17.py" in line
    assert "--color-jitter-params brightness 0.3 contrast 0.4" in line
    assert "--no-use-wandb" in line and "--embodiment-tag new_embodiment" in line
    assert any(note.startswith("seed 7: the script cannot be told") for note in notes)
    assert any(note.startswith("adam_beta1 0.95") for note in notes)
    with pytest.raises(TrainingError, match="a colon for the end of a folder's name"):
        n17_flags(spec, tmp_path, ("/a:b",), "/out")


def test_the_command_by_hand_says_what_the_script_does_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "project" / "data"
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(data.parent))
    place = make_place(data.parent)
    monkeypatch.setenv("GR00T_ASSETS_STORE", str(place.store.root))
    (data / "datasets.yaml").write_text(
        "small:\n  description: small\n  data_config: arms_n17\n  held_out: [1]\n"
        "  source: {kind: folder, path: small}\n"
    )
    (data / "sweeps").mkdir()
    (data / "sweeps" / "hand.yaml").write_text(
        "description: by hand\ndefaults: {dataset: small, trainer: isaac-gr00t}\nexperiments:\n"
        "  - {name: folder, hypothesis: x, base_model: ~/models/mine}\n"
        "  - {name: hub, hypothesis: x, base_model: me/mine, base_model_revision: abc}\n"
    )
    folder = command_of_experiment("folder", script="launch_finetune.py", output_dir="/out")
    assert ("--base-model-path", str(Path.home() / "models/mine")) in folder.flags
    hub = command_of_experiment("hub", script="launch_finetune.py")
    said = {note.split(":")[0] for note in hub.notes}
    assert said >= {"held_out", "base_model_revision abc", "output_dir"}
