"""``gr00t-assets compare`` as a program, on a table alone and on a project."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from gr00t_assets.cli.main import app
from gr00t_assets_tests.comparison.answers.journal_runs import TABLE
from gr00t_assets_tests.comparison.run_factory import project_of_two_runs


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """A folder with neither project nor store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path / "no-project"))
    monkeypatch.setenv("GR00T_ASSETS_STORE", str(tmp_path / "no-store"))
    return tmp_path


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with two finished runs and the journal's table."""
    project_of_two_runs(tmp_path, monkeypatch)
    (tmp_path / "data" / "journal").mkdir()
    shutil.copy(TABLE, tmp_path / "data" / "journal" / "runs.csv")
    return tmp_path


def compare(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["compare", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def compare_json(*arguments: str) -> dict:
    def refused(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(compare(*arguments, "--json"), parse_constant=refused)


def test_a_table_is_compared_without_project_and_store(alone):
    found = compare_json("--runs", str(TABLE))
    assert {
        "runs",
        "classes",
        "not_ranked",
        "contrasts",
        "questions",
        "collinear",
        "headline",
    } <= set(found)
    assert len(found["runs"]) == 10
    first = found["classes"][0]
    assert first["frames"] == "known wrong"
    assert first["words"]["dataset"] == "robot_sim.PickNPlace"
    assert [(one["place"], one["run_id"]) for one in first["ranking"][:2]] == [
        (1, "ch7f65x3"),
        (2, "fwtchfxv"),
    ]
    assert first["ranking"][0]["loss"] == pytest.approx(0.0585)
    assert first["ranking"][0]["standard_error"] > 0.01
    assert {one["run_id"] for one in found["not_ranked"]} == {"d9pawzt8", "btj3964a", "qbk0btb6"}
    batch = [one for one in found["contrasts"] if one["runs"] == ["6jzsan5d", "fwtchfxv"]
             and one["factor"] == "batch_size"]  # fmt: skip
    assert [one["verdict"] for one in batch] == ["confounded"]
    assert batch[0]["confounders"] == ["samples_seen"]
    assert batch[0]["interval"][0] < batch[0]["effect"] < batch[0]["interval"][1]
    assert {one["factor"] for one in found["collinear"]} >= {"learning_rate", "max_steps"}
    assert not (alone / "no-store").exists()


def test_the_program_itself_needs_no_dagster(alone):
    code = (
        "import sys; from gr00t_assets.cli.main import app; import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        f"    app(['compare', '--runs', {str(TABLE)!r}, '--json'])\n"
        "print(sorted({'dagster', 'torch', 'wandb', 'matplotlib'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(TABLE).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env=environment)  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_the_print_has_headline_ranking_and_answers(alone):
    text = " ".join(compare("--runs", str(TABLE)).split())
    assert text.startswith("3 classes, never ranked against each other")
    assert "frames known wrong" in text
    assert "1 ch7f65x3 very_low_lr 0.059 ± 0.018 2,000" in text
    assert "fwtchfxv, vtty1l1b, 6jzsan5d: Within noise of rank 1." in text
    assert "Does batch size help? confounded" in text


def test_one_question(alone):
    text = " ".join(compare("--runs", str(TABLE), "--question", "batch").split())
    assert text.startswith("Does batch size help? confounded Unknown:")
    assert "- Each loss is one logged value" in text
    found = compare_json("--runs", str(TABLE), "--question", "batch")
    assert found["factor"] == "batch_size"
    assert found["verdict"] == "confounded"
    assert len(found["contrasts"]) >= len(found["evidence"]) > 0


def test_differences_from_a_baseline(alone):
    found = compare_json("--runs", str(TABLE), "--baseline", "d9pawzt8")["baseline"]
    counts = {one["run"]: one["count"] for one in found}
    assert counts["qbk0btb6"] == 4
    assert "d9pawzt8" not in counts
    text = compare("--runs", str(TABLE), "--baseline", "defaults")
    assert "qbk0btb6 is not the defaults" in text


def test_export_of_a_table(alone):
    compare("--runs", str(TABLE), "--export", "runs.parquet", "--json")
    assert pd.read_parquet("runs.parquet")["run_id"].iloc[0] == "klky5smm"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--runs", "nothing.csv"], "there is no such file"),
        (["--runs", str(TABLE), "--question", "warmupp"], "did you mean warmup_ratio"),
        (["--runs", str(TABLE), "--baseline", "qbk0btb7"], "did you mean 'qbk0btb6'"),
        (["--runs", str(TABLE), "--export", "x.xlsx"], "FILE.parquet or FILE.csv"),
    ],
)
def test_mistakes_end_with_one_message(alone, arguments, words):
    program = [sys.executable, "-m", "gr00t_assets.cli.main", "compare", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(TABLE).parents[2])}
    done = subprocess.run(program, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("ComparisonError: ")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_sweep_has_its_questions_beside_its_table(project):
    text = compare("--sweep", "demo")
    assert "Does batch size help?" in text
    assert text.splitlines()[-1].startswith("report: ")
    found = compare_json("--sweep", "demo")
    questions = [one for part in found["questions"].values() for one in part["questions"]]
    assert any(one["factor"] == "batch_size" for one in questions)
    rows = found["sweeps"]["demo"]["rows"]
    assert [(row["rank"], row["name"], row["batch_size"]) for row in rows] == [
        (1, "best", 8),
        (2, "second", 4),
    ]


def test_the_store_and_the_journal_are_one_table(project):
    compare("--export", str(project / "all.csv"))
    table = pd.read_csv(project / "all.csv")
    assert set(table["source"]) == {"store", "table"}
    assert len(table) == 12
    found = compare_json("--question", "batch_size")
    runs = {run for one in found["contrasts"] for run in one["runs"]}
    assert {"6jzsan5d", "fwtchfxv"} <= runs
    only = compare_json("--question", "batch_size", "--sweep", "demo")
    assert {run for one in only["contrasts"] for run in one["runs"]} < runs
