"""NVIDIA's script of N1.7 in small: driven, killed, resumed, and its checkpoints exchanged."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from gr00t_assets.core.finding import Finding
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.modality.python_config import read_python
from gr00t_assets.runs.run_directory import MODEL
from gr00t_assets.trainers.isaac_gr00t.launch_file import FOLDER, LAUNCH
from gr00t_assets_tests.trainers.conftest import train
from gr00t_assets_tests.trainers.isaac_gr00t.driving import drive, manifest_of
from gr00t_assets_tests.trainers.isaac_gr00t.launching import committed
from gr00t_assets_tests.trainers.isaac_gr00t.n17_driving import (
    check_killed_and_resumed,
    check_opens,
    variables,
)
from gr00t_assets_tests.trainers.isaac_gr00t.n17_place import N17Place, make_place

SMALL = Path(__file__).with_name("small_checkout_n17")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__")
    return committed(shutil.copytree(SMALL, tmp_path / "Isaac-GR00T", ignore=ignored))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> N17Place:
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path / "project"))
    return make_place(tmp_path / "project")


@pytest.fixture
def around(place: N17Place, checkout: Path) -> dict[str, str]:
    return variables(place, checkout, sys.executable)


@pytest.mark.parametrize("victim", [pytest.param("driver", marks=pytest.mark.cluster), "launcher"])
def test_killed_it_goes_on_as_if_it_had_not_been_and_its_model_acts(
    place: N17Place, checkout: Path, around: dict[str, str], victim: str, tmp_path: Path
) -> None:
    spec = check_killed_and_resumed(place, checkout, around, victim, tmp_path / "killed")
    check_opens(place, spec)
    launch = json.loads((spec.run_directory / FOLDER / LAUNCH).read_text())
    assert launch["arguments"]["global_batch_size"] == 2
    (file,) = (spec.run_directory / FOLDER).glob("own_*.py")
    written = read_python(file)
    assert written["action"]["left_arm"] == {"rep": "relative", "normalization": "min_max"}
    assert written["action_indices"] == list(range(8))


def test_each_trainer_goes_on_from_the_others_model(
    place: N17Place, checkout: Path, around: dict[str, str]
) -> None:
    ours = place.spec("native", max_steps=2, augmentation="none")
    assert train(ours).returncode == 0
    model = ours.run_directory / MODEL
    shutil.copytree(place.base / "backbone", model / "backbone")
    theirs = place.spec(base_model=model, max_steps=2)
    outcome = drive(theirs, checkout, **around)
    assert outcome.code == 0, outcome.output
    again = place.spec("native", base_model=theirs.run_directory / MODEL, max_steps=1)
    assert train(again).returncode == 0


def test_a_tag_that_the_checkout_has_is_registered_anew(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path / "libero"))
    place = make_place(tmp_path / "libero", "libero_sim")
    spec = place.spec(max_steps=1)
    outcome = drive(spec, checkout, **variables(place, checkout, sys.executable))
    assert outcome.code == 0, outcome.output


def test_a_commit_whose_script_cannot_resume_is_refused(
    place: N17Place, checkout: Path, around: dict[str, str]
) -> None:
    config = checkout / "gr00t" / "configs" / "finetune_config.py"
    line = "    resume_from_checkpoint: bool = False\n"
    config.write_text(config.read_text().replace(line, ""))
    spec = place.spec(max_steps=1)
    outcome = drive(spec, checkout, **around)
    assert outcome.code == 1
    assert "launch_finetune.py has no resume_from_checkpoint" in (manifest_of(spec).failure or "")


def test_another_processor_of_the_base_model_is_refused(
    place: N17Place, checkout: Path, around: dict[str, str]
) -> None:
    file = place.base / "processor_config.json"
    file.write_text(file.read_text().replace('"use_percentiles": true', '"use_percentiles": false'))
    outcome = drive(place.spec(), checkout, **around)
    assert "use_percentiles: True is asked for, the processor has False" in outcome.output


@pytest.mark.parametrize(
    ("settings", "subject"),
    [
        ({"frame_source": "video"}, "frame_source"),
        ({"lora_rank": 4}, "lora_rank"),
        ({"augmentation": "none"}, "augmentation"),
        ({"base_model": "nvidia/GR00T-N1.5-3B"}, "dataset"),
    ],
)
def test_what_the_script_does_not_take_is_named(
    place: N17Place, settings: dict[str, Any], subject: str
) -> None:
    (place.root / "data" / "datasets.yaml").write_text(
        "small:\n  description: small\n  data_config: arms_n17\n"
        "  source: {kind: folder, path: small}\n"
    )
    limits: list[Finding] = trainer_named("isaac-gr00t").limits(place.spec(**settings).experiment)
    assert [limit.subject for limit in limits] == [subject]
