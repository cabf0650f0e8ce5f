"""The table holds what the line-by-line reader reads, whatever the file looks like."""

import math
from pathlib import Path

import numpy as np
import pytest

from gr00t_assets.runs.metrics import (
    METRICS,
    Metric,
    MetricTable,
    _as_table,
    append_metric,
    read_metric_table,
    read_metrics,
)


def metric(step: int, *losses: float) -> Metric:
    mean = sum(losses) / max(1, len(losses))
    return Metric(
        step=step,
        samples_seen=8 * step,
        epoch=step / 100,
        loss=mean,
        losses=losses,
        grad_norm=0.5,
        learning_rate=1e-4,
        wall_seconds=0.1 * step,
    )


WHOLE = [metric(2, 1.5, 1.25), metric(4, 1.0, 0.75), metric(6, 0.5, 0.25)]
FILES = {
    "whole": WHOLE,
    "one line": WHOLE[:1],
    "steps done again": [*WHOLE, metric(4, 0.9, 0.8), metric(6, 0.7, 0.6), metric(8, 0.1)],
    "lines of other lengths": [metric(1, 2.0), metric(5, 1.0, 0.9, 0.8, 0.7), metric(6)],
    "not finite": [*WHOLE, metric(8, math.inf, 1.0)],
}


@pytest.mark.parametrize("lines", FILES.values(), ids=FILES.keys())
def test_it_holds_the_lines_of_the_file(lines: list[Metric], tmp_path: Path) -> None:
    for line in lines:
        append_metric(line, tmp_path)
    expected = read_metrics(tmp_path)
    table = read_metric_table(tmp_path)
    assert list(table) == expected
    assert table[-1] == expected[-1]
    assert list(table[1:]) == expected[1:]
    assert table.losses.tolist() == [loss for line in expected for loss in line.losses]
    assert list(MetricTable.of(expected)) == expected


@pytest.mark.parametrize("torn", ['{"step":8,"samp', "not json at all", '{"step": 8}\n', "\n\n"])
def test_a_line_that_is_no_metric_is_passed_over(torn: str, tmp_path: Path) -> None:
    for line in WHOLE:
        append_metric(line, tmp_path)
    with (tmp_path / METRICS).open("a") as file:
        file.write(torn)
    assert list(read_metric_table(tmp_path)) == WHOLE


def test_plain_files_are_parsed_whole(tmp_path: Path) -> None:
    for line in FILES["steps done again"]:
        append_metric(line, tmp_path)
    table = _as_table((tmp_path / METRICS).read_bytes())
    assert table is not None
    assert table.columns["step"].tolist() == [2, 4, 6, 8]
    np.testing.assert_array_equal(table.losses, [1.5, 1.25, 0.9, 0.8, 0.7, 0.6, 0.1])


def test_no_file_and_an_empty_one_have_no_lines(tmp_path: Path) -> None:
    assert len(read_metric_table(tmp_path)) == 0
    (tmp_path / METRICS).touch()
    assert len(read_metric_table(tmp_path)) == 0
    assert not read_metric_table(tmp_path)
