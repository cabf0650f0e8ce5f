"""A DataFrame of runs: cells in their types, as little as a loss, and thousands of calls."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gr00t_assets.comparison.tables.runs_table import read_table, runs_of_frame
from gr00t_assets.core.errors import ComparisonError
from gr00t_assets_tests.comparison.tables.journal_table import TABLE, loss_of


def sweep(count: int) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    return pd.DataFrame({
        "name": [f"r{number}" for number in range(count)],
        "dataset": "demo",
        "learning_rate": 10 ** draw.uniform(-5, -3, count),
        "batch_size": draw.choice([8, 16], count),
        "max_steps": 400,
        "warmup_ratio": draw.uniform(0, 0.1, count),
        "tune_llm": draw.random(count) < 0.5,
        "seed": draw.integers(0, 5, count),
        "ema": draw.random(count),
        "loss": draw.uniform(0.1, 0.2, count),
        "loss_se": 0.002,
        "loss_samples": 640,
    })  # fmt: skip


def test_a_rate_a_seed_and_a_loss_are_enough():
    frame = pd.DataFrame(
        {"learning_rate": [1e-4, 1e-4, 1e-3], "seed": [0, 1, 0], "loss": [0.2, 0.21, np.nan]}
    )
    runs = runs_of_frame(frame)
    assert [run.run_id for run in runs] == ["0", "1", "2"]
    assert [run.status for run in runs] == ["finished", "finished", "unfinished"]
    assert [run.settings for run in runs][1:] == [
        {"learning_rate": 1e-4, "seed": 1}, {"learning_rate": 1e-3, "seed": 0},
    ]  # fmt: skip
    assert len({run.class_id for run in runs}) == 1
    assert {tuple(run.data) for run in runs} == {()}
    assert all(run.problems == () for run in runs)
    assert loss_of(runs[0]).kind == "one logged value"


def test_cells_come_in_their_types():
    frame = pd.DataFrame({
        "run_id": [7, 8],
        "batch_size": [8.0, np.nan],
        "tune_llm": pd.array([True, None], dtype="boolean"),
        "started_at": [pd.Timestamp("2025-11-02T10:00"), pd.NaT],
        "odd": [np.float64(0.5), None],
        "lr_scheduler_type": pd.Categorical(["cosine", None]),
        "loss": [0.5, 0.25],
    })  # fmt: skip
    first, second = runs_of_frame(frame)
    assert first.run_id == "7"
    assert first.settings == {
        "batch_size": 8, "tune_llm": True, "odd": 0.5, "lr_scheduler_type": "cosine",
    }  # fmt: skip
    assert {name: type(value) for name, value in first.settings.items()} == {
        "batch_size": int, "tune_llm": bool, "odd": float, "lr_scheduler_type": str,
    }  # fmt: skip
    assert first.started_at.startswith("2025-11-02")
    assert (second.settings, second.started_at) == ({}, "")


def test_a_bad_row_is_named_by_its_label():
    frame = pd.DataFrame({"batch_size": [8, 8.5], "loss": [0.5, 0.4]}, index=["x", "y"])
    good, bad = runs_of_frame(frame)
    assert (good.run_id, good.finished) == ("x", True)
    assert bad.problems == ("row y: batch_size: expected a whole number, found 8.5.",)
    both = pd.concat([frame, frame])
    assert [run.run_id for run in runs_of_frame(both)] == ["0", "1", "2", "3"]
    with pytest.raises(ComparisonError, match="it has no rows"):
        runs_of_frame(frame.head(0))
    with pytest.raises(ComparisonError, match="there is no column loss"):
        runs_of_frame(frame[["batch_size"]])


def test_two_columns_of_one_name_must_agree():
    frame = pd.DataFrame([[0.5, 0.5], [0.5, 0.4]], columns=["loss", "loss"])
    same, other = runs_of_frame(frame)
    assert same.finished
    assert other.problems == ("row 1: loss is 0.5 and loss is 0.4; keep one of them.",)


def test_a_frame_and_its_file_are_the_same_runs(tmp_path):
    frame = sweep(20).set_index("name", drop=False)
    for delimiter, decimal in ((",", "."), (";", ","), ("\t", ".")):
        frame.to_csv(tmp_path / "runs.csv", sep=delimiter, decimal=decimal, index=False)
        assert read_table(tmp_path / "runs.csv", {}) == runs_of_frame(frame)
    assert runs_of_frame(pd.read_csv(TABLE)) == read_table(TABLE, {})


CELLS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6), st.just(pd.NA),
    st.sampled_from(["1,234", "0,5", "nan", "{", "{'lr': nan}", "-1", "finished", "crashed"]),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=3), st.integers()),
    st.just(10**400), st.just(np.array([1, 2])),
)  # fmt: skip
NAMES = ["loss", "seed", "batch_size", "tune_llm", "name", "status", "config", "odd", "created"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(CELLS, min_size=9, max_size=9), max_size=4))
def test_any_cells_are_runs_or_a_refusal(rows):
    frame = pd.DataFrame(rows, columns=pd.Index(NAMES), dtype=object)
    try:
        runs = runs_of_frame(frame)
    except ComparisonError as error:
        assert "this DataFrame" in str(error)
        return
    assert len({run.run_id for run in runs}) == len(rows)
    for run in runs:
        assert run.loss is None or 0 < run.loss.mean < np.inf
