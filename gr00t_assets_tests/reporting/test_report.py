import json

import pytest
from typer.testing import CliRunner

from gr00t_assets.cli.main import app
from gr00t_assets.comparison.all_runs import chosen_runs
from gr00t_assets.comparison.comparison import compare
from gr00t_assets.core.errors import SweepError
from gr00t_assets.reporting.report import make_report
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
    report = make_report(full, store, asked=["asked"]).write()
    assert report.path == store.reports / "loss_comparison.html"
    assert [summary.sweep.name for summary in report.sweeps] == ["demo", "asked"]
    assert report.verdict.startswith("Lowest loss of 2 finished runs: best, ")
    text = report.path.read_text()
    assert "Sweeps without a run: later." in text
    assert not list(store.reports.glob(".*partial*"))


def test_what_comes_from_files_is_escaped(full, store):
    report = make_report(full, store).write()
    text = report.path.read_text()
    page = text[: text.index("<script>")] if "<script>" in text else text
    assert "alert(1)" in page
    assert "<script>alert" not in text
    assert "<i>matters</i>" not in text and "<b>batch</b>" not in text


def test_report_needs_nothing_from_elsewhere(full, store):
    text = make_report(full, store).write().path.read_text()
    start, end = text.index("<script>"), text.rindex("<script>")
    ours = text[:start] + text[end:]
    assert "http://" not in ours and "https://" not in ours
    assert " src=" not in ours and '<link rel="stylesheet"' not in ours


def test_markdown_begins_with_the_verdict_and_has_the_same_content(full, store):
    report = make_report(full, store).write()
    text = report.markdown()
    assert text.startswith(f"**{report.verdict[:20]}")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 2
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1
    assert rows[2].startswith("| 1 | best | 0.0")
    assert "confounded" in text and "What to run next" in text
    assert "<script>" not in text


@pytest.fixture
def table(tmp_path, monkeypatch):
    """The table of runs of a project."""
    (tmp_path / "data" / "journal").mkdir(parents=True)
    (tmp_path / "data" / "datasets.yaml").write_text("datasets: {}")
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    return tmp_path / "data" / "journal" / "runs.csv"


def test_imported_runs_are_shown_only_where_asked_for(full, store, table):
    table.write_text("run_id,loss\na,0.1\nb,0.2\n")
    assert [item.key for item in make_report(full, store).write().comparisons] == ["store"]
    report = make_report(full, store, imported=None).write()
    assert [item.key for item in report.comparisons] == ["store", "imported"]
    assert 'id="imported"' in report.path.read_text()


def test_a_page_without_own_runs_says_how_to_see_the_imported_ones(store, table):
    assert "--imported" not in make_report([], store).write().path.read_text()
    table.write_text("run_id,loss\na,0.1\nb,0.2\n")
    report = make_report([], store).write()
    assert "No experiment has a run yet." in report.path.read_text()
    assert "gr00t-assets compare --imported" in report.path.read_text()


def test_an_import_that_cannot_be_read_keeps_nothing_else_away(full, store, table):
    table.write_text("run_id,loss\na,much\n")
    report = make_report(full, store, imported=None).write()
    assert [comparison.key for comparison in report.comparisons] == ["store"]
    (problem,) = report.problems
    assert problem.startswith("Imported runs are left out: ")
    assert "Imported runs are left out" in report.path.read_text()


def test_report_of_nothing_is_a_page_that_says_so(store):
    report = make_report([], store).write()
    assert "No experiment has a run yet." in report.path.read_text()
    assert report.path.stat().st_size < 40_000


def test_what_has_no_rank_is_listed_with_the_reason_and_the_command(full, store):
    text = make_report(full, store).write().path.read_text()
    unranked = text.split('id="unranked"')[1]
    for name in ("broken", "running", "older", "corrupt", "stopped", "nothing"):
        assert f'<span class="name">{name}</span>' in unranked
        assert f"--partition {name}<" in unranked
    ranked = text.split('id="ranked"')[1].split('id="effects"')[0]
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


def test_command_prints_ranking_answers_and_proposals_and_ends_with_the_report(project):
    text = printed_by_compare()
    lines = text.splitlines()
    assert lines[-1] == f"report: {project.reports / 'loss_comparison.html'}"
    assert lines[0] == "Sweep demo: 2 finished"
    assert any(line.split()[:2] == ["1", "best"] for line in lines)
    assert any("caution: These runs saw different numbers of samples" in line for line in lines)
    assert any(line.startswith("Does batch size help?  ⇄ confounded") for line in lines)
    after = text.split("What to run next\n")[1]
    assert after.split()[:4] == ["To", "know", "of", "batch"] and "(1 run" in after
    assert max(len(line) for line in lines[:-1]) <= 100
    assert not any("later" in line for line in lines)


def test_questions_are_asked_of_the_named_sweep_alone(project):
    later = printed_by_compare("--sweep", "later")
    assert "Sweep later: 2 missing\n  not run yet: b, s" in later and "best" not in later
    out = printed_by_compare("--sweep", "demo")
    assert "Does batch size help?" in out and "best (batch_size 8" in out
    assert "Imported runs" not in out


def test_command_as_json_is_the_comparison(project):
    answer = json.loads(printed_by_compare("--sweep", "later", "--sweep", "demo", "--json"))
    assert set(answer.pop("sweeps")) == {"demo", "later"}
    assert answer.pop("report") == str(project.reports / "loss_comparison.html")
    runs = chosen_runs(sweep_names=["demo"])
    assert answer == json.loads(json.dumps(compare(runs).to_json()))


def test_command_names_the_nearest_sweep(project):
    with pytest.raises(SweepError, match="did you mean 'demo'"):
        printed_by_compare("--sweep", "demmo")
