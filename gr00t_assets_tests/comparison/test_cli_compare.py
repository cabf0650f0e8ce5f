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
    assert {"runs", "classes", "not_ranked", "proposals", "questions", "headline"} <= set(found)
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
    (batch,) = [one for one in found["questions"] if one["factor"] == "batch_size"]
    assert batch["verdict"] == "confounded"
    assert batch["effects"][0]["pair"]["low"] and batch["effects"][0]["pair"]["confounders"]
    assert not (alone / "no-store").exists()


def test_the_program_itself_needs_no_dagster(alone):
    code = (
        "import sys; from gr00t_assets.cli.main import app; import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        f"    app(['compare', '--runs', {str(TABLE)!r}, '--json'])\n"
        "print(sorted({'dagster', 'torch', 'wandb', 'matplotlib'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(TABLE).parents[3])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env=environment)  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_the_print_has_headline_ranking_and_answers(alone):
    text = " ".join(compare("--runs", str(TABLE)).split())
    assert text.startswith("3 classes, never ranked against each other")
    assert "frames known wrong" in text
    assert "1 ch7f65x3 very_low_lr 0.059 ± 0.018 1e-4 1 2,000" in text
    assert "2 ≈ fwtchfxv batch_size_8" in text and "≈ cannot be told from rank 1" in text
    assert "klky5smm: journal: still dropping" in text
    assert "Does batch size help? ⇄ confounded" in text
    assert "What to run next To know of" in text


def test_one_question(alone):
    text = " ".join(compare("--runs", str(TABLE), "--question", "batch").split())
    assert text.startswith("Does batch size help? ⇄ confounded Unknown:")
    assert "- Each loss is one logged value" in text
    found = compare_json("--runs", str(TABLE), "--question", "batch")
    assert found["factor"] == "batch_size"
    assert found["verdict"] == "confounded"
    assert found["answer"].startswith("Unknown:") and found["effects"]


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
    environment = {**os.environ, "PYTHONPATH": str(Path(TABLE).parents[3])}
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
    assert any(one["factor"] == "batch_size" for one in found["questions"])
    assert [(run["run_id"], run["settings"]["batch_size"]) for run in found["runs"]] == [
        (one["run_id"], size)
        for one, size in zip(found["classes"][0]["ranking"], (8, 4), strict=True)
    ]


def test_the_band_says_which_losses_are_equally_good(alone):
    table = alone / "runs.csv"
    losses = [("a", 1e-3, 0.100), ("b", 1e-4, 0.107)]
    rows = [
        f"{name}{seed},{rate},{loss * (1 + 0.002 * seed)},{seed}"
        for name, rate, loss in losses for seed in range(4)
    ]  # fmt: skip
    table.write_text("\n".join(["run_id,learning_rate,loss,seed", *rows]))
    assert "will do" not in compare("--runs", str(table))
    assert "will do: none is likely more than 10% above" in " ".join(
        compare("--runs", str(table), "--band", "10").split()
    )


def test_the_store_and_the_journal_are_one_table_where_asked_for(project):
    compare("--imported", "--export", str(project / "all.csv"))
    table = pd.read_csv(project / "all.csv")
    assert set(table["source"]) == {"store", "table"}
    assert len(table) == 12
    compare("--export", str(project / "own.csv"))
    assert set(pd.read_csv(project / "own.csv")["source"]) == {"store"}


def test_imported_runs_are_compared_beside_those_of_the_store_where_asked_for(project):
    assert "ch7f65x3" not in compare()
    text = compare("--imported")
    assert "Imported runs" in text and "ch7f65x3" in text
    found = compare_json("--imported")
    assert "ch7f65x3" in {run["run_id"] for run in found["imported"]["runs"]}
    assert "ch7f65x3" not in {run["run_id"] for run in found["runs"]}
    asked = compare_json("--question", "batch_size", "--imported")
    assert {"6jzsan5d", "fwtchfxv"} <= {run for one in asked["effects"] for run in one["runs"]}
    own = compare_json("--question", "batch_size")
    assert "6jzsan5d" not in {run for one in own["effects"] for run in one["runs"]}
