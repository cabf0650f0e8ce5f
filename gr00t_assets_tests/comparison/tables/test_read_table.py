"""Tables of runs: what is read, and everything that is wrong with one at once."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gr00t_assets.comparison.columns import COLUMNS
from gr00t_assets.comparison.tables.cells import cell_value
from gr00t_assets.comparison.tables.runs_table import (
    export_table,
    frame_state,
    known_frames,
    read_table,
    runs_table,
)
from gr00t_assets.core.errors import ComparisonError
from gr00t_assets_tests.comparison.tables.journal_table import TABLE, loss_of

HEADER = "run_id,dataset,learning_rate,batch_size,max_steps,status,loss"
GOOD = "a,demo,1e-4,8,100,finished,0.5"


def table(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "runs.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def one(tmp_path, columns="", cells="", base=GOOD):
    header = HEADER + (f",{columns}" if columns else "")
    (run,) = read_table(table(tmp_path, header, base + (f",{cells}" if columns else "")), {})
    return run


def test_the_journal_is_read_as_it_is(monkeypatch):
    monkeypatch.setenv("GR00T_ASSETS_EXAMPLES", "1")  # for the frames of its dataset
    runs = {run.run_id: run for run in read_table(TABLE)}
    assert len(runs) == 10
    best = runs["ch7f65x3"]
    assert (best.name, best.steps, best.max_steps, best.samples_seen) == (
        "very_low_lr",
        2000,
        2000,
        2000,
    )
    assert best.settings["learning_rate"] == 1e-4
    assert best.settings["tune_llm"] is False
    assert best.settings["seed"] == 42
    assert "num_gpus" not in best.settings, "an unknown setting is no default"
    assert best.data == {"dataset": "robot_sim.PickNPlace", "data config": "fourier_gr1_arms_only"}
    assert best.dataset_frames == 2096
    assert runs["fwtchfxv"].samples_seen == 8000
    assert loss_of(runs["fwtchfxv"]).samples == 80
    assert runs["qbk0btb6"].samples_seen == 5 * 1000
    assert runs["btj3964a"].loss is None
    assert {run.frames for run in runs.values()} == {"known wrong"}


def test_a_bad_row_is_listed_with_its_line_and_the_rest_is_read(tmp_path):
    path = table(
        tmp_path,
        HEADER + ",seed",
        GOOD + ",1",
        "b,demo,fast,8,100,finished,0.5,1",
        "a,demo,1e-4,8,100,done,0.5,1",
        "c,demo,1e-4,0,1.5,finished,low,1",
        "d,demo,1e-4,8,100,finished",
        ",demo,-1,8,100,failed,0.1,2",
    )
    first, *bad = read_table(path)
    assert (first.run_id, first.problems, first.finished) == ("a", (), True)
    assert [(run.run_id, run.status) for run in bad] == [
        ("b", "unreadable"),
        ("a (line 4)", "unreadable"),
        ("c", "unreadable"),
        ("d", "unreadable"),
        ("7", "failed"),
    ]
    problems = [problem for run in bad for problem in run.problems]
    for words in (
        "line 3: learning_rate: expected a number, found 'fast'.",
        "line 4: unknown status 'done'; known: finished, ",
        "line 4: run_id a is that of line 2 too.",
        "line 5: batch_size: expected a value greater than or equal to 1, found 0.",
        "line 5: max_steps: expected a whole number, found '1.5'.",
        "line 5: loss: expected a number, found 'low'.",
        "line 6: 6 cells for 8 columns.",
        "line 7: learning_rate: expected a value greater than 0, found -1.0.",
    ):
        assert any(problem.startswith(words) for problem in problems), words


def test_a_table_without_a_usable_row_is_refused_with_every_reason(tmp_path):
    lines = [GOOD.replace("finished", "done"), GOOD.replace("1e-4", "fast")]
    with pytest.raises(ComparisonError) as refused:
        read_table(table(tmp_path, HEADER, *lines))
    assert "no run of this table can be read" in str(refused.value)
    assert "line 2: unknown status 'done'" in str(refused.value)
    assert "line 3: learning_rate: expected a number, found 'fast'" in str(refused.value)


def test_a_misspelt_column_is_read_and_said(tmp_path):
    run = one(tmp_path, "warmup_ration", "0.1")
    assert run.settings["warmup_ratio"] == 0.1
    assert run.problems == ("Column 'warmup_ration' is read as warmup_ratio.",)
    assert one(tmp_path, "loss", "0.5").problems == (), "twice, and equal"


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe\x00", b'a,"b\n'])
def test_what_is_no_table_is_refused(tmp_path, content):
    path = tmp_path / "runs.csv"
    path.write_bytes(content)
    with pytest.raises(ComparisonError, match=r"runs\.csv"):
        read_table(path)
    with pytest.raises(ComparisonError, match="there is no such file"):
        read_table(tmp_path / "other.csv")
    with pytest.raises(ComparisonError, match="it has no rows"):
        read_table(table(tmp_path, HEADER))


def test_optional_columns_win_over_what_is_estimated(tmp_path):
    names = "samples_seen,dataset_frames,loss_se,peak_memory_gb,gpu_hours,num_gpus,loss_samples"
    run = one(tmp_path, names, "999,333,0.01,80.5,1.5,2,4096")
    assert (run.samples_seen, run.dataset_frames, run.epochs) == (999, 333, 3.0)
    loss = loss_of(run)
    assert (loss.standard_error, loss.samples, loss.kind) == (0.01, 4096, "window mean")
    assert (run.peak_memory_bytes, run.gpu_hours) == (80_500_000_000, 1.5)
    assert one(tmp_path, "num_gpus", "2").samples_seen == 100 * 8 * 2
    assert one(tmp_path, "gradient_accumulation_steps", "4").samples_seen == 100 * 8 * 4


def test_a_column_that_is_no_hyperparameter_is_a_setting_all_the_same(tmp_path):
    run = one(tmp_path, "ema_decay,optimizer,flash", "0.99,adamw,true")
    assert run.settings["ema_decay"] == 0.99
    assert run.settings["optimizer"] == "adamw"
    assert run.settings["flash"] is True
    assert run.settings["batch_size"] == 8


def test_a_run_that_stopped_before_its_end_is_not_finished(tmp_path):
    run = one(tmp_path, "logged_step", "60")
    assert run.status == "unfinished"
    assert run.problems == ("It is said to have finished, at step 60 of 100.",)
    assert one(tmp_path, "logged_step", "90").status == "finished", "the last logged step of 100"
    diverged = one(tmp_path, base=GOOD.replace("0.5", "nan"))
    assert diverged.loss is None
    assert not diverged.finished


@pytest.mark.parametrize(
    ("backend", "started", "verified", "state"),
    [
        ("torchvision_av", "2025-06-15T01:11", None, "known wrong"),
        ("torchvision_av", "", None, "known wrong"),
        ("torchvision_av", "2025-10-20", None, "not verified"),
        ("torchvision_av", "2025-06-15", True, "verified"),
        ("torchvision_av", "2025-06-15", False, "known wrong"),
        ("decord", "2025-06-15", None, "not verified"),
        ("decord", "", True, "verified"),
        (None, "2025-06-15", None, "not verified"),
    ],
)
def test_frames(backend, started, verified, state):
    assert frame_state(backend, started, verified) == state


def test_known_frames_are_those_of_the_catalog(monkeypatch):
    monkeypatch.setenv("GR00T_ASSETS_EXAMPLES", "1")
    assert known_frames()["robot_sim.PickNPlace"] == 2096


def test_memory_in_a_note_is_that_of_the_run_alone(tmp_path):
    note = "on GPU 0 using 25.1 GB of VRAM"
    assert one(tmp_path, "note", note).peak_memory_bytes == 25_100_000_000
    assert one(tmp_path, "note", "a dataset of 6 GB").peak_memory_bytes is None


def test_the_table_has_types_and_units():
    runs = read_table(TABLE)
    made = runs_table(runs)
    assert list(made["run_id"]) == [run.run_id for run in runs]
    for column in COLUMNS.values():
        assert str(made[column.name].dtype) == column.dtype
    assert str(made["learning_rate"].dtype) == "Float64"
    assert str(made["tune_llm"].dtype) == "boolean"
    assert made.attrs["units"]["samples_seen"] == "samples"
    assert all(made.attrs["descriptions"][name] for name in made.columns)
    assert made["loss"].isna().sum() == 1


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_export(tmp_path, ending):
    runs = read_table(TABLE)
    path = export_table(runs, tmp_path / f"runs.{ending}")
    if ending == "csv":
        assert read_table(path) == runs
    else:
        back = pd.read_parquet(path)
        assert back.attrs["units"]["loss"] == "loss"
        pd.testing.assert_frame_equal(back, runs_table(runs))
    with pytest.raises(ComparisonError, match=r"parquet or FILE\.csv"):
        export_table(runs, tmp_path / "runs.xlsx")
    with pytest.raises(ComparisonError, match="no such folder"):
        export_table(runs, tmp_path / "none" / "runs.csv")


def test_mixed_values_of_an_unknown_setting_are_written_as_text(tmp_path):
    lines = [f"{HEADER},odd", f"{GOOD},1", GOOD.replace("a,", "b,") + ",word"]
    runs = read_table(table(tmp_path, *lines), {})
    assert list(runs_table(runs)["odd"]) == ["1", "word"]
    export_table(runs, tmp_path / "x.parquet")


@given(st.integers(0, 10**12))
def test_whole_numbers_with_thousands_marks(value):
    assert cell_value("samples_seen", f"{value:,}") == value
    assert cell_value("samples_seen", str(value)) == value


@given(st.floats(min_value=1e-12, max_value=1e6))
def test_numbers_keep_their_value(value):
    assert cell_value("loss", repr(value)) == value
    assert cell_value("learning_rate", f" {value!r} ") == value


@given(st.text(max_size=20))
def test_any_text_is_a_value_or_a_message(text):
    for name in ("batch_size", "tune_llm", "loss", "lr_scheduler_type", "odd"):
        try:
            cell_value(name, text)
        except ValueError as error:
            assert str(error)


@pytest.mark.parametrize("started", ["20250615", "20250615T0111", "2025-W24-7"])
def test_a_date_in_any_form_of_iso_8601_tells_of_wrong_frames(tmp_path, started):
    run = one(tmp_path, "video_backend,started_at", f"torchvision_av,{started}")
    assert (run.frames, run.started_at[:10]) == ("known wrong", "2025-06-15")
