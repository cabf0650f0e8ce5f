from pathlib import Path

from gr00t_assets.core.project import Store
from gr00t_assets.defs.metadata import INLINE, bullets, folded_table, image, in_store, table
from gr00t_assets.reporting.images import inline_curve
from gr00t_assets.runs.metrics import Metric, MetricTable


def test_a_cell_cannot_break_its_table():
    rows = [["pick | place\nthe pear"]]
    assert str(folded_table(["task"], rows).value).splitlines()[2:] == [
        "| pick \\| place the pear |"
    ]
    assert table(["task"], rows).records[0].data == {"task": "pick | place the pear"}


def test_values_are_shown_as_people_write_them():
    shown = folded_table(["a", "b", "c"], [[True, 1e-4, 1 / 3]]).value
    assert str(shown).endswith("| true | 1e-4 | 0.333333 |")


def test_a_program_reads_numbers_as_numbers():
    shown = table(["a", "b", "c"], [[True, 1e-4, 1 / 3], [None, 2, float("nan")]])
    assert [record.data for record in shown.records] == [
        {"a": "true", "b": 1e-4, "c": 0.33333},
        {"a": "none", "b": 2, "c": "nan"},
    ]
    assert [column.type for column in shown.schema.columns] == ["string", "float", "string"]
    assert not table(["a"], []).records


def test_no_warnings_are_none():
    assert bullets([]).md_str == "none"
    assert bullets(["late by a frame"]).md_str == "- late by a frame"


def test_an_image_is_in_the_page_itself():
    assert image(b"abc", "frames").md_str == "![frames](data:image/png;base64,YWJj)"


def test_paths_are_those_of_the_store():
    store = Store(Path("/mnt/store"))
    assert in_store(store.run_directory("a", "b"), store.root) == "runs/a/b"


def logged(losses: list[float], every: int) -> MetricTable:
    """Lines of ``every`` steps each with these losses."""
    lines = [
        Metric(
            step=first + every,
            samples_seen=first + every,
            epoch=0.0,
            loss=losses[first],
            losses=tuple(losses[first : first + every]),
            grad_norm=1.0,
            learning_rate=1e-3,
            wall_seconds=1.0,
        )
        for first in range(0, len(losses), every)
    ]
    return MetricTable.of(lines)


def test_a_long_curve_is_still_shown_in_place():
    losses = [1e3 / (step + 1) + (step % 7) for step in range(20_000)]
    curve = inline_curve(logged(losses, 100), INLINE)
    assert curve.startswith("![training loss](<data:image/svg+xml,%3Csvg ")
    assert "20,000 steps" in curve
    assert len(curve) < INLINE


def test_a_curve_ends_at_the_lowest_point_of_a_falling_loss():
    curve = inline_curve(logged([2.0**-step for step in range(8)], 2), INLINE)
    assert curve.endswith("%3C/svg%3E>)")
    moves = curve.split("M")[2].split("'")[0].split("l")[1].split()
    assert all(int(move) >= 0 for move in moves)


def test_no_loss_is_no_picture():
    assert inline_curve(MetricTable.of([]), INLINE) == "no loss to draw"
    assert inline_curve(logged([0.0, 0.0], 1), INLINE) == "no loss to draw"
