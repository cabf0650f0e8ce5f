import json

import pytest
from typer.testing import CliRunner

from gr00t_assets.cli.main import app
from gr00t_assets.core.errors import SweepError
from gr00t_assets.reporting.report import write_report
from gr00t_assets_tests.comparison.run_factory import (
    SWEEP_FILE,
    experiment,
    losses,
    project_of_two_runs,
    sweep,
    write_run,
)


@pytest.fixture
def full(store):
    """A sweep with a run of every kind, one with a name that is markup, and two empty sweeps."""
    items = [
        experiment("best", "The larger <b>batch</b> & the lower loss | wins", batch_size=8),
        experiment("second", batch_size=1),
        experiment("broken", learning_rate=1e-2),
        experiment("running"),
        experiment("older", learning_rate=2e-4),
        experiment("corrupt"),
        experiment("stopped"),
        experiment("nothing", batch_size=2),
    ]
    write_run(items[0], store, losses(300, 0.06))
    write_run(items[1], store, losses(300, 0.2, 0.3))
    failure = "TrainingError: broken: the loss is <script>alert(1)</script>\n  second line"
    write_run(items[2], store, losses(40, 0.9), "failed", failure=failure, final_loss=None)
    write_run(items[3], store, losses(120, 0.3), None)
    write_run(experiment("older", learning_rate=1e-4), store, losses(300, 0.01))
    corrupt = write_run(items[5], store, losses(300, 0.01))
    (corrupt / "manifest.json").write_text("{")
    write_run(items[6], store, losses(200, 0.1), "interrupted")
    return [
        sweep(*items, description="What <i>matters</i>?"),
        sweep(experiment("x"), name="later"),
        sweep(experiment("y"), name="asked"),
    ]


def test_report_has_a_section_for_each_sweep_with_a_run_or_asked_for(full, store):
    report = write_report(full, store, asked=["asked"])
    assert report.path == store.reports / "loss_comparison.html"
    headlines = {summary.name: summary.headline for summary in report.sweeps}
    assert list(headlines) == ["demo", "asked"]
    assert headlines["demo"].startswith("Lowest loss of 2 finished runs: best, ")
    assert headlines["asked"] == "There are no runs."
    text = report.path.read_text()
    assert "Sweeps without a run: later." in text
    assert not list(store.reports.glob(".*partial*"))


def test_what_comes_from_files_is_escaped(full, store):
    report = write_report(full, store, imported=[])
    text = report.path.read_text()
    page = text[: text.index("<script>")] if "<script>" in text else text
    assert "alert(1)" in page
    assert "<script>alert" not in text
    assert "<i>matters</i>" not in text and "<b>batch</b>" not in text


def test_report_needs_nothing_from_elsewhere(full, store):
    text = write_report(full, store).path.read_text()
    start, end = text.index("<script>"), text.rindex("<script>")
    ours = text[:start] + text[end:]
    assert "http://" not in ours and "https://" not in ours
    assert " src=" not in ours and '<link rel="stylesheet"' not in ours


def test_markdown_begins_with_the_verdict_and_has_the_same_content(full, store):
    report = write_report(full, store, imported=[])
    text = report.markdown()
    assert text.startswith(f"**{report.verdict[:20]}")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 2
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1
    assert rows[2].startswith("| 1 | best | 0.0")
    assert "confounded" in text and "What to run next" in text
    assert "<script>" not in text


def test_an_import_that_cannot_be_read_keeps_nothing_else_away(full, store, tmp_path, monkeypatch):
    (tmp_path / "data" / "journal").mkdir(parents=True)
    (tmp_path / "data" / "datasets.yaml").write_text("datasets: {}")
    (tmp_path / "data" / "journal" / "runs.csv").write_text("run_id,loss\na,much\n")
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    report = write_report(full, store)
    assert [comparison.key for comparison in report.comparisons] == ["store"]
    (problem,) = report.problems
    assert problem.startswith("Imported runs are left out: ")
    assert "Imported runs are left out" in report.path.read_text()


def test_report_of_nothing_is_a_page_that_says_so(store):
    report = write_report([], store, imported=[])
    assert "No experiment has a run yet." in report.path.read_text()
    assert report.path.stat().st_size < 40_000


def test_what_has_no_rank_is_listed_with_the_reason_and_the_command(full, store):
    text = write_report(full, store, imported=[]).path.read_text()
    unranked = text.split('id="unranked"')[1]
    for name in ("broken", "running", "older", "corrupt", "stopped", "nothing"):
        assert f'<span class="name">{name}</span>' in unranked
        assert f"--partition {name}<" in unranked
    ranked = text.split('id="ranked"')[1].split('id="contrasts"')[0]
    assert "broken" not in ranked and ">best<" in ranked


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with two sweep files and the runs of one of them."""
    monkeypatch.setenv("COLUMNS", "100")
    store = project_of_two_runs(tmp_path, monkeypatch)
    renamed = SWEEP_FILE.replace("best", "b").replace("second", "s")
    (tmp_path / "data" / "sweeps" / "later.yaml").write_text(renamed)
    return store


def printed_by_compare(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["compare", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_command_prints_the_table_and_ends_with_the_report(project):
    lines = printed_by_compare().splitlines()
    assert lines[-1] == f"report: {project.reports / 'loss_comparison.html'}"
    assert any(line.split()[:2] == ["1", "best"] for line in lines)
    assert any("caution: These runs saw different numbers of samples" in line for line in lines)
    assert max(len(line) for line in lines[:-1]) <= 100
    assert not any("later" in line for line in lines)


def test_questions_are_asked_of_the_named_sweep_alone(project):
    assert "These runs: questions" in printed_by_compare("--sweep", "later")
    out = printed_by_compare("--sweep", "demo")
    assert "Does batch size help?" in out and "best (batch_size 8" in out
    assert "Imported runs" not in out and "Runs of the store" not in out
    out = printed_by_compare()
    assert "Imported runs" not in out and "Runs of the store: questions" in out


def test_command_as_json_is_one_object(project):
    answer = json.loads(printed_by_compare("--sweep", "later", "--sweep", "demo", "--json"))
    assert set(answer["sweeps"]) == {"demo", "later"}
    rows = answer["sweeps"]["demo"]["rows"]
    assert [(row["rank"], row["name"]) for row in rows] == [(1, "best"), (2, "second")]
    assert answer["sweeps"]["later"]["rows"][0]["loss"] is None


def test_command_names_the_nearest_sweep(project):
    with pytest.raises(SweepError, match="did you mean 'demo'"):
        printed_by_compare("--sweep", "demmo")
