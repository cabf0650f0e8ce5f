"""The table holds what the line-by-line reader reads, whatever the file looks like."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gr00t_assets.runs.metrics import (
    METRICS,
    Metric,
    MetricTable,
    _parsed_whole,
    append_metric,
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


def read_line_by_line(lines: list[Metric]) -> list[Metric]:
    """Lines without those whose steps were done again, one after the other."""
    kept: list[Metric] = []
    for line in lines:
        while kept and kept[-1].step >= line.step:
            kept.pop()
        kept.append(line)
    return kept


def assert_holds(table: MetricTable, lines: list[Metric]) -> None:
    """The table has these lines."""
    expected = MetricTable.of(lines)
    for name, values in expected.columns.items():
        np.testing.assert_array_equal(table.columns[name], values)
    np.testing.assert_array_equal(table.losses, expected.losses)
    np.testing.assert_array_equal(table.counts, expected.counts)
    steps = [line.step - back for line in lines for back in range(len(line.losses) - 1, -1, -1)]
    assert table.loss_steps.tolist() == steps
    assert table.last == (lines[-1] if lines else None)


@pytest.mark.parametrize("lines", FILES.values(), ids=FILES.keys())
def test_it_holds_the_lines_of_the_file(lines: list[Metric], tmp_path: Path) -> None:
    for line in lines:
        append_metric(line, tmp_path)
    assert_holds(read_metrics(tmp_path), read_line_by_line(lines))


@pytest.mark.parametrize("torn", ['{"step":8,"samp', "not json at all", '{"step": 8}\n', "\n\n"])
def test_a_line_that_is_no_metric_is_passed_over(torn: str, tmp_path: Path) -> None:
    for line in WHOLE:
        append_metric(line, tmp_path)
    with (tmp_path / METRICS).open("a") as file:
        file.write(torn)
    assert_holds(read_metrics(tmp_path), WHOLE)


def test_a_first_line_that_is_null_ends_no_reader(tmp_path: Path) -> None:
    append_metric(WHOLE[0], tmp_path)
    (tmp_path / METRICS).write_bytes(b"null\n" + (tmp_path / METRICS).read_bytes())
    code = (
        "import sys; from pathlib import Path; from gr00t_assets.runs.metrics import read_metrics\n"
        "print(read_metrics(Path(sys.argv[1])).last.step)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "2"), done.stderr


def test_plain_files_are_parsed_whole(tmp_path: Path) -> None:
    for line in FILES["lines of other lengths"]:
        append_metric(line, tmp_path)
    table = _parsed_whole((tmp_path / METRICS).read_bytes())
    assert table is not None
    assert_holds(table, FILES["lines of other lengths"])


def test_no_file_and_an_empty_one_have_no_lines(tmp_path: Path) -> None:
    assert_holds(read_metrics(tmp_path), [])
    (tmp_path / METRICS).touch()
    assert_holds(read_metrics(tmp_path), [])
