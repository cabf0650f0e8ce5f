"""What is shown of an evaluation: figures, images, sentences, and the command line."""

import io
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from gr00t_assets.evaluation.result import Evaluation, load_evaluation
from gr00t_assets.evaluation.wording import verdict_sentence
from gr00t_assets.evaluation.worker import EVALUATED_ALREADY
from gr00t_assets.reporting.images import horizon_png, horizon_svg, trajectories_png
from gr00t_assets.runs.checkpoint_choice import EVALUATION
from gr00t_assets.runs.model_reference import find_run
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets_tests.trainers.conftest import environment


def test_images_can_be_opened_and_are_small(evaluated: Evaluation) -> None:
    for png in (horizon_png(evaluated), trajectories_png(evaluated, evaluated.main.part)):
        image = Image.open(io.BytesIO(png))
        image.verify()
        assert image.width >= 800 and len(png) < 400_000
    assert len(horizon_svg(evaluated)) < 920


def test_the_file_is_small_enough_for_two_thousand_of_them(
    evaluated: Evaluation, trained: TrainingSpec
) -> None:
    assert (trained.run_directory / EVALUATION).stat().st_size < 150_000


def test_the_verdict_names_the_part_and_both_rules(evaluated: Evaluation) -> None:
    told = verdict_sentence(evaluated)
    assert "on held-out episodes" in told
    for rule in evaluated.main.baselines:
        assert rule.words in told


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "gr00t_assets.cli.main", "evaluate", *arguments]


def test_the_command_prints_json_and_does_nothing_twice(
    evaluated: Evaluation, trained: TrainingSpec
) -> None:
    run = str(trained.run_directory)
    arguments = ("--draws", "2", "--stride", "20", "--json")
    outcomes = [
        subprocess.run(
            command(run, *arguments), env=environment(), capture_output=True, text=True, check=True
        )
        for _ in range(2)
    ]
    assert EVALUATED_ALREADY not in outcomes[0].stderr and EVALUATED_ALREADY in outcomes[1].stderr
    assert outcomes[0].stdout == outcomes[1].stdout
    found = Evaluation.model_validate_json(outcomes[0].stdout)
    assert (found.seen.stride, found.settings.draws) == (20, 2)
    assert found == load_evaluation(trained.run_directory)
    assert find_run(run) == trained.run_directory


def test_a_name_that_nobody_knows_ends_with_one_message(tmp_path: Path) -> None:
    for name, words in (
        (str(tmp_path), "no weights that can be opened"),
        ("nobody", "no sweep has"),
    ):
        outcome = subprocess.run(command(name), env=environment(), capture_output=True, text=True)
        assert outcome.returncode == 1
        assert words in outcome.stderr and "Traceback" not in outcome.stderr


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_kill_leaves_no_half_file(trained: TrainingSpec, tmp_path: Path, number: int) -> None:
    import shutil

    root = shutil.copytree(Path(trained.store), tmp_path / "store")
    run = root / trained.run_directory.relative_to(trained.store)
    (run / EVALUATION).unlink(missing_ok=True)
    before = sorted(path.name for path in run.iterdir())
    process = subprocess.Popen(
        command(str(run), "--stride", "1", "--draws", "50"),
        env={**environment(), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    assert any("held out" in line for line in process.stdout)
    time.sleep(0.5)
    process.send_signal(number)
    assert process.wait(60) != 0
    assert "Traceback" not in process.stdout.read()
    assert sorted(path.name for path in run.iterdir()) == before
