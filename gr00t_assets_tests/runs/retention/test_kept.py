"""Which checkpoints stay, and that the launcher's copy of the rule says the same."""

import importlib.util
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gr00t_assets.runs.final_loss import final_window
from gr00t_assets.runs.metrics import Metric, append_metric, read_metrics
from gr00t_assets.runs.retention.retention_rule import best_step, kept_steps
from gr00t_assets.trainers import isaac_gr00t

LAUNCHER = Path(isaac_gr00t.__path__[0]) / "launcher" / "launcher_checkpoints.py"


def launcher_module() -> Any:
    """The launcher's module, loaded by its path as the checkout's Python does."""
    spec = importlib.util.spec_from_file_location("launcher_checkpoints", LAUNCHER)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def log(directory: Path, step: int, losses: list[float]) -> None:
    fields = dict.fromkeys(Metric.model_fields, 1) | {"step": step, "losses": losses}
    append_metric(Metric.model_validate(fields), directory)


def test_the_newest_and_the_best_stay(tmp_path: Path) -> None:
    for step, loss in {10: 3.0, 20: 1.0, 30: 2.0, 40: 2.5}.items():
        log(tmp_path, step, [loss] * 10)
    assert kept_steps([10, 20, 30, 40], 1, tmp_path) == {20, 40}
    assert kept_steps([10, 20, 30, 40], 1, tmp_path, best=False) == {40}
    assert kept_steps([10, 20], 8, tmp_path) == {10, 20}


def test_the_window_is_that_of_the_manifest(tmp_path: Path) -> None:
    losses = [math.sin(number) + 3 for number in range(300)]
    for step in range(10, 301, 10):
        log(tmp_path, step, losses[step - 10 : step])
    means = {}
    for step in (100, 200, 300):
        window = final_window(losses[:step], 1)
        assert window is not None
        means[step] = window.mean
    assert best_step([100, 200, 300], tmp_path) == min(means, key=lambda step: means[step])


def test_without_metrics_nothing_is_best(tmp_path: Path) -> None:
    assert best_step([10, 20], tmp_path) is None
    assert kept_steps([10, 20], 1, tmp_path) == {20}


lines = st.lists(
    st.tuples(
        st.integers(1, 60),
        st.lists(
            st.one_of(st.floats(0, 10), st.just(math.nan), st.just(math.inf)),
            min_size=1,
            max_size=12,
        ),
    ),
    max_size=12,
)


@given(lines=lines, steps=st.sets(st.integers(1, 60), max_size=6))
def test_the_launcher_and_the_package_choose_the_same(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[int, list[float]]], steps: set[int]
) -> None:
    directory = tmp_path_factory.mktemp("run")
    for step, losses in lines:
        log(directory, step, losses)
    chosen = launcher_module().best_step(steps, directory / "metrics.jsonl")
    assert chosen == best_step(steps, directory)


def test_a_torn_line_spoils_no_line_after_it(tmp_path: Path) -> None:
    log(tmp_path, 1, [1.0])
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "los')
    log(tmp_path, 2, [2.0])
    log(tmp_path, 3, [3.0])
    assert [metric.step for metric in read_metrics(tmp_path)] == [1, 2, 3]
    whole = [text for text in (tmp_path / "metrics.jsonl").read_text().splitlines() if "}" in text]
    assert [json.loads(text)["step"] for text in whole] == [1, 2, 3]
